"""While the names of API and Solomon cannot be found, since the resolver hangs, probers start on time and nothing is lost."""

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from common import processes
from tests.integration.agent.silent_names import INTERVAL_SECONDS, PROBERS
from tests.integration.needs import need

ROOT = Path(__file__).parents[3]


@pytest.fixture
def seen(tmp_path: Path) -> dict[str, Any]:
    log = tmp_path / "log"
    with log.open("wb") as file:
        program = processes.start(
            [sys.executable, str(ROOT / "tests/integration/agent/silent_names.py"), str(tmp_path)],
            environment={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            cwd=ROOT, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        code = program.wait(120)
    finally:
        # All of its namespace ends with it.
        program.kill()
        program.wait()
    said = log.read_text()
    need("Operation not permitted" not in said, f"network and mount namespaces: {said}")
    assert code == 0, said
    found: dict[str, Any] = json.loads((tmp_path / "seen").read_text())
    return found


def test_a_resolver_that_hangs_delays_no_start_and_loses_nothing(seen: dict[str, Any]) -> None:
    assert seen["exit code"] == 0
    # One at most was on its way.
    assert seen["reports"] <= 1
    fit_in = seen["seconds"] / INTERVAL_SECONDS
    for number in PROBERS:
        assert abs(seen["runs"].count(str(number)) - fit_in) <= 1
    # They took turns, as their phases say.
    assert all(one != other for one, other in pairwise(seen["runs"]))
    for ledger in seen["ledgers"]:
        counted = ledger["counted"]
        assert sum(counted.values()) == ledger["beats"]
        assert counted.keys() <= {"success", "failure", "agent_restart"}
        finished = counted.get("success", 0) + counted.get("failure", 0)
        assert finished <= ledger["runs"] <= finished + 1
