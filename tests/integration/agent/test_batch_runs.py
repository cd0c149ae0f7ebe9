"""A batch as the agent runs it: one process, a file of targets, a result for each combination."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from agent.accounts import Accounts
from agent.clocks import Clocks, boot_ns
from agent.configuration import ConfigurationNews
from agent.identity import Identity
from agent.loop import AgentLoop
from agent.mailboxes import Mailbox, Waker
from agent.plan import Batch, HostPlan, PlannedProber, RunKey, RunSpec
from agent.ports import AboutAgent, Ports
from agent.running.launchers import Workplace
from agent.running.users import Users
from agent.running.wiper import Wiper
from agent.sinks.port import Batch as PointBatch
from agent.sinks.port import SinkFigures
from common.contracts.reports import AgentReport
from common.contracts.states import Outcome
from tests.integration.agent.one_run import results_of

NAMES = ("a", "b", "c")
KEYS = tuple(RunKey(UUID(int=1), f'{{"target":"{name}"}}') for name in NAMES)
LABELS = tuple({"target": name} for name in NAMES)
SAYS_A_AND_B = """
cp "$MR_PROBER_TARGETS" {folder}/seen
case "$MR_PROBER_TARGETS" in "$TMPDIR"/*) ;; *) exit 3;; esac
echo 'mr_prober_outcome{{target="a"}} 0'
echo 'mr_prober_outcome{{target="b",reason="no answer"}} 1'
echo run >> {folder}/witness
"""


def spec_of(folder: Path, more: str = "", **changed: object) -> RunSpec:
    values: dict[str, object] = {
        "key": RunKey(UUID(int=1), "{}"),
        "prober_slug": "ping",
        "labels": {},
        "arguments": ("sh", "-c", SAYS_A_AND_B.format(folder=folder) + more),
        "environment": {},
        "folder": folder,
        "interval": timedelta(seconds=0.2),
        "time_limit": timedelta(seconds=10),
        "grace": timedelta(seconds=0.1),
        "output": "none",
        "batch": Batch(json.dumps([{"target": name} for name in NAMES]), KEYS, LABELS),
    }
    return RunSpec(**(values | changed))  # type: ignore[arg-type]


@pytest.fixture
def wiper() -> Iterator[Wiper]:
    made = Wiper()
    yield made
    made.close(time_limit_seconds=10)


def test_one_run_tells_about_each_combination(tmp_path: Path, wiper: Wiper) -> None:
    results = results_of(spec_of(tmp_path), tmp_path / "temporary", wiper)
    assert json.loads((tmp_path / "seen").read_text()) == [{"target": name} for name in NAMES]
    assert [result.key for result in results] == list(KEYS)
    outcomes = [result.verdict.outcome for result in results]
    assert outcomes == [Outcome.SUCCESS, Outcome.FAILURE, Outcome.BROKEN]
    assert results[1].verdict.reason == "no answer"


def test_after_the_time_limit_what_was_printed_stands(tmp_path: Path, wiper: Wiper) -> None:
    spec = spec_of(tmp_path, "exec sleep 600", time_limit=timedelta(seconds=2))
    outcomes = [
        result.verdict.outcome for result in results_of(spec, tmp_path / "temporary", wiper)
    ]
    assert outcomes == [Outcome.SUCCESS, Outcome.FAILURE, Outcome.TIMEOUT]


def test_many_combinations_are_neither_cut_off_nor_too_long_for_a_packet(
    tmp_path: Path, wiper: Wiper
) -> None:
    names = [f"{number:04d}{'x' * 100}" for number in range(2000)]
    keys = tuple(RunKey(UUID(int=1), name) for name in names)
    labels = tuple({"target": name} for name in names)
    targets = json.dumps([{"target": name} for name in names])
    script = (
        "import json, os\n"
        "for one in json.load(open(os.environ['MR_PROBER_TARGETS'])):\n"
        """    print('mr_prober_outcome{target="%s"} 0' % one['target'])\n"""
    )
    spec = spec_of(
        tmp_path, arguments=("python3", "-c", script), batch=Batch(targets, keys, labels)
    )
    results = results_of(spec, tmp_path / "temporary", wiper)
    assert {result.verdict.outcome for result in results} == {Outcome.SUCCESS}
    assert len(results) == 2000


def test_a_batch_that_cannot_start_breaks_each_combination(tmp_path: Path, wiper: Wiper) -> None:
    spec = spec_of(tmp_path, arguments=("/no/such/program",))
    outcomes = [
        result.verdict.outcome for result in results_of(spec, tmp_path / "temporary", wiper)
    ]
    assert outcomes == [Outcome.BROKEN] * 3


class LastPoints:
    """A sink that remembers the last batch of points."""

    def __init__(self) -> None:
        self.points: list[tuple[str, dict[str, str], object]] = []

    def start(self) -> None:
        pass

    def accept(self, batch: PointBatch) -> None:
        self.points = [(point.name, dict(point.labels), point.value) for point in batch.points]

    def figures(self) -> SinkFigures:
        return SinkFigures()

    def close(self, *, time_limit_seconds: float) -> None:
        pass


def test_counters_states_and_reports_are_per_combination(tmp_path: Path, wiper: Wiper) -> None:
    spec = spec_of(tmp_path)
    prober = PlannedProber(UUID(int=1), "ping", 1, KEYS, LABELS, (spec,))
    news: Mailbox[ConfigurationNews] = Mailbox()
    news.put(ConfigurationNews(HostPlan(UUID(int=9), "demo", 1, (prober,)), "", None))
    sink, reports = LastPoints(), list[AgentReport]()
    (tmp_path / "temporary").mkdir()
    loop = AgentLoop(
        AboutAgent(Identity(UUID(int=5), 1), "h1", "demo"),
        Ports(news, Waker(), sink, reports.append, Accounts(tmp_path)),
        Workplace(tmp_path / "temporary", "/usr/bin:/bin", Users(), wiper),
        clocks=Clocks(now=lambda: datetime.now(UTC), boot_ns=boot_ns),
    )
    limit = time.monotonic() + 60
    witness = tmp_path / "witness"
    loop.run(
        lambda: (
            (witness.exists() and len(witness.read_text().split()) >= 3) or time.monotonic() > limit
        )
    )
    assert reports[-1].probers[0]["states"] == "013"
    assert reports[-1].reasons[0]["text"] == "no answer"

    beats = {}
    for target, outcome in zip(NAMES, ("success", "failure", "broken"), strict=True):
        own = [p for p in sink.points if p[1].get("target") == target]
        runs = {p[1]["outcome"]: p[2] for p in own if p[0] == "mr_prober_runs"}
        assert {name for name, count in runs.items() if count} == {outcome}
        beats[target] = [p[2] for p in own if p[0] in {"mr_prober_runs", "mr_prober_skipped_runs"}]
    # Each has the same number of runs and skips: those of the one schedule.
    assert len({sum(map(int, map(str, counts))) for counts in beats.values()}) == 1
