"""Starting programs: real ones, tiny."""

import os
import sys
from pathlib import Path

import pytest

from common import processes


def output_of(code: str, environment: dict[str, str], cwd: Path) -> str:
    process = processes.start(
        [sys.executable, "-c", code],
        environment=environment,
        cwd=cwd,
        stdout=processes.PIPE,
        stderr=processes.PIPE,
    )
    out, errors = process.communicate(timeout=30)
    assert errors == b""
    return out.decode().strip()


def test_leads_a_session_of_its_own_and_has_no_input(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getsid(0) == os.getpgid(0) == os.getpid(), repr(sys.stdin.read()))"
    assert output_of(code, {}, tmp_path) == "True ''"


def test_sees_only_the_environment_that_it_is_given(tmp_path: Path) -> None:
    code = "import os; print(sorted(k for k in os.environ if k != 'LC_CTYPE'), os.getcwd())"
    assert output_of(code, {"ONE": "1"}, tmp_path) == f"['ONE'] {tmp_path.resolve()}"


def test_a_program_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        processes.start(["./no-such-program"], environment={}, cwd=tmp_path)


def test_start_ticks_name_one_process_for_ever() -> None:
    mine = processes.start_ticks(os.getpid())
    assert mine is not None
    assert mine == processes.start_ticks(os.getpid())


def test_no_process_has_no_start_ticks() -> None:
    assert processes.start_ticks(2**22 + 1) is None


def test_start_ticks_survive_a_process_with_a_strange_name(tmp_path: Path) -> None:
    strange = tmp_path / os.fsdecode(b") \xff 0 1")
    strange.symlink_to(sys.executable)
    process = processes.start(
        [str(strange), "-c", "print('up', flush=True); import time; time.sleep(60)"],
        environment={},
        cwd=tmp_path,
        stdout=processes.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        mine = processes.start_ticks(os.getpid())
        theirs = processes.start_ticks(process.pid)
        assert mine is not None
        assert theirs is not None
        assert theirs >= mine
    finally:
        process.kill()
        process.communicate(timeout=30)
