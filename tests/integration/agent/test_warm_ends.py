"""Warm parents of probers that are changed or removed end at once, and their runs at their own pace."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from agent.clocks import boot_ns
from agent.plan import RunSpec
from tests.integration.agent.control_agent import ControlAgent
from tests.integration.agent.runner_bench import Bench, opened_bench
from tests.integration.agent.stand_ins import StubApi, document, prober, wait_until

WAITING = """
import sys
import time
from pathlib import Path

begun, go_on = map(Path, sys.argv[1:3])
begun.touch()
while not go_on.exists():
    time.sleep(0.01)
sys.exit("it went on")
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with opened_bench(tmp_path) as made:
        yield made


def parents(pid: int | None = None) -> list[psutil.Process]:
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            if "warm_interpreter.py" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def pid_of(agent: ControlAgent) -> int:
    assert agent.process
    return agent.process.pid


def waiting(bench: Bench, *, folder: str) -> tuple[RunSpec, Path, Path]:
    place = bench.folder / folder
    place.mkdir()
    (place / "check.py").write_text(WAITING)
    begun, go_on = place / "begun", place / "go_on"
    spec = bench.spec("python3", "check.py", str(begun), str(go_on), mode="warm", folder=place)
    return spec, begun, go_on


def test_a_parent_that_nobody_needs_ends_and_what_it_has_forked_goes_on(bench: Bench) -> None:
    spec, begun, go_on = waiting(bench, folder="old")
    go_on.touch()
    bench.warm_up(spec)
    go_on.unlink()
    begun.unlink()
    bench.runner.start(spec, boot_ns())
    bench.turn_until(begun.exists)
    (parent, run) = sorted(parents(), key=lambda process: process.create_time())
    bench.runner.keep_warm([])
    bench.turn_until(lambda: not parent.is_running())
    assert run.is_running()
    assert not bench.runner.warm.is_warm(spec)
    go_on.touch()
    bench.turn_until(lambda: bench.results)
    assert bench.results.pop().verdict.reason == "it went on"
    # Who comes back gets another one.
    bench.warm_up(spec)
    assert parent not in parents()


def test_who_stays_keeps_its_parent(bench: Bench) -> None:
    old, _, old_goes_on = waiting(bench, folder="old")
    new, _, new_goes_on = waiting(bench, folder="new")
    old_goes_on.touch()
    new_goes_on.touch()
    for spec in (old, new):
        bench.warm_up(spec)
    before = {process.pid for process in parents()}
    assert len(before) == 2
    # Another combination of the same files is the same to the parent.
    bench.runner.keep_warm([replace(new, arguments=(*new.arguments[:2], "other"))])
    bench.turn_until(lambda: len(parents()) == 1)
    assert {process.pid for process in parents()} < before
    assert bench.runner.warm.is_warm(new)


def test_a_run_that_its_parent_was_about_to_fork_starts_all_the_same(bench: Bench) -> None:
    spec, begun, go_on = waiting(bench, folder="old")
    go_on.touch()
    bench.warm_up(spec)
    (parent,) = parents()
    parent.suspend()
    wait_until(lambda: parent.status() == psutil.STATUS_STOPPED)
    begun.unlink()
    bench.runner.start(spec, boot_ns())
    bench.runner.keep_warm([])
    bench.turn_until(lambda: bench.results)
    assert bench.results.pop().verdict.reason == "it went on"
    bench.turn_until(lambda: not parent.is_running())
    bench.warm_up(spec)


def test_an_agent_shows_why_a_prober_is_not_warm_and_ends_the_parents_of_removed_ones(
    control_agent: ControlAgent, stub_api: StubApi
) -> None:
    code = b"import sys\n"
    loud = b"import this\n"
    stub_api.serve_files(code, loud)
    warm = prober(1, {"check.py": code}, ["python3", "check.py"], interval_seconds=0.3, mode="warm")
    cold = prober(2, {"check.py": loud}, ["python3", "check.py"], interval_seconds=0.3, mode="warm")
    stub_api.document = document(warm, cold)
    control_agent.start()
    wait_until(lambda: control_agent.shown("prober-2"))
    wait_until(lambda: control_agent.client.explanation("prober-2").mode_problem)
    assert "its imports print" in control_agent.client.explanation("prober-2").mode_problem
    assert "its imports print" in control_agent.client.prober("prober-2").prober.mode_problem
    wait_until(lambda: parents(pid_of(control_agent)))
    assert control_agent.client.explanation("prober-1").mode_problem == ""
    stub_api.document = document(cold, revision=2)
    wait_until(lambda: not parents(pid_of(control_agent)))
