"""Mode `server`: a real program of cloudprober's, unmodified, and servers that lie, hang, flood and die."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from agent.clocks import boot_ns
from agent.plan import Batch, RunKey, RunSpec, Sandbox
from agent.results import RunResult
from common.contracts.states import Outcome
from tests.integration.agent.runner_bench import Bench, opened_bench

# Written for cloudprober, with the package that cloudprober publishes.
REAL = """
import json, os, sys, time

from cloudprober.external.serverutils import serve


def probe(request, reply):
    options = {option.name: option.value for option in request.options}
    wanted = options.get("do", "answer")
    if wanted == "answer":
        reply.payload = f'seen{{pid="{os.getpid()}"}} 1\\ntarget_number {options.get("target", "0")}'
    elif wanted == "fail":
        reply.error_message = "the target says no"
    elif wanted == "sleep":
        time.sleep(300)
    elif wanted == "raise":
        raise ValueError("a bug of the prober")
    elif wanted == "late":
        time.sleep(0.5)
        reply.payload = "late 1"
    elif wanted == "exit":
        print("cannot go on", file=sys.stderr, flush=True)
        os._exit(5)
    elif wanted == "abort":
        os.abort()
    elif wanted == "flood":
        reply.payload = "x" * 3_000_000
    elif wanted == "eat":
        kept = []
        while True:
            kept.append(b"x" * 10_000_000)
            time.sleep(0.01)
    elif wanted == "burn":
        while True:
            pass
    elif wanted == "tell":
        with open(options["witness"], "a") as file:
            file.write(json.dumps({"options": options, "environment": dict(os.environ), "limit": request.time_limit}) + "\\n")
    elif wanted == "batch":
        targets = json.loads(options["MR_PROBER_TARGETS"])
        reply.payload = "\\n".join('mr_prober_outcome{target="%s"} %d' % (one["target"], one["target"] == "b") for one in targets)


serve(probe)
"""
# Speaks the protocol by itself, and badly.
ODD = """
import os, sys, time

wanted = os.environ["VAR_DO"]
if wanted == "never reads":
    time.sleep(300)
if wanted == "ignores SIGTERM":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        time.sleep(300)
if wanted == "dies at once":
    sys.exit("no licence")
read = sys.stdin.buffer
while True:
    line = read.readline()
    if not line:
        time.sleep(300)
    if not line.startswith(b"Content-Length: "):
        continue
    read.readline()
    content = read.read(int(line.split()[1]))
    request_id = content[1]
    reply = bytes([8, request_id, 26, 3]) + b"a 1"
    frame = b"\\nContent-Length: %d\\n\\n%s" % (len(reply), reply)
    if wanted == "noise":
        frame = b"hello\\n\\xff\\0no newline" + frame.lstrip() + b"more"
    elif wanted == "answers others":
        other = bytes([8, request_id + 50, 26, 3]) + b"b 1"
        frame = b"Content-Length: %d\\n\\n%s" % (len(other), other) + frame
    elif wanted == "nonsense":
        frame = b"Content-Length: 4\\n\\n\\xff\\xff\\xff\\xff"
    elif wanted == "huge":
        frame = b"Content-Length: 999999999\\n\\n"
    elif wanted == "floods":
        frame = b"x" * 65536 * 64
    elif wanted == "hangs at the second" and request_id > 1:
        continue
    elif wanted == "in pieces":
        for byte in frame:
            os.write(1, bytes([byte]))
        continue
    os.write(1, frame)
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with opened_bench(tmp_path) as made:
        (made.folder / "real.py").write_text(REAL)
        (made.folder / "odd.py").write_text(ODD)
        yield made


def real(bench: Bench, do: str = "answer", **changed: object) -> RunSpec:
    """A run of one combination: `do` and `target` are matrix variables."""
    target = str(changed.pop("target", "0"))
    values: dict[str, object] = {
        "mode": "server",
        "output": "prometheus",
        "labels": {"do": do, "target": target},
        "environment": {"VAR_DO": do, "VAR_TARGET": target, "MR_PROBER_HOST": "h1"},
        "time_limit": timedelta(seconds=30),
    }
    return bench.spec("python3", "real.py", **(values | changed))


def odd(bench: Bench, do: str, **changed: object) -> RunSpec:
    values: dict[str, object] = {
        "mode": "server",
        "output": "prometheus",
        "environment": {"VAR_DO": do},
        "time_limit": timedelta(seconds=30),
    }
    return bench.spec("python3", "odd.py", **(values | changed))


