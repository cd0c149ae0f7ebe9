"""The agent's folder on a disk that fills up at every possible point: old or new, never half, and room makes it work again."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.store import Store
from common import processes
from common.contracts.configuration import ClusterSecrets
from common.contracts.files import FileReference
from tests.integration.agent.stand_ins import sha256
from tests.integration.needs import need

DISK_BYTES = 256 * 1024
PAGE_BYTES = 4096
OLD = b"old" * 1000
NEW = b"new" * 10_000
OLD_SECRETS = ClusterSecrets.model_validate({"secrets": {"token": {"version": 1, "value": "old"}}})
NEW_SECRETS = ClusterSecrets.model_validate(
    {"secrets": {"token": {"version": 2, "value": "new" * 10_000}}}
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    need(os.geteuid() == 0 and shutil.which("mount"), "root, to mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)]
    is_mounted = (
        processes.start(["/bin/mount", *options], environment={}, cwd=tmp_path).wait(20) == 0
    )
    need(is_mounted, "a small disk of its own: `mount -t tmpfs`")
    yield disk
    unmount = processes.start(["/bin/umount", "-l", str(disk)], environment={}, cwd=tmp_path)
    assert unmount.wait(20) == 0


def fill(disk: Path, *, left: int) -> Path:
    """Take all of the disk but for about so many bytes."""
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * PAGE_BYTES
    ballast.write_bytes(b"x" * max(0, free - left))
    return ballast


def reference(content: bytes, path: str) -> FileReference:
    return FileReference(path=path, mode="0755", sha256=sha256(content), size=len(content))


def drafts(disk: Path) -> list[Path]:
    return [path for path in disk.rglob(".*") if path.name != ".."]


def all_steps(store: Store) -> int:
    """Try everything that a new configuration needs; how much of it failed."""
    files = (reference(NEW, "new.sh"), reference(OLD, "lib/old.sh"))
    failed = 0
    for step in (
        lambda: store.keep_file(sha256(NEW), NEW),
        lambda: store.unpack(files),
        lambda: store.keep_secrets(NEW_SECRETS),
        lambda: store.keep_document(NEW),
    ):
        try:
            step()
        except OSError:
            failed += 1
    return failed


def test_whatever_the_room_everything_is_old_or_new(small_disk: Path) -> None:
    failures = []
    for number, pages in enumerate(range(0, 48, 2)):
        root = small_disk / str(number)
        store = Store(root)
        store.keep_document(OLD)
        store.keep_secrets(OLD_SECRETS)
        store.keep_file(sha256(OLD), OLD)
        ballast = fill(small_disk, left=pages * PAGE_BYTES)
        failures.append(all_steps(store))
        found = Store(root)
        assert found.document() in {OLD, NEW}
        assert found.secrets() in (OLD_SECRETS, NEW_SECRETS)
        for path in (root / "files").iterdir():
            assert sha256(path.read_bytes()) == path.name
        for folder in (root / "unpacked").iterdir():
            assert {path.read_bytes() for path in folder.rglob("*.sh")} == {OLD, NEW}
        assert drafts(root) == []
        ballast.unlink()
        assert all_steps(store) == 0
        assert Store(root).document() == NEW
        shutil.rmtree(root)
    # The disk was too small for all of it, for some of it, and large enough.
    assert failures[0] >= 3
    assert failures[-1] == 0
    assert len(set(failures)) > 2
