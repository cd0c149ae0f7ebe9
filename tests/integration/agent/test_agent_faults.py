"""The agent dies at each step that outlives it, one life after the other in one folder, with programs running.

What happened is told by a witness, a file to which the programs append, and by what Solomon's stand-in has got.
"""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from agent.running.group import kill_group, make_group, remove_group
from common import processes
from tests.integration.agent.stand_ins import (
    StubApi,
    StubSolomon,
    agent_environment,
    document,
    prober,
    prober_id,
    wait_until,
)

ROOT = Path(__file__).parents[3]
TOKEN = 86_500_000
INTERVAL_SECONDS = 0.5
# Steps that no agent may come without: the test would test nothing.
CERTAIN = {
    f"{when} {step}"
    for when in ("before", "after")
    for step in (
        "replace in write_atomically for next_identity",
        "replace in write_atomically for Store.keep_document",
        "replace in write_atomically for Store.keep_file",
        "replace in write_atomically for Store.keep_secrets",
        "replace in Accounts.write",
        "rename in Store.unpack",
        "fsync in write_atomically",
        "fsync in FreshCells.keep",
        "pwrite in Spool._write",
        "pwrite in _write",
        "unlink in Spool._remove",
        "start in Runner._started",
        "start in Launchers._started",
        "report in ReportSender._sent",
    )
}


