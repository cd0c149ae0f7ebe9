"""The doctor: a line for each thing, and whether it is well."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.contracts.control import ConfigurationState, LinkState, RecorderState
from common.version import VERSION
from tests.unit.tools.agent.states import agent_state
from tools.agent.doctor import Check, Health, examined
from tools.agent.machine import MachineFacts, machine_facts

WELL = MachineFacts(
    folder=Path("/agent"), user="root", is_locked=True, disk_free_bytes=10**10, inodes_free=99,
    clock_skew_seconds=0.1,
)  # fmt: skip


def living(**changed: Any) -> list[Check]:
    state = agent_state(**changed)
    return examined(
        WELL,
        state.model_copy(update={"agent": state.agent.model_copy(update={"version": VERSION})}),
    )


def healths(checks: list[Check]) -> dict[str, Health]:
    return {check.name: check.health for check in checks}


def test_a_healthy_agent_has_only_good_lines() -> None:
    checks = living()
    assert {check.health for check in checks} == {Health.WELL}
    assert {"agent", "permissions", "disk", "clock", "API", "Solomon", "versions"} <= healths(
        checks
    ).keys()


@pytest.mark.parametrize(
    ("facts", "name", "health"),
    [
        (replace(WELL, disk_free_bytes=10), "disk", Health.ILL),
        (replace(WELL, inodes_free=0), "disk", Health.ILL),
        (replace(WELL, disk_free_bytes=None), "disk", Health.DOUBT),
        (replace(WELL, clock_skew_seconds=-30.0), "clock", Health.ILL),
        (replace(WELL, clock_skew_seconds=None), "clock", Health.DOUBT),
        (replace(WELL, is_readable=False), "permissions", Health.ILL),
    ],
)
def test_trouble_of_the_machine(facts: MachineFacts, name: str, health: Health) -> None:
    found = {check.name: check for check in examined(facts, agent_state())}[name]
    assert found.health is health
    if health is Health.ILL:
        assert found.advice


@pytest.mark.parametrize(
    ("changed", "name", "health"),
    [
        ({"api": LinkState(address="http://api", problem="no answer")}, "API", Health.ILL),
        ({"reports": LinkState(address="http://api")}, "reports", Health.DOUBT),
        ({"solomon": LinkState(is_used=False)}, "Solomon", Health.WELL),
        ({"configuration": ConfigurationState()}, "configuration", Health.ILL),
        (
            {"configuration": ConfigurationState(source="disk", problem="x")},
            "configuration",
            Health.ILL,
        ),
        ({"recorder": RecorderState(problem="disk full")}, "recorder", Health.ILL),
    ],
)
def test_trouble_that_the_agent_tells(changed: dict[str, Any], name: str, health: Health) -> None:
    assert healths(living(**changed))[name] is health


def test_canaries_are_well_unknown_or_ill() -> None:
    own = agent_state().own
    assert healths(living())["canaries"] is Health.WELL
    assert (
        healths(living(own=own.model_copy(update={"canary_runs": {}})))["canaries"] is Health.DOUBT
    )
    ill = own.model_copy(update={"canary_problem": "hangs: success, expected timeout"})
    assert healths(living(own=ill))["canaries"] is Health.ILL


def test_the_clock_says_with_whose_it_was_compared_or_why_it_was_not() -> None:
    asked = replace(WELL, api_url="http://api")
    found = {check.name: check for check in examined(asked, None)}["clock"]
    assert found.text == "0.1 s off that of the API at http://api"
    away = replace(asked, clock_skew_seconds=None, clock_problem="nobody answers there")
    found = {check.name: check for check in examined(away, None)}["clock"]
    assert found.text == "not compared with that of http://api: nobody answers there"
    assert found.advice


def test_nobody_at_the_apis_address_is_no_clock(tmp_path: Path) -> None:
    facts = machine_facts(tmp_path, silence="", api_url="http://127.0.0.1:1")
    assert (facts.clock_skew_seconds, facts.clock_problem) == (None, "nobody answers there")
    facts = machine_facts(tmp_path, silence="", api_url="bogus")
    assert facts.clock_problem == "no call can be made to it (MissingSchema)"
    facts = machine_facts(tmp_path, silence="", api_url="")
    assert facts.clock_problem == "no address of the API is known"


def test_an_agent_of_another_version_is_a_doubt() -> None:
    assert healths(examined(WELL, agent_state()))["versions"] is Health.DOUBT


def test_a_silent_agent_is_dead_or_hangs() -> None:
    dead = examined(replace(WELL, is_locked=False, silence="no such file"), None)[0]
    assert (dead.health, "does not run: no such file" in dead.text) == (Health.ILL, True)
    hangs = examined(replace(WELL, silence="refused"), None)[0]
    assert (hangs.health, "does not answer: refused" in hangs.text) == (Health.ILL, True)


def test_an_agent_that_one_may_not_ask_is_not_called_dead() -> None:
    hidden = replace(WELL, is_locked=False, is_readable=False, silence="Permission denied")
    found = examined(hidden, None)[0]
    assert (found.health, found.text) == (
        Health.ILL,
        "cannot be asked by root, whether it runs or not: Permission denied",
    )
    assert "start it" not in found.advice
