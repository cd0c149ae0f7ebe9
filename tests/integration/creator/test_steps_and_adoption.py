"""A Creator is killed at every point of a step; whoever comes next finds the one right thing to do."""

import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from common.processes import start
from creator.errors import StepUnclearError, TerraformNotStartedError
from creator.steps.adoption import TAKE_OVER_MARGIN
from creator.steps.detached import Launcher
from creator.steps.launches import Launch
from creator.steps.orders import GRACE, StepEnd, Unreachable
from creator.steps.process_table import ProcessIdentity, identity_of, is_alive
from creator.steps.run_folder import Exit
from creator.steps.steps import RunningStep
from database.leases import LeaseLostError
from tests.integration.creator.steps_bench import ROOT, SLOW_COMMAND, Bench

Eventually = Callable[[Callable[[], object]], None]
SECRET = "planted-7f3a9c"


def killed_creator(bench: Bench, point: str) -> None:
    """A Creator has lived up to this point."""
    arguments = [bench.url, str(bench.deployment_id), str(bench.folder), bench.terraform, point]
    process = start(
        [sys.executable, str(Path(__file__).with_name("mortal_creator.py")), *arguments],
        environment={"PYTHONPATH": str(ROOT), "MR_PROBER_SERVER_KEY": SECRET},
        cwd=bench.folder,
    )
    assert process.wait(timeout=60) == -signal.SIGKILL


def finished(bench: Bench, step: RunningStep) -> StepEnd:
    """The end of an adopted step that is let go."""
    bench.go()
    return step.wait(stop=lambda: False, meanwhile=lambda: None)


def processes_in(folder: Path) -> list[psutil.Process]:
    """Whoever works in the folder."""
    everybody = psutil.process_iter(["cwd"])
    return [process for process in everybody if process.info["cwd"] == str(folder)]


def was_never_begun(bench: Bench, end: object) -> bool:
    """Whether nothing happened to the cluster, and the row says that it is over."""
    assert isinstance(end, StepEnd)
    assert (end.exit_code, end.error) == (None, "Creator ended before it started")
    assert bench.row().finished_at
    return not bench.has_begun()


def test_nothing_runs_that_no_row_announces(bench: Bench) -> None:
    bench.write(SLOW_COMMAND)

    killed_creator(bench, "before the row")

    assert bench.rows() == []
    assert not bench.has_begun()


def test_a_step_that_was_only_announced_never_starts(bench: Bench) -> None:
    bench.write(SLOW_COMMAND)

    killed_creator(bench, "after the row")

    assert was_never_begun(bench, bench.resume())


def test_a_wrapper_that_comes_too_late_does_not_start_terraform(
    bench: Bench, eventually: Eventually
) -> None:
    bench.write(SLOW_COMMAND)
    killed_creator(bench, "wrapper stuck before its claim")
    folder = bench.run_folder().path
    eventually(lambda: processes_in(folder))

    end = bench.resume()

    assert was_never_begun(bench, end)
    descriptor = os.open(folder / "stdout", os.O_RDONLY | os.O_NONBLOCK)
    eventually(lambda: not processes_in(folder))
    os.close(descriptor)
    assert bench.run_folder().terraform() is None
    assert not bench.has_begun()


@pytest.mark.parametrize("point", ["after the message", "after the start"])
def test_a_step_that_runs_is_adopted_with_its_result(
    bench: Bench, eventually: Eventually, point: str
) -> None:
    bench.write(SLOW_COMMAND)
    killed_creator(bench, point)
    eventually(bench.has_begun)

    end = finished(bench, bench.resumed())

    assert (end.exit_code, end.error) == (0, "")
    assert bench.row().exit_code == 0
    assert (bench.recipe / "begun").read_text() == "begun\n"
    assert not bench.tainted()


@pytest.mark.parametrize("point", ["after the start", "after the end"])
def test_a_step_that_ended_meanwhile_is_buried_with_its_result(
    bench: Bench, eventually: Eventually, point: str
) -> None:
    bench.write("exit 3")
    killed_creator(bench, point)
    eventually(bench.run_folder().exit)

    end = bench.resume()

    assert isinstance(end, StepEnd)
    assert (end.exit_code, bench.row().exit_code) == (1, 1)
    assert b"exit status 3" in (end.output / "stdout").read_bytes()


def test_nobody_knows_the_end_of_what_was_killed_with_all_who_saw_it(
    bench: Bench, eventually: Eventually
) -> None:
    bench.write("echo $$ > pid; exec sleep 60")
    killed_creator(bench, "after the start")
    eventually((bench.recipe / "pid").exists)
    wrapper, terraform = bench.run_folder().wrapper(), bench.run_folder().terraform()
    assert wrapper
    assert terraform
    for process in (wrapper, terraform):
        os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: not is_alive(wrapper) and not is_alive(terraform))
    provisioner = psutil.Process(int((bench.recipe / "pid").read_text()))

    end = bench.resume()

    assert isinstance(end, StepEnd)
    assert (end.exit_code, end.killed, end.error) == (None, False, "")
    # Nobody of the session is left to touch what the next terraform touches.
    eventually(lambda: not provisioner.is_running())


def test_a_pid_that_somebody_else_has_now_is_nobody_of_ours(bench: Bench) -> None:
    bench.write(SLOW_COMMAND)
    killed_creator(bench, "after the row")
    me = identity_of(os.getpid())
    assert me
    stranger = ProcessIdentity(me.pid, me.start_ticks - 1)
    folder = bench.run_folder()
    folder.claim(stranger)
    folder.terraform_starts(stranger)

    end = bench.resume()

    assert isinstance(end, StepEnd)
    assert (end.exit_code, end.error) == (None, "")


