"""200 probers each second for a while: every beat is run, and the agent does not grow.

The runs are counted by what the programs write, not by our own counters.
"""

import os
import pwd
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from common import processes
from tests.integration.agent.stand_ins import StubApi, document, prober, wait_until

ROOT = Path(__file__).parents[3]
PROBERS = 200
WARM_UP_RUNS = 8
# `make soak` measures for nearly an hour.
MEASURED_SECONDS = 60 * int(os.environ.get("SOAK_FACTOR", "1"))  # noqa: TID251 - how long to test is no setting of ours


@dataclass(frozen=True)
class Sample:
    processes: int
    descriptors: int
    memory: int

    @classmethod
    def of(cls, agent: psutil.Process) -> "Sample":
        launchers = [child for child in agent.children() if "launcher" in str(child.cmdline())]
        parts = [agent, *launchers]
        return cls(
            processes=len(agent.children()),
            descriptors=sum(part.num_fds() for part in parts),
            memory=sum(part.memory_info().rss for part in parts),
        )


@pytest.fixture
def agent(stub_api: StubApi, agent_folder: Path, tmp_path: Path) -> Iterator[psutil.Process]:
    witness = tmp_path / "witness"
    one_matrix = {"number": {"values": list(range(PROBERS))}}
    script = f"echo $VAR_NUMBER >> {witness}"
    stub_api.document = document(
        prober(1, {}, ["sh", "-c", script], interval_seconds=1, matrix=one_matrix)
    )
    with (tmp_path / "log").open("wb") as log:
        started = processes.start(
            [sys.executable, "agent/main.py"],
            environment={
                "PYTHONPATH": str(ROOT),
                "MR_PROBER_API_URL": stub_api.url,
                "MR_PROBER_CLUSTER": "demo",
                "MR_PROBER_HOST": "h1",
                "MR_PROBER_AGENT_TOKEN": stub_api.token,
                "MR_PROBER_AGENT_DIR": str(agent_folder),
                "MR_PROBER_AGENT_USER": pwd.getpwuid(os.geteuid()).pw_name,
            },
            cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip
    yield psutil.Process(started.pid)
    started.terminate()
    assert started.wait(30) == 0


def least_runs(witness: Path) -> int:
    runs = Counter(witness.read_text().split())
    return min(runs.values()) if len(runs) == PROBERS else 0


def test_runs_every_beat_and_does_not_grow(agent: psutil.Process, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    wait_until(lambda: witness.exists() and least_runs(witness) >= WARM_UP_RUNS)
    samples: list[Sample] = []
    before = Counter(witness.read_text().split())
    begin = time.monotonic()
    while time.monotonic() < begin + MEASURED_SECONDS:
        samples.append(Sample.of(agent))
        time.sleep(0.5)
    runs = Counter(witness.read_text().split()) - before
    seconds = time.monotonic() - begin

    # A beat may fall on either side of either end; a host that stands still may skip some, but nothing runs twice.
    assert len(runs) == PROBERS
    assert max(runs.values()) <= seconds + 2
    assert runs.total() >= 0.95 * PROBERS * seconds
    third = len(samples) // 3
    for figure, allowed in (("processes", 0), ("descriptors", 4), ("memory", 3_000_000)):
        # The least: how many runs are under way at a moment depends on how busy the host is, what leaks never comes back.
        first, last = (
            min(getattr(sample, figure) for sample in part)
            for part in (samples[:third], samples[-third:])
        )
        assert last - first <= allowed, (figure, first, last)
