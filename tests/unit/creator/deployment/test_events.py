"""terraform's JSON stream, as terraform 1.11 writes it."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.clusters import PlanSummary
from common.contracts.deployments import ChangeAction, ChangeState
from creator.deployment.events import Events, is_stale, needs_init


def _event(kind: str, message: str = "", **values: Any) -> str:
    return json.dumps({"@level": "info", "@message": message, "type": kind, **values})


def _change(action: str, address: str, kind: str = "planned_change") -> str:
    change = {"resource": {"addr": address}, "action": action}
    return _event(kind, f"{address}: Plan to {action}", change=change)


def _hook(kind: str, action: str, address: str, seconds: float | None = None) -> str:
    hook: dict[str, Any] = {"resource": {"addr": address}, "action": action}
    if seconds is not None:
        hook["elapsed_seconds"] = seconds
    return _event(kind, f"{address}: {kind}", hook=hook)


def _error(summary: str, detail: str = "", **values: Any) -> str:
    diagnostic = {"severity": "error", "summary": summary, "detail": detail, **values}
    return _event("diagnostic", f"Error: {summary}", diagnostic=diagnostic)


def _read(*lines: str) -> tuple[Events, list[str]]:
    events = Events()
    return events, [events.read(line) for line in lines]


def test_a_plan_becomes_changes_and_counts() -> None:
    events, log = _read(
        _event("version", "Terraform 1.11.4"),
        _event("refresh_start", "refreshing", hook={"resource": {"addr": "a.kept"}}),
        _change("create", "a.new"),
        _change("update", "a.other"),
        _change("replace", "a.again"),
        _change("delete", "a.gone"),
        _change("remove", "a.forgotten"),
        _change("move", "a.moved"),
        _change("import", "a.imported"),
        _change("read", "data.a.b"),
    )
    assert {one.address: one.action for one in events.changes.values()} == {
        "a.new": ChangeAction.CREATE,
        "a.other": ChangeAction.UPDATE,
        "a.again": ChangeAction.REPLACE,
        "a.gone": ChangeAction.DELETE,
        "a.forgotten": ChangeAction.FORGET,
        "a.moved": ChangeAction.MOVE,
        "a.imported": ChangeAction.IMPORT,
    }
    assert events.summary == PlanSummary(create=2, change=1, destroy=2)
    assert events.existing == {"a.kept", "a.other", "a.again", "a.gone", "a.forgotten", "a.moved"}
    assert log[:3] == ["", "refreshing", "a.new: Plan to create"]


def _sum(remove: int, operation: str = "plan") -> str:
    counts = {"add": 0, "change": 0, "import": 0, "remove": remove, "operation": operation}
    return _event("change_summary", f"Plan: {remove} to destroy.", changes=counts)


@pytest.mark.parametrize(
    ("lines", "miscount"),
    [
        ([_change("delete", "a.b"), _change("replace", "a.c"), _sum(2)], ""),
        ([_change("create", "a.b"), _sum(0)], ""),
        ([_change("delete", "a.b")], "does not say how many"),
        ([_sum(1)], "counts 1 resources to be destroyed or replaced, its events name 0"),
        ([_change("delete", "a.b"), _change("vaporize", "a.c"), _sum(2)], "their|name 1"),
        # An older object of the address, which a failed replacement left.
        ([_change("delete", "a.b"), _change("delete", "a.b"), _sum(2)], ""),
    ],
)
def test_what_a_plan_destroys_is_certain_if_terraform_counts_the_same(
    lines: list[str], miscount: str
) -> None:
    events, _ = _read(*lines)
    assert re.search(miscount, events.miscount) if miscount else not events.miscount
    # An apply repeats the plan and sums up in its own way.
    for line in [*lines[:-1], _sum(0, "apply"), _sum(7, "destroy")]:
        events.read(line)
    assert bool(events.miscount) is bool(miscount)
    events.begin_plan()
    assert events.miscount


@pytest.mark.parametrize("other", ["create", "update"])
def test_an_older_object_of_an_address_that_goes_is_not_forgotten(other: str) -> None:
    for lines in (
        [_change(other, "a.b"), _change("delete", "a.b")],
        [_change("delete", "a.b"), _change(other, "a.b")],
    ):
        events, _ = _read(*lines, _sum(1))
        assert events.changes["a.b"].action is ChangeAction.REPLACE
        assert events.miscount == ""


def test_what_differs_without_anybody_having_described_it_is_drift() -> None:
    events, _ = _read(
        _change("delete", "a.terminated", "resource_drift"),
        _change("create", "a.terminated"),
        _change("create", "a.new"),
    )
    assert events.changes["a.terminated"].is_drift
    assert not events.changes["a.new"].is_drift


def test_an_apply_shows_how_far_each_resource_is() -> None:
    plan = [_change("create", "a.quick"), _change("create", "a.slow"), _change("create", "a.bad")]
    events, _ = _read(*plan)
    said = [
        events.read(line)
        for line in [
            *plan,
            _hook("apply_start", "create", "a.quick"),
            _hook("apply_complete", "create", "a.quick", 1),
            _hook("apply_start", "create", "a.slow"),
            _hook("apply_progress", "create", "a.slow", 10),
            _hook("apply_start", "create", "a.bad"),
            _hook("apply_errored", "create", "a.bad", 2),
            _hook("apply_start", "read", "data.a.b"),
        ]
    ]
    shown = {one.address: (one.state, one.seconds) for one in events.changes.values()}
    assert shown == {
        "a.quick": (ChangeState.DONE, 1),
        "a.slow": (ChangeState.APPLYING, 10),
        "a.bad": (ChangeState.FAILED, 2),
    }
    assert said[:3] == ["", "", ""], "a log says the plan once"


@pytest.mark.parametrize("halves", [("delete", "create"), ("create", "delete")])
def test_a_replacement_is_done_after_both_its_halves(halves: tuple[str, str]) -> None:
    events, _ = _read(_change("replace", "a.b"), _hook("apply_complete", halves[0], "a.b", 1))
    first = events.changes["a.b"].state
    events.read(_hook("apply_complete", halves[1], "a.b", 2))
    assert [first, events.changes["a.b"].state] == [ChangeState.APPLYING, ChangeState.DONE]


def test_what_has_no_progress_of_its_own_is_done_with_the_apply() -> None:
    events, _ = _read(_change("move", "a.b"))
    events.finished()
    assert events.changes["a.b"].state is ChangeState.DONE


def test_a_diagnostic_names_resource_file_and_line_and_is_said_once() -> None:
    place = {"filename": "main.tf", "start": {"line": 3, "column": 1}}
    line = _error(
        "no", "Because.\n", address="a.b", range=place, snippet={"code": "resource a b {"}
    )
    events, log = _read(line, line)
    (error,) = events.errors
    assert (error.address, error.file, error.line) == ("a.b", "main.tf", 3)
    assert error.text().splitlines() == [
        "Error: no",
        "",
        "  with a.b,",
        "  on main.tf line 3:",
        "    resource a b {",
        "",
        "Because.",
    ]
    assert log == [f"\n{error.text()}\n", ""]


def test_outputs_come_from_the_apply_only_and_sensitive_ones_are_named() -> None:
    planned = {"a": {"sensitive": False, "action": "create"}}
    events, _ = _read(_event("outputs", outputs=planned))
    of_plan = events.outputs
    applied = {
        "a": {"sensitive": False, "type": "string", "value": "1"},
        "b": {"sensitive": True, "type": "string"},
    }
    events.read(_event("outputs", outputs=applied))
    assert [of_plan, events.outputs] == [None, {"a": "1"}]
    assert events.sensitive_outputs == {"b"}


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        ('Backend initialization required, please run "terraform init"', True),
        ("Module not installed", True),
        ("Unclosed configuration block", False),
    ],
)
def test_knows_when_the_workspace_is_not_prepared(summary: str, expected: bool) -> None:
    assert needs_init(_read(_error(summary))[0].errors) is expected


def test_knows_a_stale_plan() -> None:
    assert is_stale(_read(_error("Saved plan is stale"))[0].errors)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("panic: runtime error\n", "panic: runtime error"),
        ('{"@message": "half', '{"@message": "half'),
        ("[]", "[]"),
        (_event("brand_new", "something new"), "something new"),
        (_event("planned_change", "odd", change=7), "odd"),
        (_event("apply_start", "odd", hook=None), "odd"),
        (_event("outputs", "odd", outputs=[1]), "odd"),
        (_event("diagnostic", "odd"), "odd"),
    ],
)
def test_what_it_does_not_know_is_shown_as_it_came(line: str, shown: str) -> None:
    assert _read(line)[1] == [shown]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    kind=st.sampled_from(
        ["planned_change", "resource_drift", "apply_complete", "outputs", "diagnostic"]
    ),
    values=st.dictionaries(
        st.sampled_from(["change", "hook", "outputs", "diagnostic", "@message"]),
        st.dictionaries(
            st.sampled_from(["resource", "action", "addr", "severity", "summary", "range"]), _JSON
        )
        | _JSON,
    ),
)
def test_no_event_whatever_it_holds_is_an_exception(kind: str, values: dict[str, Any]) -> None:
    events = Events()
    assert isinstance(events.read(json.dumps({"@message": "", "type": kind} | values)), str)
    assert events.summary.create >= 0