def servers(file: str = "real.py") -> list[int]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline()[-1:] == [file]:
                found.append(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def pid_of(result: RunResult) -> str:
    return next(dict(one.labels)["pid"] for one in result.printed.samples if one.name == "seen")


def test_one_process_answers_all_runs_and_combinations(bench: Bench) -> None:
    results = [bench.run(real(bench, target=str(number))) for number in range(5)]
    assert {result.verdict.outcome for result in results} == {Outcome.SUCCESS}
    assert len({pid_of(result) for result in results}) == 1
    numbers = [
        sample.value
        for result in results
        for sample in result.printed.samples
        if sample.name == "target_number"
    ]
    # The last line of a payload has no newline and is whole all the same.
    assert numbers == [0, 1, 2, 3, 4]
    assert results[-1].cost.peak_rss_bytes > 0


def test_an_error_message_is_a_failure_with_that_reason(bench: Bench) -> None:
    verdict = bench.run(real(bench, "fail")).verdict
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILURE, "the target says no")
    assert bench.run(real(bench)).verdict.outcome is Outcome.SUCCESS


def test_requests_carry_variables_by_name_and_the_environment_only_what_is_shared(
    bench: Bench,
) -> None:
    witness = bench.folder / "witness"
    environment = {
        "VAR_DO": "tell", "VAR_TARGET": "h2", "VAR_TARGET_ADDRESS": "127.0.0.2",
        "VAR_WITNESS": str(witness), "MR_PROBER_HOST": "h1",
    }  # fmt: skip
    labels = {"do": "tell", "target": "h2"}
    bench.run(real(bench, labels=labels, environment=environment))
    told = json.loads(witness.read_text())
    assert told["options"] == {
        "do": "tell", "target": "h2", "target_address": "127.0.0.2",
        "witness": str(witness), "MR_PROBER_HOST": "h1",
    }  # fmt: skip
    assert told["limit"] == 30_000
    names = {"VAR_WITNESS", "MR_PROBER_HOST", "PATH", "LANG", "TMPDIR"}
    assert told["environment"].keys() - {"LC_CTYPE"} == names


def test_a_batch_is_one_request(bench: Bench) -> None:
    keys = tuple(RunKey(UUID(int=1), name) for name in "abc")
    labels = tuple({"target": name} for name in "abc")
    targets = json.dumps([{"target": name} for name in "ab"])
    spec = real(bench, "batch", batch=Batch(targets, keys, labels))
    bench.runner.start(spec, boot_ns())
    bench.turn_until(lambda: len(bench.results) == 3)
    outcomes = [result.verdict.outcome for result in bench.results]
    assert outcomes == [Outcome.SUCCESS, Outcome.FAILURE, Outcome.BROKEN]


def test_no_answer_in_time_is_a_timeout_and_the_others_go_on(bench: Bench) -> None:
    slow = real(bench, "sleep", time_limit=timedelta(seconds=0.5))
    bench.run(real(bench))
    bench.runner.start(slow, boot_ns())
    answered = bench.run(real(bench, target="1"))
    bench.turn_until(lambda: bench.results)
    timeout = bench.results.pop()
    assert answered.verdict.outcome is Outcome.SUCCESS
    assert timeout.verdict.outcome is Outcome.TIMEOUT
    assert timeout.verdict.reason.startswith("no end within 0.5 s")


def test_a_bug_in_the_probe_shows_in_the_reason(bench: Bench) -> None:
    bench.run(real(bench))
    verdict = bench.run(real(bench, "raise", time_limit=timedelta(seconds=1))).verdict
    assert verdict.outcome is Outcome.TIMEOUT
    assert "ValueError" in verdict.reason or "Timeout for request" in verdict.reason


def test_a_late_answer_is_nobodys(bench: Bench) -> None:
    late = bench.spec(
        "python3",
        "odd.py",
        mode="server",
        output="prometheus",
        environment={"VAR_DO": "answers others"},
    )
    for _ in range(3):
        result = bench.run(late)
        assert result.verdict.outcome is Outcome.SUCCESS
        assert [sample.name for sample in result.printed.samples] == ["a"]


@pytest.mark.parametrize(
    ("do", "words"), [("exit", "exit status 5: cannot go on"), ("abort", "SIGABRT")]
)
def test_a_server_that_dies_breaks_what_it_owed_and_is_started_again(
    bench: Bench, do: str, words: str
) -> None:
    before = pid_of(bench.run(real(bench)))
    bench.runner.start(real(bench, "sleep"), boot_ns())
    bench.runner.start(real(bench, do), boot_ns())
    bench.turn_until(lambda: len(bench.results) == 2)
    for result in bench.results:
        assert result.verdict.outcome is Outcome.BROKEN
        assert words in result.verdict.reason
    bench.results.clear()
    assert pid_of(bench.run(real(bench))) != before


def test_one_that_dies_again_and_again_gets_growing_pauses(bench: Bench) -> None:
    spec = odd(bench, "dies at once")
    results = [bench.run(spec) for _ in range(5)]
    assert {result.verdict.outcome for result in results} == {Outcome.BROKEN}
    assert "exit status 1: no licence" in results[0].verdict.reason
    assert "it is started again in" in results[-1].verdict.reason


def test_a_program_that_is_missing_is_broken(bench: Bench) -> None:
    verdict = bench.run(replace(real(bench), arguments=("./missing",))).verdict
    assert verdict.outcome is Outcome.BROKEN
    assert "cannot be started" in verdict.reason