class Lives:
    """One agent after the other, forked by one program that has imported everything before."""

    def __init__(self, folder: Path, api: StubApi, solomon: StubSolomon) -> None:
        self.folder = folder
        self.passed = folder.parent / "passed"
        self.witness = folder.parent / "witness"
        self.number = 0
        self._api = api
        self._solomon = solomon
        self._told = folder.parent / "told"
        environment = agent_environment(folder, api) | {
            "MR_PROBER_AGENT_POLL_INTERVAL": "0.1",
            "MR_PROBER_SOLOMON_URL": solomon.url,
            "MR_PROBER_SOLOMON_TOKEN": "secret",
        }
        with (folder.parent / "agent.log").open("wb") as log:
            self._maker = processes.start(
                [sys.executable, "-m", "tests.integration.agent.mortal_agent", str(self.passed)],
                environment=environment, cwd=ROOT, stdin=processes.PIPE, stdout=processes.PIPE, stderr=log,
            )  # fmt: skip
        self._pid = 0

    def begin(self, step: str = "") -> None:
        """A life with a document, a file, a secret and a prober that are new."""
        self.number += 1
        self._api.document = self._document()
        self._api.secrets = {"word": {"version": self.number, "value": f"secret {self.number}"}}
        # The first push of each life waits on disk.
        self._solomon.answers = [(503, b"not now")]
        assert self._maker.stdin
        self._maker.stdin.write(f"{self.number} {step}\n".encode())
        self._maker.stdin.flush()
        self._pid = int(self._line())

    def end(self) -> int:
        """Its exit code, once it is over and nothing of it is left."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        code = int(self._line())
        wait_until(lambda: not self.left())
        return code

    def live(self, step: str = "", *, is_at_its_end: bool = False) -> int:
        """A whole life; what is done at its end is done without all the rest."""
        self.begin(step)
        wait_until(self.has_run if is_at_its_end else self.is_complete)
        return self.end()

    def has_run(self) -> bool:
        return not self.is_alive() or self.runs(f"new-{self.number}") > 0

    def is_complete(self) -> bool:
        """Whether it has done everything that a life does before its end."""
        new, reports = f"new-{self.number}", self._api.reports
        return not self.is_alive() or (
            (self.folder / "recorder" / new).exists()
            and self.runs(new) > 0
            and bool(reports)
            and reports[-1]["document_revision"] == self.number
            and str(self.number) in [push["commonLabels"]["life"] for push in self._solomon.pushes]
            and not list((self.folder / "spool").glob("*.spool"))
        )

    def steps(self) -> list[str]:
        """What the lives since the last look came to, in this order."""
        return list(dict.fromkeys(self.passed.read_text().splitlines()))

    def is_alive(self) -> bool:
        return psutil.pid_exists(self._pid)

    def close(self) -> None:
        assert self._maker.stdin
        assert self._maker.stdout
        if self._maker.poll() is None and self._pid and psutil.pid_exists(self._pid):
            os.kill(self._pid, signal.SIGKILL)
        self._maker.stdin.close()
        self._maker.wait(30)
        self._maker.stdout.close()

    def runs(self, word: str) -> int:
        """How often the witness saw a program of this name."""
        return self.witness.read_text().split().count(word) if self.witness.exists() else 0

    def left(self) -> list[psutil.Process]:
        """Programs of a life that is over; they are known by their argument."""
        found = []
        for process in psutil.process_iter():
            try:
                if str(TOKEN + self.number) in process.cmdline():
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def _line(self) -> str:
        assert self._maker.stdout
        line = self._maker.stdout.readline().decode()
        assert line, (self.folder.parent / "agent.log").read_text()[-3000:]
        return line

    def _document(self) -> bytes:
        content = f"#!/bin/sh\necho new-{self.number} >> {self.witness}\nexit 1\n".encode()
        self._api.serve_files(content)
        sleep = f"sleep {TOKEN + self.number}"
        hanging = f"trap '' TERM; setsid {sleep} & {sleep} & wait"
        new = prober(3, {"check.sh": content}, ["./check.sh"], interval_seconds=INTERVAL_SECONDS)
        new |= {"slug": f"new-{self.number}", "id": prober_id(3)[:-4] + f"{self.number:04d}"}
        return document(
            prober(1, {}, ["sh", "-c", f"echo steady >> {self.witness}"], interval_seconds=INTERVAL_SECONDS),
            prober(2, {}, ["sh", "-c", hanging], interval_seconds=3600, grace_seconds=0.1, variables={"word": "${cluster.variables.word}"}),
            new,
            revision=self.number,
            variables={"word": {"secret": "word", "version": self.number}},
        )  # fmt: skip


@pytest.fixture
def lives(stub_api: StubApi, stub_solomon: StubSolomon, agent_folder: Path) -> Iterator[Lives]:
    made = Lives(agent_folder, stub_api, stub_solomon)
    yield made
    made.close()
    if group := make_group(agent_folder):
        kill_group(group)
        remove_group(group)


def figures(solomon: StubSolomon) -> dict[int, dict[tuple[str, str], int]]:
    """By life: what its newest cell says of each prober, runs and skipped ones; by slug and outcome or reason."""
    newest: dict[int, tuple[int, dict[tuple[str, str], int]]] = {}
    for push in solomon.pushes:
        counts = {
            (sensor["labels"]["prober_slug"], sensor["labels"].get("outcome") or sensor["labels"]["reason"]): sensor["value"]
            for sensor in push["sensors"]
            if sensor["labels"]["name"] in {"mr_prober_runs", "mr_prober_skipped_runs"}
        }  # fmt: skip
        life, at = int(push["commonLabels"]["life"]), push["ts"]
        if life not in newest or newest[life][0] < at:
            newest[life] = at, counts
    return {life: counts for life, (_, counts) in newest.items()}


def beats_of(counts: dict[tuple[str, str], int], prober: str) -> int:
    return sum(count for (slug, _), count in counts.items() if slug == prober)


def accounted_until(folder: Path) -> float:
    content = json.loads((folder / "accounted.json").read_bytes())
    assert content["open"] == {}
    return float(content["until_unix_ns"] / 1e9)


def test_whatever_it_died_at_nothing_is_left_or_lost_or_counted_twice(
    lives: Lives, stub_api: StubApi, stub_solomon: StubSolomon
) -> None:
    assert lives.live() == 0
    begun = accounted_until(lives.folder)
    before = sum(beats_of(counts, "prober-1") for counts in figures(stub_solomon).values())
    lives.passed.unlink()
    lives.begin()
    wait_until(lives.is_complete)
    in_life = lives.steps()
    assert lives.end() == 0
    steps = lives.steps()
    assert set(steps) >= CERTAIN
    missed = [
        step for step in steps
        if lives.live(step, is_at_its_end=step not in in_life) != -signal.SIGKILL
    ]  # fmt: skip
    assert len(missed) < len(steps) / 5, missed
    # The last one has nothing to mend that stays.
    assert lives.live() == 0
    assert stub_api.reports[-1]["configuration_problem"] == ""
    assert stub_api.reports[-1]["boot"] > len(steps) / 2
    assert len({report["instance"] for report in stub_api.reports}) == 1
    assert list(lives.folder.rglob(".*")) == []
    # The newest one, and the one to fall back on.
    assert len(list((lives.folder / "documents").iterdir())) == 2
    assert not list((lives.folder / "temporary").iterdir())
    told = figures(stub_solomon)
    for life, counts in told.items():
        assert counts.get((f"new-{life}", "failure"), 0) <= lives.runs(f"new-{life}"), life
    after = sum(beats_of(counts, "prober-1") for counts in told.values())
    expected = (accounted_until(lives.folder) - begun) / INTERVAL_SECONDS
    assert abs(after - before - expected) <= 1.01
