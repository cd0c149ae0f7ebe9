"""Locks on the state that real terraforms hold: whose they are, as the rows say."""

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from common.contracts.deployments import StateLock
from common.processes import start
from creator.steps.orders import StepEnd
from creator.steps.state_locks import LocalLock, lock_in_the_way
from creator.steps.steps import RunningStep
from tests.integration.creator.steps_bench import SLOW_COMMAND, Bench

Eventually = Callable[[Callable[[], object]], None]


def waiting(step: RunningStep) -> Future[StepEnd]:
    """Somebody waits for the step in a thread."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(step.wait, stop=lambda: False, meanwhile=lambda: None)
    pool.shutdown(wait=False)
    return future


def lock_of(bench: Bench) -> StateLock:
    """The lock that is there."""
    lock = LocalLock(bench.recipe / "terraform.tfstate").read()
    assert lock
    return lock


def test_the_lock_of_a_step_is_recorded_and_may_be_freed_when_the_step_is_dead(
    bench_of_each_shape: Bench, eventually: Eventually
) -> None:
    bench = bench_of_each_shape
    bench.write(SLOW_COMMAND)
    future = waiting(bench.steps().start(bench.deployment_id, bench.apply()))
    eventually(lambda: bench.row().lock_id)
    lock = lock_of(bench)
    assert bench.row().lock_id == lock.id
    assert not bench.steps().may_free(lock)
    terraform = bench.run_folder().terraform()
    assert terraform

    os.kill(terraform.pid, signal.SIGKILL)

    assert future.result(20).exit_code == -9
    assert lock_of(bench) == lock
    assert bench.steps().may_free(lock)
    assert not bench.steps().may_free(lock.model_copy(update={"id": "another"}))


def test_who_adopts_a_step_records_its_lock(bench: Bench, eventually: Eventually) -> None:
    bench.write(SLOW_COMMAND)
    bench.steps().start(bench.deployment_id, bench.apply())
    eventually(bench.has_begun)

    future = waiting(bench.resumed())

    eventually(lambda: bench.row().lock_id == lock_of(bench).id)
    bench.go()
    assert future.result(20).exit_code == 0


def test_the_lock_of_a_step_that_was_given_up_is_for_a_person(
    bench: Bench, eventually: Eventually
) -> None:
    bench.write(SLOW_COMMAND)
    future = waiting(bench.steps().start(bench.deployment_id, bench.apply()))
    eventually(lambda: bench.row().lock_id)
    lock = lock_of(bench)
    (step,) = bench.rows()

    bench.steps().give_up(step)

    assert bench.row().finished_at
    assert not bench.steps().may_free(lock)
    bench.go()
    future.result(20)


def test_a_strangers_lock_is_never_taken_for_ours(
    bench: Bench, eventually: Eventually, tmp_path: Path
) -> None:
    bench.write(SLOW_COMMAND)
    order = bench.apply()
    with (tmp_path / "stranger").open("wb") as output:
        stranger = start(
            order.arguments, environment=order.environment, cwd=bench.recipe, stdout=output
        )
    eventually(bench.has_begun)
    ours = bench.order("plan", "-json", "-lock-timeout=2s", with_lock=True)

    end = waiting(bench.steps().start(bench.deployment_id, ours)).result(20)

    assert end.exit_code == 1
    assert bench.row().lock_id == ""
    last = json.loads((end.output / "stdout").read_text().splitlines()[-1])
    in_the_way = lock_in_the_way(last["diagnostic"]["detail"])
    assert in_the_way
    assert in_the_way.id == lock_of(bench).id
    assert not bench.steps().may_free(in_the_way)
    bench.go()
    assert stranger.wait(20) == 0


def test_the_one_who_waits_is_told_of_the_end_at_once(bench: Bench) -> None:
    bench.write("true")
    looks: list[None] = []
    step = bench.steps().start(bench.deployment_id, bench.order("apply", "-auto-approve"))

    step.wait(stop=lambda: False, meanwhile=lambda: looks.append(None))

    # The kernel says so: nobody asked again and again.
    assert len(looks) < 10