def test_a_wedged_server_is_replaced(bench: Bench) -> None:
    spec = odd(bench, "hangs at the second")
    assert bench.run(spec).verdict.outcome is Outcome.SUCCESS
    [before] = servers("odd.py")
    hanging = replace(spec, time_limit=timedelta(seconds=0.2))
    for _ in range(3):
        assert bench.run(hanging).verdict.outcome is Outcome.TIMEOUT
    bench.turn_until(lambda: before not in servers("odd.py"))
    assert bench.run(spec).verdict.outcome is Outcome.SUCCESS
    assert servers("odd.py") != [before]


def test_one_that_reads_nothing_is_replaced_too_and_never_holds_us_up(bench: Bench) -> None:
    environment = {"VAR_DO": "never reads", "VAR_LONG": "x" * 100_000}
    spec = odd(bench, "", environment=environment, time_limit=timedelta(seconds=0.2))
    bench.runner.start(replace(spec, time_limit=timedelta(seconds=5)), boot_ns())
    for _ in range(3):
        assert bench.run(spec).verdict.outcome is Outcome.TIMEOUT
    # It may still answer what it owes; then it goes.
    [before] = servers("odd.py")
    bench.turn_until(lambda: bench.results)
    bench.results.clear()
    bench.turn_until(lambda: before not in servers("odd.py"))


@pytest.mark.parametrize("do", ["noise", "in pieces"])
def test_what_is_printed_between_replies_is_skipped(bench: Bench, do: str) -> None:
    for _ in range(3):
        result = bench.run(odd(bench, do))
        assert [sample.name for sample in result.printed.samples] == ["a"]


def test_a_reply_that_cannot_be_read_is_no_answer(bench: Bench) -> None:
    spec = odd(bench, "nonsense", time_limit=timedelta(seconds=1))
    assert bench.run(spec).verdict.outcome is Outcome.TIMEOUT


@pytest.mark.parametrize("do", ["huge", "floods"])
def test_too_much_output_is_a_breach_and_costs_the_server_its_life(bench: Bench, do: str) -> None:
    verdict = bench.run(odd(bench, do, output_bytes=1_000_000)).verdict
    assert verdict.outcome is Outcome.BROKEN
    assert "killed by limit (output_mb)" in verdict.reason
    bench.turn_until(lambda: not servers("odd.py"))


def test_too_much_memory_is_a_breach(bench: Bench) -> None:
    spec = real(bench, "eat", sandbox=Sandbox(memory_bytes=200 * 2**20))
    verdict = bench.run(spec).verdict
    assert verdict.outcome is Outcome.BROKEN
    assert "killed by limit (memory_mb)" in verdict.reason


def test_too_much_cpu_is_a_breach(bench: Bench) -> None:
    verdict = bench.run(real(bench, "burn", cpu_seconds=1)).verdict
    assert verdict.outcome is Outcome.BROKEN
    assert "killed by limit (cpu_seconds)" in verdict.reason


def test_it_ends_when_nobody_wants_its_runs_any_more(bench: Bench) -> None:
    first, second = (
        replace(real(bench, target=name), key=RunKey(UUID(int=1), name)) for name in "12"
    )
    bench.run(first)
    bench.run(second)
    bench.runner.end(first.key, boot_ns())
    assert len(servers()) == 1
    bench.runner.end(second.key, boot_ns())
    bench.turn_until(lambda: not servers())


def test_a_server_that_ignores_sigterm_is_killed_with_all_that_it_started(bench: Bench) -> None:
    bench.run(odd(bench, "ignores SIGTERM"))
    bench.runner.end_all(boot_ns())
    assert bench.runner.in_progress == 1
    bench.turn_until(lambda: not bench.runner.in_progress)
    bench.turn_until(lambda: not servers("odd.py"))


def test_a_trial_has_a_server_of_its_own_that_goes_with_it(bench: Bench) -> None:
    before = pid_of(bench.run(real(bench)))
    tried = replace(real(bench), is_trial=True, key=RunKey(UUID(int=7), "{}"))
    assert pid_of(bench.run(tried)) != before
    bench.turn_until(lambda: len(servers()) == 1)
    assert pid_of(bench.run(real(bench))) == before


def test_a_killed_launcher_breaks_its_requests_and_another_server_comes(bench: Bench) -> None:
    bench.run(real(bench))
    [server] = servers()
    launcher = psutil.Process(server).parent()
    assert launcher is not None
    bench.runner.start(real(bench, "sleep"), boot_ns())
    launcher.kill()
    bench.turn_until(lambda: bench.results)
    assert bench.results.pop().verdict.outcome is Outcome.BROKEN
    assert bench.run(real(bench)).verdict.outcome is Outcome.SUCCESS


def test_no_descriptor_is_leaked(bench: Bench) -> None:
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    bench.run(bench.shell("true"))
    before = opened()
    for _ in range(3):
        bench.run(real(bench))
        bench.run(real(bench, "exit"))
        bench.turn_until(lambda: not servers())
    end = time.monotonic() + 20
    while opened() != before and time.monotonic() < end:
        bench.turn_until(lambda: True)
    assert opened() == before
