"""One run under a runner of its own."""

import selectors
import time
from pathlib import Path

from agent.clocks import boot_ns
from agent.plan import RunKey, RunSpec
from agent.results import RunResult
from agent.running.launchers import Workplace
from agent.running.runner import Runner
from agent.running.users import Users
from agent.running.wiper import Wiper
from tests.changing_folders import paths_below


def results_of(spec: RunSpec, temporary: Path, wiper: Wiper) -> list[RunResult]:
    """The results of one run; nothing of it stays in its folder."""
    results: list[RunResult] = []
    ended: list[RunKey] = []
    temporary.mkdir()
    with selectors.DefaultSelector() as selector:
        place = Workplace(temporary, "/usr/bin:/bin", Users(), wiper)
        runner = Runner(
            selector, place, on_result=results.append, on_end=ended.append, clock_ns=boot_ns
        )
        runner.start(spec, boot_ns())
        limit = time.monotonic() + 60
        while not results or paths_below(temporary, "*/*/*"):
            assert time.monotonic() < limit, "the run never ended, or something of it stays"
            for key, _ in selector.select(0.01):
                key.data(boot_ns())
            runner.tick(boot_ns())
        runner.close()
    assert ended == [spec.key]
    return results
