"""A real agent's canaries: all get their verdicts and leave nothing, and an agent that cannot run programs says so."""

import contextlib
import os
import pwd
import selectors
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from agent.canaries import ROUND, TOKEN_SECONDS, Canaries
from agent.clocks import boot_ns
from agent.flights import Flight
from agent.plan import RunSpec
from agent.rules import Rules
from agent.running.launchers import Workplace
from agent.running.runner import Runner
from agent.running.users import Users
from agent.running.wiper import Wiper
from common import processes
from tests.changing_folders import paths_below
from tests.integration.agent.stand_ins import StubApi, document, wait_until

ROOT = Path(__file__).parents[3]


def test_each_of_them_gets_its_verdict_and_leaves_nothing(tmp_path: Path) -> None:
    """With a real runner; the time until leavings are looked for passes at once."""
    flights: list[Flight] = []
    (tmp_path / "temporary").mkdir()
    wiper = Wiper()
    with selectors.DefaultSelector() as selector:
        runner = Runner(
            selector,
            Workplace(tmp_path / "temporary", "/usr/bin:/bin", Users(), wiper),
            on_result=lambda _: None,
            on_end=lambda _: None,
            clock_ns=boot_ns,
            on_flight=flights.append,
        )

        def turn_until(condition: Callable[[], object]) -> None:
            end = time.monotonic() + 60
            while not condition():
                assert time.monotonic() < end, "a canary never ended, or something of it stays"
                for key, _ in selector.select(0.01):
                    key.data(boot_ns())
                runner.tick(boot_ns())

        def fly(spec: RunSpec, on_flight: object) -> None:
            runner.start(spec, boot_ns(), counted=False)
            turn_until(lambda: flights)
            on_flight(flights.pop())  # type: ignore[operator]

        canaries = Canaries(timedelta(seconds=60), rules=Rules(), now_ns=boot_ns(), start=fly)
        for number in range(1, len(ROUND) + 1):
            canaries.look(boot_ns() + number * 60 * 10**9)
            turn_until(lambda: not _children_of_canaries())
            turn_until(lambda: not paths_below(tmp_path / "temporary", "*/*/made"))
        canaries.look(boot_ns() + 3600 * 10**9)
        runner.close()
    wiper.close(time_limit_seconds=10)
    assert (canaries.wrong, canaries.problem) == (0, "")
    assert canaries.right >= len(ROUND)


def _children_of_canaries() -> list[int]:
    """Also those that have not become `sleep` yet: what was killed needs a processor to be gone."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(str(TOKEN_SECONDS) in part for part in process.cmdline()):
                found.append(process.pid)
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's: programs with another user's rights could not enter that.
    made = Path(tempfile.mkdtemp(prefix="mr-prober-canaries-"))
    made.chmod(0o755)
    yield made / "agent"
    shutil.rmtree(made)


def test_an_agent_that_cannot_run_programs_says_so_until_it_can(
    stub_api: StubApi, folder: Path
) -> None:
    stub_api.document = document()
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with (folder.parent / "log").open("wb") as log:
        agent = processes.start(
            [sys.executable, "agent/main.py"],
            environment={
                "PYTHONPATH": str(ROOT),
                "MR_PROBER_API_URL": stub_api.url,
                "MR_PROBER_CLUSTER": "demo",
                "MR_PROBER_HOST": "h1",
                "MR_PROBER_AGENT_TOKEN": stub_api.token,
                "MR_PROBER_AGENT_DIR": str(folder),
                "MR_PROBER_AGENT_USER": user,
                "MR_PROBER_AGENT_CANARY_INTERVAL": "1",
            },
            cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        wait_until(lambda: stub_api.reports and (folder / "temporary").is_dir(), seconds=60)
        assert stub_api.reports[-1]["canary_problem"] == ""
        # Nobody but root can make a folder for a run any more.
        (folder / "temporary").chmod(0o700 if os.geteuid() == 0 else 0)
        wait_until(lambda: "canaries: " in stub_api.reports[-1]["canary_problem"], seconds=120)
        (folder / "temporary").chmod(0o755)
        wait_until(lambda: stub_api.reports[-1]["canary_problem"] == "", seconds=120)
        assert "as they must be again" in (folder.parent / "log").read_text()
    finally:
        (folder / "temporary").chmod(0o755)
        agent.terminate()
        assert agent.wait(60) == 0