def test_a_step_of_another_machine_is_out_of_reach_until_it_must_be_over(
    bench: Bench, eventually: Eventually
) -> None:
    bench.write(SLOW_COMMAND)
    killed_creator(bench, "after the start")
    (step,) = bench.rows()
    elsewhere = replace(step, host="another", boot_id="another")

    found = bench.steps().resume(elsewhere)

    assert found == Unreachable(step.deadline + GRACE + TAKE_OVER_MARGIN)
    assert bench.row().finished_at is None
    finished(bench, bench.resumed())


def test_after_a_boot_every_step_is_over(bench: Bench) -> None:
    bench.write(SLOW_COMMAND)
    killed_creator(bench, "after the start")
    (step,) = bench.rows()

    found = bench.steps().resume(replace(step, boot_id="before"))

    assert isinstance(found, StepEnd)
    assert found.exit_code is None
    bench.go()


def test_in_another_pid_namespace_only_the_lock_on_the_folder_tells(
    bench: Bench, eventually: Eventually
) -> None:
    bench.write(SLOW_COMMAND)
    killed_creator(bench, "after the start")
    (step,) = bench.rows()
    elsewhere = replace(step, pid_namespace="pid:[1]")

    assert isinstance(bench.steps().resume(elsewhere), Unreachable)

    bench.go()
    eventually(bench.run_folder().is_surely_dead)
    (step.folder / "exit.json").unlink()
    found = bench.steps().resume(elsewhere)
    assert isinstance(found, StepEnd)
    assert found.exit_code is None


def test_a_step_whose_folder_is_gone_is_not_taken_for_dead_while_it_lives(
    bench: Bench, eventually: Eventually
) -> None:
    bench.write(SLOW_COMMAND)
    killed_creator(bench, "after the start")
    eventually(bench.has_begun)
    terraform = bench.run_folder().terraform()
    assert terraform
    shutil.rmtree(bench.run_folder().path)

    assert isinstance(bench.resume(), Unreachable)

    os.kill(terraform.pid, signal.SIGINT)
    eventually(lambda: isinstance(bench.resume(), StepEnd))


def test_no_step_starts_for_a_creator_that_lost_its_lease(bench: Bench) -> None:
    def require(_: object) -> None:
        raise LeaseLostError("cluster")

    with pytest.raises(LeaseLostError):
        bench.steps().start(bench.deployment_id, bench.apply(), require=require)

    assert bench.rows() == []
    assert list((bench.folder / "run").iterdir()) == []


def test_a_terraform_that_is_not_there_is_an_error_and_no_riddle(bench: Bench) -> None:
    bench.terraform = str(bench.folder / "nothing")

    with pytest.raises(TerraformNotStartedError, match="No such file"):
        bench.steps().start(bench.deployment_id, bench.apply())

    assert bench.row().finished_at
    found = bench.run_folder().exit()
    assert found
    assert found == Exit(None, at_seconds=found.at_seconds, error=found.error)
    assert "No such file" in found.error


def test_a_killed_starter_is_replaced(bench: Bench) -> None:
    bench.write("true")
    starter = bench.launcher._starter
    assert starter
    starter.kill()

    step = bench.steps().start(bench.deployment_id, bench.apply())

    assert step.wait(stop=lambda: False, meanwhile=lambda: None).exit_code == 0


class HardOfHearing(Launcher):
    """Hears nothing of the first wrapper, and that a second one is refused."""

    def __init__(self, refusal: bytes | OSError) -> None:
        super().__init__()
        self._refusal = refusal
        self._asked = 0

    def _ask(self, launch: Launch) -> bytes:
        self._asked += 1
        if self._asked == 1:
            super()._ask(launch)
            return b""
        if isinstance(self._refusal, OSError):
            raise self._refusal
        return self._refusal


@pytest.mark.parametrize("refusal", [b"it came too late", OSError("too many open files")])
def test_a_step_whose_first_wrapper_was_not_heard_is_not_called_dead(
    bench: Bench, refusal: bytes | OSError
) -> None:
    bench.write(SLOW_COMMAND)
    bench.launcher.close()
    bench.launcher = HardOfHearing(refusal)

    step = bench.steps().start(bench.deployment_id, bench.apply())

    assert bench.row().finished_at is None
    finished(bench, step)


class Blind(Launcher):
    """On a machine that cannot even write down that a step was given up."""

    def start(self, launch: Launch) -> None:  # noqa: ARG002 - a port
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_step_of_which_nothing_can_be_told_keeps_its_row_open(bench: Bench) -> None:
    bench.write("true")
    bench.launcher.close()
    bench.launcher = Blind()

    with pytest.raises(StepUnclearError, match="No space left"):
        bench.steps().start(bench.deployment_id, bench.apply())

    assert bench.row().finished_at is None
    assert was_never_begun(bench, bench.resume())


def test_no_secret_of_creators_is_in_any_environment_or_command_line(
    bench: Bench, eventually: Eventually
) -> None:
    bench.write(SLOW_COMMAND)
    killed_creator(bench, "after the start")
    eventually(bench.has_begun)
    wrapper = bench.run_folder().wrapper()
    assert wrapper
    family = [psutil.Process(wrapper.pid)]
    family += family[0].children(recursive=True)
    assert len(family) > 2

    for process in family:
        words = " ".join([*process.cmdline(), *process.environ().values()])
        assert SECRET not in words

    finished(bench, bench.resumed())
