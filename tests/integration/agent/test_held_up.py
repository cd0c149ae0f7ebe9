"""A loop that was held up, launchers that hang: verdicts go by when programs ended, and nobody waits for anybody."""

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from agent.clocks import boot_ns
from agent.plan import RunKey
from agent.scheduler import SECOND_NS
from common.contracts.states import Outcome
from tests.integration.agent.runner_bench import Bench, opened_bench
from tests.integration.agent.stand_ins import wait_until

# More than a loop hears of in one round.
MANY = 150
# Answers each request, behind much that it prints; a pipe holds a small part of that.
SERVER = """
import os, sys

noise, begun = int(sys.argv[1]), sys.argv[2]
while line := sys.stdin.buffer.readline():
    if line.startswith(b"Content-Length: "):
        sys.stdin.buffer.readline()
        request_id = sys.stdin.buffer.read(int(line.split()[1]))[1]
        open(begun, "w").close()
        frame = b"x" * noise + b"\\nContent-Length: 2\\n\\n" + bytes([8, request_id])
        while frame:
            frame = frame[os.write(1, frame):]
        open(begun + " and done", "w").close()
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with opened_bench(tmp_path) as made:
        yield made


def launchers() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if "agent.running.launcher" in " ".join(child.cmdline())
    ]


def test_who_ended_in_time_is_no_timeout_however_late_we_hear_of_it(bench: Bench) -> None:
    ended = bench.folder / "ended"
    limit = timedelta(seconds=60)
    for number in range(MANY):
        key = RunKey(UUID(int=number), "{}")
        bench.runner.start(bench.shell(f"echo x >> {ended}", time_limit=limit, key=key), boot_ns())
    hanging = bench.shell("trap '' TERM; sleep 300", time_limit=limit)
    bench.runner.start(hanging, boot_ns())
    wait_until(lambda: ended.exists() and ended.read_bytes().count(b"\n") == MANY)
    # As if the loop had stood still since then.
    bench.ahead_ns += 100 * SECOND_NS
    bench.turn_until(lambda: len(bench.results) > MANY)
    outcomes = {result.key: result.verdict.outcome for result in bench.results}
    assert outcomes.pop(hanging.key) is Outcome.TIMEOUT
    assert set(outcomes.values()) == {Outcome.SUCCESS}
    assert all(result.seconds < 60 for result in bench.results if result.key != hanging.key)


def test_an_end_after_the_time_limit_stays_a_timeout(bench: Bench) -> None:
    ended = bench.folder / "ended"
    spec = bench.shell(f"sleep 0.3; echo x >> {ended}", time_limit=timedelta(seconds=0.1))
    bench.runner.start(spec, boot_ns())
    # It ends before the loop has a moment to end it.
    wait_until(ended.exists)
    bench.ahead_ns += SECOND_NS
    bench.runner.tick(bench.now_ns())
    bench.turn_until(lambda: bench.results)
    assert bench.results[0].verdict.outcome is Outcome.TIMEOUT


def test_the_loop_does_not_wait_for_a_launcher_that_does_not_end(bench: Bench) -> None:
    bench.run(bench.shell("true"))
    (launcher,) = launchers()
    launcher.send_signal(signal.SIGSTOP)
    wait_until(lambda: launcher.status() == psutil.STATUS_STOPPED)
    bench.ahead_ns += 700 * SECOND_NS
    bench.runner.tick(bench.now_ns())
    # It has come back, and who is stopped cannot have ended.
    assert launcher.status() == psutil.STATUS_STOPPED
    bench.runner.tick(bench.now_ns())
    assert bench.run(bench.shell("true")).verdict.outcome is Outcome.SUCCESS
    bench.ahead_ns += 10 * SECOND_NS
    bench.turn_until(lambda: not launcher.is_running())
    bench.turn_until(lambda: len(list(bench.temporary.iterdir())) == 1)


@pytest.mark.parametrize("noise_bytes", [0, 1_000_000])
def test_what_a_server_answered_meanwhile_counts_wherever_it_stands(
    bench: Bench, noise_bytes: int
) -> None:
    begun, done = bench.folder / "begun", bench.folder / "begun and done"
    spec = bench.spec(
        "python3", "-c", SERVER, str(noise_bytes), str(begun),
        mode="server", output="prometheus", time_limit=timedelta(seconds=60),
    )  # fmt: skip
    bench.runner.start(spec, boot_ns())
    # With so much before it, it cannot be done until somebody reads.
    wait_until(begun.exists if noise_bytes else done.exists)
    bench.ahead_ns += 100 * SECOND_NS
    bench.runner.tick(bench.now_ns())
    bench.turn_until(lambda: bench.results)
    assert bench.results[0].verdict.outcome is Outcome.SUCCESS


def test_a_server_that_has_not_answered_is_a_timeout_after_a_last_look(bench: Bench) -> None:
    spec = bench.spec(
        "python3", "-c", "import time; time.sleep(300)",
        mode="server", output="prometheus", time_limit=timedelta(seconds=60),
    )  # fmt: skip
    bench.runner.start(spec, boot_ns())
    bench.ahead_ns += 100 * SECOND_NS
    bench.runner.tick(bench.now_ns())
    assert not bench.results
    bench.ahead_ns += SECOND_NS
    bench.turn_until(lambda: bench.results)
    assert bench.results[0].verdict.outcome is Outcome.TIMEOUT
