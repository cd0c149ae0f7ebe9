"""Synchronize in a terminal and without one: progress, questions, interrupts, outputs that nobody takes."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common import processes
from common.contracts.clusters import ClusterState
from tests.integration.tools.conftest import ROOT, RunningApi
from tests.integration.tools.terminal import terminal

Synchronize = Callable[..., int]
PROGRAM = [sys.executable, str(ROOT / "tools/synchronize/main.py")]
QUESTION = "Type its name to delete it: "


@pytest.fixture
def settings(api: RunningApi, configs: Path) -> dict[str, str]:
    """What the program is told by its environment."""
    return {
        "PYTHONPATH": str(ROOT),
        "MR_PROBER_API_URL": api.url,
        "MR_PROBER_API_KEY_FILE": str(api.key_file),
        "MR_PROBER_CONFIGS": str(configs),
    }


@pytest.fixture
def protected(configs: Path, synchronize: Synchronize) -> None:
    """A protected cluster that no file describes any more."""
    file = configs / "environments/local/clusters/demo.yaml"
    file.write_text(file.read_text() + "protected: true\n")
    assert synchronize("apply") == 0
    file.unlink()


@pytest.mark.usefixtures("protected")
def test_a_protected_cluster_goes_when_its_name_is_typed_and_only_then(
    api: RunningApi, settings: dict[str, str]
) -> None:
    for typed, status, state in (
        ("dem", 1, ClusterState.ACTIVE),
        ("", 1, ClusterState.ACTIVE),
        ("demo", 0, ClusterState.DELETING),
    ):
        with terminal([*PROGRAM, "apply", "--force"], environment=settings) as shown:
            shown.wait_for(QUESTION)
            assert api.client().cluster("demo").state is ClusterState.ACTIVE
            shown.type(f"{typed}\n")
            assert (shown.end(), typed) == (status, typed)
        assert api.client().cluster("demo").state is state
        assert ("That is not demo: nothing is applied." in shown.seen) is (status == 1)


@pytest.mark.usefixtures("protected")
def test_a_question_that_is_interrupted_or_that_nobody_can_answer_deletes_nothing(
    api: RunningApi, settings: dict[str, str]
) -> None:
    with terminal([*PROGRAM, "apply", "--force"], environment=settings) as shown:
        shown.wait_for(QUESTION)
        shown.type("\x03")
        assert shown.end() == 1
    assert "Interrupted: nothing was changed." in shown.seen
    status, out, errors = ended([*PROGRAM, "apply", "--force"], settings)
    assert (status, errors) == (1, "")
    assert "! cluster demo is protected: apply asks for its name, or takes it from --delete-protected demo" in out  # fmt: skip
    assert QUESTION not in out
    assert api.client().cluster("demo").state is ClusterState.ACTIVE


def test_long_work_has_a_progress_bar_on_a_terminal_and_none_in_a_pipe(
    settings: dict[str, str], configs: Path
) -> None:
    with terminal([*PROGRAM, "apply"], environment=settings) as shown:
        assert shown.end() == 0
    assert "0/6" in shown.seen
    assert "\x1b[?25h" in shown.seen.partition("0/6")[2], "the cursor is shown again"
    assert "Applied: 6 created, 0 changed, 0 deleted." in shown.seen
    (configs / "probers/ping/probe.py").write_text("print('two')\n")
    status, out, errors = ended([*PROGRAM, "apply"], settings)
    assert (status, errors) == (0, "")
    assert "Applied: 0 created, 1 changed, 0 deleted." in out
    assert "\x1b" not in out


@pytest.fixture
def silent_api() -> Iterator[socket.socket]:
    """It takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        yield listener


@pytest.mark.parametrize("parallel", ["1", "8"])
def test_ctrl_c_ends_it_at_once_though_the_api_does_not_answer(
    silent_api: socket.socket, configs: Path, parallel: str
) -> None:
    process = processes.start(
        [*PROGRAM, "export", "--parallel", parallel, "--configs", str(configs)],
        environment={
            "PYTHONPATH": str(ROOT),
            "MR_PROBER_API_URL": f"http://127.0.0.1:{silent_api.getsockname()[1]}",
            "MR_PROBER_API_KEY": "k",
        },
        cwd=ROOT, stdout=processes.PIPE, stderr=processes.PIPE,
    )  # fmt: skip
    calls = [silent_api.accept()[0]]
    assert calls[0].recv(1)  # a call is under way; its time limit is 30 s
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=25)
    assert (process.returncode, out) == (1, b"")
    assert errors.strip() == b"Interrupted: nothing was changed."
    for call in calls:
        call.close()


def test_whoever_takes_no_output_gets_no_traceback(settings: dict[str, str]) -> None:
    for redirection, status, told in (
        (">/dev/full", 1, "the output cannot be written: No space left on device\n"),
        (">&-", 2, ""),
        ("2>&-", 2, ""),
        ("| head -n 1 >&2; exit ${PIPESTATUS[0]}", 1, "+ recipe vms\n"),
    ):
        # A shell, since it is shells that do such things.
        script = f"{PROGRAM[0]} {PROGRAM[1]} plan {redirection}"
        got = ended(["bash", "-c", script], settings | {"PATH": os.defpath})
        if redirection.startswith("|") and got[0] == 2:
            got = (1, *got[1:])  # all of it fitted into the pipe
        assert (got[0], got[2], redirection) == (status, told, redirection)


def test_a_folder_that_takes_no_files_is_named(
    settings: dict[str, str], configs: Path, synchronize: Synchronize
) -> None:
    assert synchronize("apply") == 0
    # root's rights to write anywhere, given up; nobody else has them
    without = (
        ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if not os.geteuid() else []
    )
    configs.chmod(0o555)
    environment = settings | {"PATH": os.defpath}
    try:
        for words, named in (
            (["schemas"], f"{configs}/schemas cannot be written: Permission denied\n"),
            (["export"], f"{configs}/schemas cannot be written: Permission denied\n"),
            (["export", "--configs", f"{configs}/new"], f"{configs}/new"),
            (["new", "prober", "x", "--configs", f"{configs}/new"], f"{configs}/new"),
        ):
            status, _, errors = ended([*without, *PROGRAM, *words], environment)
            assert (status, errors.count("\n")) == (1, 1), errors
            assert errors.startswith(named)
    finally:
        configs.chmod(0o755)


def ended(command: list[str], environment: dict[str, str]) -> tuple[int, str, str]:
    """Exit code and both outputs of a program without a terminal."""
    process = processes.start(
        command, environment=environment, cwd=ROOT, stdout=processes.PIPE, stderr=processes.PIPE
    )
    out, errors = process.communicate(timeout=100)
    return process.returncode, out.decode(), errors.decode()
