"""What the machine does to a step: a full disk, and users who may do less than Creator."""

import os
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.processes import PIPE, start
from creator.errors import CannotStartError, TerraformNotStartedError
from creator.steps.launches import STEP_VARIABLE
from creator.steps.orders import StepEnd
from creator.steps.process_table import kill_step, session_members
from creator.steps.users import hand_over, open_the_way, user_called
from tests.integration.creator.steps_bench import Bench

IS_ROOT = os.geteuid() == 0


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 64 KiB; where nobody may mount one, a plain folder."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    is_mounted = start(mount, environment={}, cwd=tmp_path).wait(20) == 0
    yield disk
    if is_mounted:
        assert start(["/bin/umount", "-l", str(disk)], environment={}, cwd=tmp_path).wait(20) == 0


def test_without_room_for_its_records_a_step_does_not_start(bench: Bench) -> None:
    bench.write("echo begun > begun")
    starter = bench.launcher._starter
    assert starter
    resource.prlimit(starter.pid, resource.RLIMIT_FSIZE, (100, 100))

    with pytest.raises(TerraformNotStartedError, match="File too large"):
        bench.steps().start(bench.deployment_id, bench.apply())

    assert bench.row().finished_at
    assert not bench.has_begun()


def test_the_end_of_a_step_is_known_although_the_disk_is_full(
    bench: Bench, full_disk: Path
) -> None:
    filling = f"cat /dev/zero > {full_disk}/filling; exit 7"
    if not full_disk.is_mount():
        filling = "exit 7"
    order = bench.order("apply")
    order = replace(order, folder=full_disk, arguments=("/bin/sh", "-c", filling))

    step = bench.steps().start(bench.deployment_id, order)
    end = step.wait(stop=lambda: False, meanwhile=lambda: None)

    assert end.exit_code == 7
    assert bench.row().exit_code == 7


def test_without_a_name_terraform_is_the_same_user() -> None:
    assert user_called("") is None


def test_a_user_who_does_not_exist_is_named() -> None:
    with pytest.raises(CannotStartError, match="nobody-of-that-name"):
        user_called("nobody-of-that-name")


if IS_ROOT:

    def test_terraform_is_another_user_who_reads_no_key_of_creators(bench: Bench) -> None:
        bench.user = user_called("nobody")
        assert bench.user
        key = bench.folder / "server.key"
        key.write_text("secret")
        key.chmod(0o600)
        # Below the folder of all tests everything is for root only.
        open_the_way(bench.recipe, bench.folder.parents[2], bench.user)
        (bench.recipe / "main.tf").write_text("")
        hand_over(bench.recipe, bench.user)
        shell = "id -un; id -G; umask; grep NoNewPrivs /proc/self/status; cat main.tf; echo written > made; cat ../server.key"

        end = shell_step(bench, shell)

        user = bench.user
        groups = " ".join(str(group) for group in user.groups)
        said = (end.output / "stdout").read_text().split("\n")
        assert said[:3] == ["nobody", groups, "0077"]
        assert said[3].split() == ["NoNewPrivs:", "1"]
        assert (bench.recipe / "made").owner() == "nobody"
        assert end.exit_code == 1
        assert "Permission denied" in (end.output / "stderr").read_text()
        # What says how it ended is Creator's.
        assert {path.owner() for path in end.output.iterdir()} == {"root"}

    def test_handing_over_follows_no_link(tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "file").touch()
        inside = tmp_path / "inside"
        (inside / "deep").mkdir(parents=True)
        (inside / "deep" / "file").touch()
        (inside / "link").symlink_to(outside)
        (inside / "deep" / "link").symlink_to(outside / "file")

        hand_over(inside, user_called("nobody"))

        assert (inside / "deep" / "file").owner() == "nobody"
        assert (outside.owner(), (outside / "file").owner()) == ("root", "root")

else:

    def test_only_root_can_make_terraform_somebody_else() -> None:
        with pytest.raises(CannotStartError, match="runs as root"):
            user_called("root")


def shell_step(bench: Bench, command: str) -> StepEnd:
    """A step that is a shell."""
    order = replace(bench.order("apply"), arguments=("/bin/sh", "-c", command))
    step = bench.steps().start(bench.deployment_id, order)
    return step.wait(stop=lambda: False, meanwhile=lambda: None)


def test_what_a_step_has_left_is_dead_as_soon_as_it_was_killed_and_strangers_live(
    tmp_path: Path,
) -> None:
    """Whoever comes next must not meet the locks of a process that is still dying."""
    crowd = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 300 & done; echo ready; wait"
    environment = {"PATH": os.defpath, STEP_VARIABLE: "the-step"}
    wrapper = start(["sh", "-c", crowd], environment=environment, cwd=tmp_path, stdout=PIPE)
    assert wrapper.stdout
    assert wrapper.stdout.readline() == b"ready\n"

    assert kill_step(wrapper.pid, "another-step") == 0
    assert len(session_members(wrapper.pid)) == 12
    assert kill_step(wrapper.pid, "the-step") == 12
    assert session_members(wrapper.pid) == []
    wrapper.communicate()
