"""Values of which a test names only what it cares about."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from agent.costs import Cost
from agent.outputs.printed import Printed
from agent.plan import HostPlan, PlannedProber, RunKey, RunSpec
from agent.results import RunResult
from agent.verdict import Verdict
from common.contracts.states import Outcome

SECOND_NS = 1_000_000_000


def run_key(prober: int = 1, combination: str = "{}") -> RunKey:
    return RunKey(UUID(int=prober), combination)


def run_spec(key: RunKey | None = None, **changed: Any) -> RunSpec:
    values: dict[str, Any] = {
        "key": key or run_key(),
        "prober_slug": "tcp",
        "labels": {},
        "arguments": ("true",),
        "environment": {},
        "folder": Path("/"),
        "interval": timedelta(seconds=60),
        "time_limit": timedelta(seconds=10),
        "grace": timedelta(seconds=2),
        "output": "none",
    }
    return RunSpec(**(values | changed))


def planned(
    number: int = 1, *combinations: str, problem: str = "", labels: Any = None
) -> PlannedProber:
    keys = tuple(run_key(number, text) for text in combinations or ("{}",))
    return PlannedProber(
        id=UUID(int=number),
        slug=f"prober-{number}",
        revision=3,
        keys=keys,
        labels=labels or tuple({} for _ in keys),
        specs=() if problem else tuple(run_spec(key) for key in keys),
        problem=problem,
    )


def host_plan(*probers: PlannedProber, applying_until: float | None = None) -> HostPlan:
    return HostPlan(UUID(int=99), "demo", 7, probers, applying_until)


def run_result(
    outcome: Outcome = Outcome.SUCCESS,
    *,
    key: RunKey | None = None,
    reason: str = "",
    seconds: float = 0.02,
    ended_ns: int = 100 * SECOND_NS,
    printed: Printed | None = None,
) -> RunResult:
    started_ns = ended_ns - round(seconds * SECOND_NS)
    return RunResult(
        key=key or run_key(),
        verdict=Verdict(outcome, reason),
        due_ns=started_ns - SECOND_NS // 4,
        started_ns=started_ns,
        ended_ns=ended_ns,
        cost=Cost(0.5, 0.25, 1000),
        printed=printed or Printed(),
    )
