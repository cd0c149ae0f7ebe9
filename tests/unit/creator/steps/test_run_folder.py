"""The folder of one step, as its wrapper and later Creators write and read it."""

import os
from pathlib import Path

import pytest

from creator.steps.process_table import ProcessIdentity
from creator.steps.run_folder import Exit, RunFolder

ANN = ProcessIdentity(pid=7, start_ticks=70)
BOB = ProcessIdentity(pid=8, start_ticks=80)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A folder that is there and empty."""
    made = RunFolder(tmp_path / "run" / "step")
    made.make()
    return made


def test_the_first_wrapper_has_the_step(folder: RunFolder) -> None:
    assert folder.claim(ANN)
    assert not folder.claim(BOB)
    assert folder.wrapper() == ANN


def test_a_step_that_was_abandoned_is_nobodys(folder: RunFolder) -> None:
    assert folder.abandon()
    assert not folder.claim(ANN)
    assert folder.wrapper() is None


def test_a_step_that_was_claimed_cannot_be_abandoned(folder: RunFolder) -> None:
    folder.claim(ANN)

    assert not folder.abandon()
    assert folder.wrapper() == ANN


def test_one_interrupt_only(folder: RunFolder) -> None:
    assert folder.interrupted_at_seconds() is None
    assert folder.mark_interrupted()
    assert not folder.mark_interrupted()
    assert folder.interrupted_at_seconds() is not None


def test_the_end_is_written_into_room_that_was_there_before(folder: RunFolder) -> None:
    folder.reserve_exit()
    assert folder.exit() is None
    room = (folder.path / ".exit.json").stat().st_size
    end = Exit(1, interrupted=True, killed=False, at_seconds=5.5, error="é" * 500)

    folder.record_exit(end)

    assert folder.exit() == end
    assert (folder.path / "exit.json").stat().st_size == room


@pytest.mark.parametrize("content", ["", "{", "[]", '{"what": 1}', "null"])
def test_a_record_that_cannot_be_read_is_none(folder: RunFolder, content: str) -> None:
    (folder.path / "exit.json").write_text(content)
    (folder.path / "terraform.json").write_text(content)

    assert folder.exit() is None
    assert folder.terraform() is None


def test_nothing_is_proven_about_a_folder_where_nobody_was_alive(folder: RunFolder) -> None:
    assert not folder.is_surely_dead()


def test_whoever_holds_the_folder_is_alive(folder: RunFolder) -> None:
    descriptor = folder.hold_alive()
    assert not folder.is_surely_dead()

    os.close(descriptor)
    assert folder.is_surely_dead()


def test_no_draft_stays(folder: RunFolder) -> None:
    folder.claim(ANN)
    folder.claim(BOB)
    folder.terraform_starts(ANN)
    folder.mark_interrupted()

    names = {path.name for path in folder.path.iterdir()}
    assert names == {"wrapper.json", "terraform.json", "interrupted"}
