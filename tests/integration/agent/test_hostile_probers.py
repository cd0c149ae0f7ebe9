"""The hostile corpus: each program gets its verdict in time, and nothing of it is left behind."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common import processes
from tests.integration.agent.hostile.bed import end_group
from tests.integration.agent.hostile.corpus import CORPUS, WARM_CORPUS, Case

ROOT = Path(__file__).parents[3]
Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def rows() -> Iterator[Rows]:
    yield from rows_of("run")


@pytest.fixture(scope="module")
def warm_rows() -> Iterator[Rows]:
    yield from rows_of("warm")


def rows_of(mode: str) -> Iterator[Rows]:
    """What a corpus has come to."""
    # Not pytest's folder: a prober with another user's rights could not even enter that.
    folder = Path(tempfile.mkdtemp(prefix="mr-prober-hostile-"))
    folder.chmod(0o755)
    with (folder / "log").open("wb") as log:
        bed = processes.start(
            [
                sys.executable,
                str(ROOT / "tests/integration/agent/hostile/bed.py"),
                str(folder),
                mode,
            ],
            environment={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    try:
        code = bed.wait(110)
        said = (folder / "log").read_text()
        assert code == 0, f"the hostile corpus cannot be run here: {said}"
        found: Rows = {}
        for line in (folder / "results").read_text().splitlines():
            row = json.loads(line)
            found.setdefault(row["name"], []).append(row)
        yield found
    finally:
        # All of its namespace ends with it.
        bed.kill()
        bed.wait()
        end_group(os.getpid())
        shutil.rmtree(folder)


def check(case: Case, results: list[dict[str, Any]]) -> None:
    assert len(results) == case.times
    for result in results:
        assert result["in_time"]
        assert result["launcher"] == ""
        assert (result["outcome"], case.reason in result["reason"]) == (case.outcome, True), result
        assert tuple(result["samples"]) == case.samples
        assert result["left"] == []


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_a_hostile_program_gets_its_verdict_and_leaves_nothing(rows: Rows, case: Case) -> None:
    check(case, rows[case.name])


@pytest.mark.parametrize("case", WARM_CORPUS, ids=lambda case: case.name)
def test_so_does_a_hostile_fork_of_a_warm_parent(warm_rows: Rows, case: Case) -> None:
    check(case, warm_rows[case.name])


def test_nothing_is_left_when_the_agent_has_ended(rows: Rows, warm_rows: Rows) -> None:
    assert rows["the end"][0]["left"] == []
    assert warm_rows["the end"][0]["left"] == []
