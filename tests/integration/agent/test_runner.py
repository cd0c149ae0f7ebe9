"""Real and hostile programs under the runner: each gets its verdict, and nothing of it is left behind."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from agent.clocks import boot_ns
from agent.plan import RunKey
from agent.running import runner
from agent.running.orphans import Orphans
from common import processes
from common.contracts.states import Outcome
from tests.integration.agent.runner_bench import PATH, Bench, opened_bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with opened_bench(tmp_path) as made:
        yield made


def seen(file: Path) -> Callable[[], bool]:
    return lambda: file.exists() and file.read_text().endswith("\n")


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid)


def test_a_run_has_its_own_small_world(bench: Bench) -> None:
    printed = bench.folder / "printed"
    result = bench.run(bench.shell(f"(env; pwd; ls -A $TMPDIR; cat) > {printed}; exit 1"))
    assert result.verdict.outcome is Outcome.FAILURE
    lines = printed.read_text().splitlines()
    names = {line.partition("=")[0] for line in lines if "=" in line}
    # The shell itself adds PWD, and some add SHLVL and _.
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {
        "MR_PROBER_HOST", "VAR_PORT", "PATH", "LANG", "TMPDIR",
    }  # fmt: skip
    assert lines[-1] == str(bench.folder)
    assert result.cost.peak_rss_bytes > 0


def test_python3_is_the_interpreter_of_the_agent(bench: Bench) -> None:
    code = "import requests, sys; sys.exit(f'{sys.prefix}')"
    assert bench.run(bench.spec("python3", "-c", code)).verdict.reason == sys.prefix


def test_its_temporary_folder_is_wiped(bench: Bench) -> None:
    result = bench.run(bench.shell("mkdir -p $TMPDIR/a/b; echo x > $TMPDIR/a/b/c"))
    assert result.verdict.outcome is Outcome.SUCCESS
    bench.turn_until(lambda: not bench.left_files())


def test_kills_the_whole_group_when_sigterm_is_ignored(bench: Bench) -> None:
    pids = bench.folder / "pids"
    script = f"trap '' TERM; (trap '' TERM; sleep 300) & echo $$ $! > {pids}; wait"
    result = bench.run(bench.shell(script, time_limit=timedelta(seconds=0.3)))
    assert result.verdict.outcome is Outcome.TIMEOUT
    bench.turn_until(lambda: all(is_gone(int(pid)) for pid in pids.read_text().split()))


def test_exit_0_after_sigterm_stays_a_timeout(bench: Bench) -> None:
    script = "trap 'exit 0' TERM; while :; do sleep 0.01; done"
    changed = {"time_limit": timedelta(seconds=0.3), "grace": timedelta(seconds=10)}
    assert bench.run(bench.shell(script, **changed)).verdict.outcome is Outcome.TIMEOUT


def test_who_prints_more_than_a_pipe_holds_is_read_before_its_time_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_WATCH_AFTER_NS", 3600 * 10**9)
    script = "head -c 200000 /dev/zero"
    result = bench.run(bench.shell(script, time_limit=timedelta(seconds=6)))
    assert result.verdict.outcome is Outcome.SUCCESS


def test_a_stopped_program_is_killed_too(bench: Bench) -> None:
    limit = timedelta(seconds=0.2)
    result = bench.run(bench.shell("kill -STOP $$", time_limit=limit))
    assert result.verdict.outcome is Outcome.TIMEOUT


def test_a_child_that_left_the_group_dies_with_the_run(bench: Bench) -> None:
    pid = bench.folder / "pid"
    result = bench.run(bench.shell(f"setsid sh -c 'echo $$ > {pid}; exec sleep 300' & sleep 0.1"))
    assert result.verdict.outcome is Outcome.SUCCESS
    bench.turn_until(seen(pid))
    bench.turn_until(lambda: is_gone(int(pid.read_text())))


def test_a_daemon_without_a_trace_of_its_run_dies_after_it(bench: Bench) -> None:
    pid = bench.folder / "pid"
    daemon = f"setsid env -i /bin/sh -c 'echo $$ > {pid}; exec sleep 300'"
    other = bench.shell("exec sleep 300", key=RunKey(UUID(int=2), "{}"))
    script = f"({daemon} &); while ! test -s {pid}; do sleep 0.01; done; exec sleep 300"
    bench.runner.start(bench.shell(script), boot_ns())
    bench.turn_until(seen(pid))
    ticks = processes.start_ticks(int(pid.read_text()))
    assert ticks is not None
    # Starts of processes are known by the tick: whoever starts within the same one might be its parent.
    end_of_tick_ns = (ticks + 1) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    bench.turn_until(lambda: boot_ns() > end_of_tick_ns)
    bench.runner.start(other, boot_ns())
    bench.runner.sweep()
    assert not is_gone(int(pid.read_text()))
    bench.runner.end(RunKey(UUID(int=1), "{}"), boot_ns())
    bench.turn_until(lambda: is_gone(int(pid.read_text())))
    assert bench.runner.in_progress == 1


def test_a_daemon_of_a_run_in_progress_is_left_alone(bench: Bench) -> None:
    pid = bench.folder / "pid"
    daemon = f"setsid sh -c 'echo $$ > {pid}; exec sleep 300'"
    bench.runner.start(bench.shell(f"({daemon} &); exec sleep 300"), boot_ns())
    bench.turn_until(seen(pid))
    for _ in range(3):
        bench.runner.sweep()
    assert not is_gone(int(pid.read_text()))


def test_what_an_orphan_writes_after_its_run_is_wiped_too(bench: Bench) -> None:
    busy = "while :; do mkdir -p $TMPDIR/x; touch $TMPDIR/x/y; done"
    script = f"(setsid sh -c '{busy}' &); while ! test -e $TMPDIR/x/y; do sleep 0.01; done"
    bench.run(bench.shell(script))
    bench.turn_until(lambda: not bench.left_files())


def test_folders_are_used_again_although_something_is_left_behind_again_and_again(
    bench: Bench,
) -> None:
    names = bench.folder / "names"
    leaving = bench.shell(f"(setsid sleep 300 &); echo $TMPDIR >> {names}")
    begin = time.monotonic()
    for number in range(1, 41):
        bench.run(leaving)
        next_run = begin + 0.1 * number
        bench.turn_until(lambda: time.monotonic() >= next_run)  # noqa: B023 - it is over before the next
    used = names.read_text().split()
    assert len(used) == 40
    assert len(set(used)) < 22


def test_orphans_leave_no_zombies(bench: Bench) -> None:
    bench.run(bench.shell("true"))
    before = set(psutil.Process().children(recursive=True))
    bench.run(bench.shell("for i in 1 2 3 4 5; do (setsid true &); done"))
    bench.turn_until(lambda: set(psutil.Process().children(recursive=True)) <= before)


def test_a_child_that_was_there_before_is_never_touched(tmp_path: Path) -> None:
    stranger = processes.start(["sleep", "300"], environment={}, cwd=tmp_path)
    try:
        orphans = Orphans(str(tmp_path))
        assert orphans.sweep(set(), {}) == set()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_what_cannot_be_killed_does_not_hold_up_a_sweep(tmp_path: Path) -> None:
    kills: list[tuple[int, int]] = []
    orphans = Orphans(str(tmp_path), kill=lambda pid, number: kills.append((pid, number)))
    survivor = processes.start(["sleep", "300"], environment={}, cwd=tmp_path)
    try:
        assert [orphans.sweep(set(), {}) for _ in range(3)] == [{survivor.pid}] * 3
        assert set(kills) == {(survivor.pid, signal.SIGKILL)}
    finally:
        survivor.kill()
        survivor.wait()


def test_never_takes_the_status_of_its_own_children(bench: Bench) -> None:
    for number in range(20):
        bench.runner.start(
            bench.shell("(true &); exit 7", key=RunKey(UUID(int=number), "{}")), boot_ns()
        )
        bench.runner.sweep()
    bench.turn_until(lambda: len(bench.results) == 20)
    assert {result.verdict.reason for result in bench.results} == {"exit status 7"}


def test_a_flood_of_output_is_kept_within_bounds(bench: Bench) -> None:
    script = "echo first; head -c 30000000 /dev/zero | tr '\\0' x; echo; echo last >&2; exit 1"
    result = bench.run(bench.shell(script))
    assert result.verdict.outcome is Outcome.FAILURE
    assert result.verdict.reason == "last"


def test_the_end_is_the_end_of_the_process_not_of_its_pipes(bench: Bench) -> None:
    pid = bench.folder / "pid"
    script = f"setsid sh -c 'echo $$ > {pid}; exec sleep 300' & sleep 0.1; echo 'a 1'"
    result = bench.run(bench.shell(script, output="prometheus"))
    assert result.verdict.outcome is Outcome.SUCCESS
    assert [sample.name for sample in result.printed.samples] == ["a"]


def test_closing_its_output_does_not_end_a_run(bench: Bench) -> None:
    result = bench.run(bench.shell("exec >&- 2>&-; sleep 0.1; exit 4"))
    assert result.verdict.reason == "exit status 4"


def test_printed_metrics_survive_bad_lines_and_nul_bytes(bench: Bench) -> None:
    script = r"printf 'good 1\n\000\000\nNaN\nbad{ 2\nhalf'"
    printed = bench.run(bench.shell(script, output="prometheus")).printed
    assert [sample.name for sample in printed.samples] == ["good"]
    assert printed.bad_lines == 4


@pytest.mark.parametrize("program", ["./missing", "missing", "./no-interpreter", "./plain"])
def test_a_program_that_cannot_start_is_broken(bench: Bench, program: str) -> None:
    script = bench.folder / "no-interpreter"
    script.write_text("#!/nowhere/python\n")
    script.chmod(0o755)
    (bench.folder / "plain").write_text("no program")
    result = bench.run(bench.spec(program))
    assert result.verdict.outcome is Outcome.BROKEN
    assert program in result.verdict.reason
    assert bench.ended


def test_death_by_a_foreign_signal_is_broken(bench: Bench) -> None:
    assert bench.run(bench.shell("kill -9 $$")).verdict.reason == "killed by SIGKILL"


def test_killing_its_own_group_is_broken(bench: Bench) -> None:
    assert bench.run(bench.shell("kill -TERM 0; sleep 5")).verdict.outcome is Outcome.BROKEN


def test_a_prober_removed_while_it_runs_is_ended_without_a_result(bench: Bench) -> None:
    spec = bench.shell("trap '' TERM; sleep 300")
    bench.runner.start(spec, boot_ns())
    assert bench.runner.in_progress == 1
    bench.runner.end(spec.key, boot_ns())
    bench.turn_until(lambda: bench.ended)
    assert not bench.results
    assert bench.runner.in_progress == 0


def test_no_descriptor_is_leaked(bench: Bench) -> None:
    bench.run(bench.shell("true"))
    before = open_descriptors()
    for _ in range(5):
        bench.run(bench.shell("echo x; (setsid sleep 300 &)"))
        bench.run(bench.spec("./missing"))
    bench.turn_until(lambda: open_descriptors() == before)


def test_descriptors_of_the_agent_do_not_reach_the_prober(bench: Bench) -> None:
    printed = bench.folder / "printed"
    bench.run(bench.shell(f"ls /proc/self/fd > {printed}"))
    # 0 to 2, and the one by which `ls` reads the folder.
    assert len(printed.read_text().split()) <= 4


def test_signals_are_as_they_were_for_anybody(bench: Bench) -> None:
    code = "import signal, sys; sys.exit(int(signal.getsignal(signal.SIGINT) is None))"
    assert bench.run(bench.spec("python3", "-c", code)).verdict.outcome is Outcome.SUCCESS
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_secret_that_a_prober_prints_is_not_repeated(bench: Bench) -> None:
    secret = "correct-horse-battery"
    spec = bench.shell(
        'echo "cannot log in with $VAR_PASSWORD" >&2; exit 1',
        environment={"VAR_PASSWORD": secret, "PATH": PATH},
        secrets=(secret,),
    )
    assert bench.run(spec).verdict.reason == "cannot log in with (sensitive)"
