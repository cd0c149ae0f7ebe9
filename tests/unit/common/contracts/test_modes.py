"""Which commands each mode can run."""

import pytest

from common.contracts.modes import RUN, SERVER, WARM, mode_problem, script_position


@pytest.mark.parametrize(
    ("command", "position"),
    [
        (["python3", "check.py"], 1),
        (["python3", "check.py", "-v", "other.py"], 1),
        (["python", "folder/check.py"], 1),
        (["/opt/venv/bin/python3.12", "check.py"], 1),
        (["python3", "-I", "-u", "check.py"], 3),
        (["python3", "-Xutf8", "-Wignore", "check.py"], 3),
        (["python3"], 0),
        (["python3", ""], 0),
        (["python3", "-u"], 0),
        (["python3", "-c", "pass"], 0),
        (["python3", "-m", "check"], 0),
        (["python3", "-", "check.py"], 0),
        (["python3", "-X", "utf8", "check.py"], 0),
        (["pythonic", "check.py"], 0),
        (["./check.py"], 0),
        (["bash", "check.py"], 0),
        ([], 0),
    ],
)
def test_the_script_of_a_command(command: list[str], position: int) -> None:
    assert script_position(command) == position


def test_only_a_python_file_can_be_warm() -> None:
    assert mode_problem(WARM, command=["python3", "check.py"], output="nagios") == ""
    assert "[python3, FILE" in mode_problem(WARM, command=["./check"], output="none")


def test_a_server_has_no_exit_status_for_each_run() -> None:
    assert "nagios" in mode_problem(SERVER, command=["./check"], output="nagios")
    assert mode_problem(SERVER, command=["./check"], output="prometheus") == ""


def test_any_command_can_be_started_and_other_words_are_the_agents_to_judge() -> None:
    for mode in (RUN, "hot"):
        assert mode_problem(mode, command=["./check"], output="nagios") == ""
