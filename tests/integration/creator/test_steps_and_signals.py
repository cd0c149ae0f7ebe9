"""Real terraforms that are interrupted, killed, and lose those who look after them, in both shapes of terraform."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from creator.errors import CreatorStopsError
from creator.steps.orders import StepEnd, StepOrder
from creator.steps.process_table import is_alive
from creator.steps.steps import RunningStep
from tests.integration.creator.steps_bench import SLOW_COMMAND, Bench

Eventually = Callable[[Callable[[], object]], None]
SHORT = timedelta(seconds=2)


def waiting(step: RunningStep) -> Future[StepEnd]:
    """Somebody waits for the step in a thread."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(step.wait, stop=lambda: False, meanwhile=lambda: None)
    pool.shutdown(wait=False)
    return future


def started(bench: Bench, order: StepOrder, eventually: Eventually) -> RunningStep:
    """A step whose provisioner runs."""
    step = bench.steps().start(bench.deployment_id, order)
    eventually(bench.has_begun)
    return step


def test_at_the_deadline_one_sigint_lets_terraform_save_its_state(
    bench_of_each_shape: Bench, eventually: Eventually
) -> None:
    bench = bench_of_each_shape
    bench.write(SLOW_COMMAND)
    step = started(bench, bench.apply(limit=SHORT), eventually)

    end = waiting(step).result(60)

    assert (end.exit_code, end.interrupted, end.killed) == (1, True, False)
    assert (end.output / "stdout").read_text().count("Interrupt received") == 1
    assert bench.row().exit_code == 1
    assert bench.row().finished_at
    assert bench.tainted()


def test_a_killed_terraform_is_seen_and_its_provisioners_go_with_it(
    bench_of_each_shape: Bench, eventually: Eventually
) -> None:
    bench = bench_of_each_shape
    bench.write(f"echo $$ > pid; {SLOW_COMMAND}")
    step = started(bench, bench.apply(), eventually)
    terraform = bench.run_folder().terraform()
    assert terraform

    os.kill(terraform.pid, signal.SIGKILL)

    end = waiting(step).result(20)
    assert (end.exit_code, end.interrupted, end.killed) == (-9, False, False)
    assert not psutil.pid_exists(int((bench.recipe / "pid").read_text()))


def test_terraform_goes_on_when_its_wrapper_is_killed(
    bench_of_each_shape: Bench, eventually: Eventually
) -> None:
    bench = bench_of_each_shape
    bench.write(SLOW_COMMAND)
    future = waiting(started(bench, bench.apply(), eventually))
    kill_wrapper(bench)

    bench.go()
    end = future.result(20)

    assert (end.exit_code, end.interrupted, end.killed) == (None, False, False)
    assert "Apply complete!" in (end.output / "stdout").read_text()
    assert not bench.tainted()


def test_the_deadline_holds_for_a_terraform_whose_wrapper_is_killed(
    bench_of_each_shape: Bench, eventually: Eventually
) -> None:
    bench = bench_of_each_shape
    bench.write(SLOW_COMMAND)
    future = waiting(started(bench, bench.apply(limit=SHORT), eventually))

    kill_wrapper(bench)

    end = future.result(20)
    assert (end.exit_code, end.interrupted, end.killed) == (None, True, False)
    assert bench.tainted()


def test_what_ignores_sigint_is_killed_after_the_grace(bench: Bench, tmp_path: Path) -> None:
    bench.terraform = stubborn(tmp_path)
    order = bench.order("apply", limit=timedelta(seconds=0.5), grace=timedelta(seconds=0.5))

    end = waiting(bench.steps().start(bench.deployment_id, order)).result(20)

    assert (end.exit_code, end.interrupted, end.killed) == (-9, True, True)
    assert (tmp_path / "interrupts").read_text() == "one\n"


def test_what_ignores_sigint_is_killed_without_its_wrapper_too(
    bench: Bench, tmp_path: Path, eventually: Eventually
) -> None:
    bench.terraform = stubborn(tmp_path)
    order = bench.order("apply", limit=timedelta(seconds=1), grace=timedelta(seconds=0.8))
    step = bench.steps().start(bench.deployment_id, order)
    terraform = bench.run_folder().terraform()
    assert terraform
    kill_wrapper(bench)

    end = waiting(step).result(20)

    assert (end.exit_code, end.interrupted, end.killed) == (None, True, True)
    assert (tmp_path / "interrupts").read_text() == "one\n"
    assert not is_alive(terraform)


def test_what_a_provisioner_leaves_in_the_session_goes_and_a_daemon_stays(
    bench: Bench, eventually: Eventually
) -> None:
    bench.write(
        "sleep 60 >/dev/null 2>&1 & echo $! > left; setsid sleep 60 >/dev/null 2>&1 & echo $! > daemon"
    )

    step = bench.steps().start(bench.deployment_id, bench.apply())
    end = waiting(step).result(20)

    assert end.exit_code == 0
    daemon = psutil.Process(int((bench.recipe / "daemon").read_text()))
    assert daemon.is_running()
    daemon.kill()
    assert not psutil.pid_exists(int((bench.recipe / "left").read_text()))


def test_who_waits_may_leave_and_the_step_goes_on(bench: Bench, eventually: Eventually) -> None:
    bench.write(SLOW_COMMAND)
    step = started(bench, bench.apply(), eventually)

    with pytest.raises(CreatorStopsError):
        step.wait(stop=lambda: True, meanwhile=lambda: None)

    bench.go()
    assert waiting(bench.resumed()).result(20).exit_code == 0


def kill_wrapper(bench: Bench) -> None:
    """Nobody looks after terraform any more."""
    wrapper = bench.run_folder().wrapper()
    assert wrapper
    os.kill(wrapper.pid, signal.SIGKILL)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(wrapper.pid).wait(20)


def stubborn(folder: Path) -> str:
    """A terraform that notes each interrupt and goes on."""
    path = folder / "stubborn"
    path.write_text(
        f"#!/bin/sh\ntrap 'echo one >> {folder}/interrupts' INT\nwhile :; do sleep 0.05; done\n"
    )
    path.chmod(0o755)
    return str(path)
