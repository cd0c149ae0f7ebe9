"""Removing folders as a user whom permissions bind."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.folders import remove_folder

NOBODY = 65534


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, of a user who is not root: permissions do not bind root."""
    monkeypatch.chdir(tmp_path)  # the folders around it may be closed to others
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(tmp_path, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    yield Path()
    if is_root:
        os.seteuid(0)


def test_removes_what_may_be_neither_written_nor_read(own_folder: Path) -> None:
    deep = own_folder / "left" / "closed" / "deep"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    for folder in (deep, deep.parent, deep.parent.parent):
        folder.chmod(0)
    remove_folder(own_folder / "left")
    assert not list(own_folder.iterdir())


def test_what_a_link_points_to_stays_as_it_is(own_folder: Path) -> None:
    elsewhere = own_folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("x")
    elsewhere.chmod(0o555)
    left = own_folder / "left"
    left.mkdir()
    (left / "link").symlink_to("../elsewhere")
    left.chmod(0o555)
    remove_folder(left)
    assert list(own_folder.iterdir()) == [elsewhere]
    assert elsewhere.stat().st_mode & 0o777 == 0o555
    assert (elsewhere / "file").read_text() == "x"
    elsewhere.chmod(0o755)


def test_a_folder_that_is_not_there_is_no_error(own_folder: Path) -> None:
    remove_folder(own_folder / "never made")


def test_folders_one_in_the_other_cost_neither_recursion_nor_descriptors(
    own_folder: Path,
) -> None:
    here = os.open(own_folder, os.O_RDONLY)
    (own_folder / "left").mkdir()
    os.chdir("left")
    for _ in range(2000):
        os.mkdir("a long name " * 10)  # noqa: PTH102 - no path of ours is as long as this one
        os.chdir("a long name " * 10)
        Path("file").write_text("x")
    os.fchdir(here)
    os.close(here)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len([*Path("/proc/self/fd").iterdir()]) + 10, hard))
    try:
        remove_folder(own_folder / "left")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not list(own_folder.iterdir())


def test_names_of_any_bytes_are_removed(own_folder: Path) -> None:
    left = os.path.join(os.fsencode(own_folder), b"left")  # noqa: PTH118 - bytes
    os.makedirs(os.path.join(left, b"\xff\n"))  # noqa: PTH103, PTH118 - bytes
    remove_folder(own_folder / "left")
    assert not list(own_folder.iterdir())
