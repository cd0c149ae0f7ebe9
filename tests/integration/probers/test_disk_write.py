"""disk-write on real folders; the fixture checks that nothing is left in the temporary one."""

import resource
from pathlib import Path

import pytest

from tests.integration.probers.runs import RunProber


def test_writes_to_its_temporary_folder_and_says_how_long_it_took(run_prober: RunProber) -> None:
    finished = run_prober("disk-write", VAR_SIZE_BYTES="100000")
    assert (finished.code, finished.errors) == (0, "")
    names = {"disk_write_seconds", "disk_fsync_seconds", "disk_read_seconds"}
    assert finished.metrics.keys() == names


def test_writes_to_a_given_folder_and_leaves_nothing(run_prober: RunProber, tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    assert run_prober("disk-write", VAR_FOLDER=str(folder)).code == 0
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_gone_is_failure(run_prober: RunProber, tmp_path: Path) -> None:
    finished = run_prober("disk-write", VAR_FOLDER=str(tmp_path / "gone"))
    assert finished.code == 1
    assert finished.reason.endswith("and read back: No such file or directory")


def test_a_disk_that_takes_no_more_is_failure(run_prober: RunProber) -> None:
    def with_small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    finished = run_prober("disk-write", before=with_small_files)
    assert finished.code == 1
    assert finished.reason.endswith("and read back: File too large")


@pytest.mark.parametrize("size", ["0", "-1", "many", str(10**12)])
def test_is_broken_by_a_size_that_makes_no_sense(run_prober: RunProber, size: str) -> None:
    assert run_prober("disk-write", VAR_SIZE_BYTES=size).code == 3


def test_an_unexpected_exception_is_broken_and_shown(run_prober: RunProber) -> None:
    def without_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (64 * 1024 * 1024, 64 * 1024 * 1024))

    finished = run_prober("disk-write", VAR_SIZE_BYTES="60000000", before=without_memory)
    assert finished.code == 3
    assert "MemoryError" in finished.errors
    assert finished.output == ""
