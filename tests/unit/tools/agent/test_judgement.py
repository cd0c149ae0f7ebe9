"""Who is at fault: a table of situations."""

from datetime import timedelta
from typing import Any

import pytest

from common.contracts.control import (
    ConfigurationState,
    HostState,
    LinkState,
    Pause,
    Pressure,
    RecorderState,
    RunFigures,
    SinkState,
)
from common.contracts.states import Outcome, State
from tests.unit.tools.agent.states import NOW, agent_state, details, prober_state
from tools.agent.judgement import Party, Weight, common_values, judged

AWAY = LinkState(address="http://api", problem="no answer", failed_seconds_ago=1)
GIB = 1024**3


def host(**more: Any) -> HostState:
    return HostState(processors=2, load=[0.1], **more)


def test_nobody_is_at_fault_on_a_green_host() -> None:
    judgement = judged(agent_state(prober_state("dns")), {})
    assert (judgement.culprit, judgement.faults) == (None, [])
    assert judgement.headline == "all is well"


def test_a_host_without_probers_is_not_called_well() -> None:
    assert judged(agent_state(), {}).headline == "no prober runs here"


def test_a_failing_target_is_named_with_what_its_red_combinations_share() -> None:
    red = prober_state("mesh", State.FAILURE, reason="refused")
    known = details(
        red,
        ({"target": "demo-2", "port": "1"}, State.FAILURE),
        ({"target": "demo-2", "port": "2"}, State.TIMEOUT),
        ({"target": "demo-3", "port": "1"}, State.SUCCESS),
        ({"target": "demo-3", "port": "2"}, State.SUCCESS),
    )
    judgement = judged(agent_state(red), {"mesh": known})
    assert judgement.culprit is Party.TARGET
    (fault,) = judgement.faults
    assert fault.text == "mesh fails for 0:05:00 (2 of 4, all with target=demo-2): refused"
    assert fault.advice == "run mesh"


def test_red_combinations_without_anything_of_their_own_share_nothing() -> None:
    red = prober_state("mesh", State.FAILURE)
    mixed = details(
        red, ({"target": "a"}, State.FAILURE), ({"target": "b"}, State.FAILURE), ({"target": "c"}, State.SUCCESS)
    )  # fmt: skip
    assert common_values(mixed.combinations) == {}
    assert common_values(details(red, ({"target": "a"}, State.FAILURE)).combinations) == {}


def test_a_broken_prober_is_its_authors() -> None:
    state = agent_state(prober_state("dns", State.BROKEN, reason="cannot start: no such file"))
    assert judged(state, {}).culprit is Party.PROBER


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"host": host(pressure=Pressure(cpu=0.99))}, "somebody waited for a processor in 99%"),
        ({"host": host(pressure=Pressure(memory=0.6))}, "waited for memory"),
        ({"host": host(pressure=Pressure(io=0.96))}, "waited for a disk"),
        ({"host": host(memory_bytes=GIB, memory_available_bytes=1024**2)}, "1 MiB of memory"),
        ({"host": host(disk_bytes=100 * GIB, disk_free_bytes=1024**2)}, "1 MiB of disk"),
    ],
)
def test_a_host_in_trouble_comes_before_its_targets(changed: dict[str, Any], text: str) -> None:
    judgement = judged(agent_state(prober_state("dns", State.FAILURE), **changed), {})
    assert judgement.culprit is Party.HOST
    assert text in " ".join(fault.text for fault in judgement.faults)


def test_a_machine_that_is_merely_busy_is_not_at_fault() -> None:
    busy = host(pressure=Pressure(cpu=0.8, memory=0.1, io=0.7))
    assert (
        judged(agent_state(prober_state("dns", State.FAILURE), host=busy), {}).culprit
        is Party.TARGET
    )


def test_a_starved_prober_says_that_the_host_was_too_busy() -> None:
    figures = RunFigures(runs={Outcome.TIMEOUT: 10}, starved=5)
    judgement = judged(agent_state(prober_state("dns", State.TIMEOUT, figures=figures)), {})
    assert judgement.culprit is Party.HOST
    assert "5 of 10 runs of dns were starved" in judgement.faults[0].text


@pytest.mark.parametrize("link", ["api", "reports"])
def test_all_probers_and_the_api_together_mean_the_hosts_own_network(link: str) -> None:
    red = [prober_state(slug, State.TIMEOUT) for slug in ("a", "b", "c")]
    assert judged(agent_state(*red, **{link: AWAY}), {}).culprit is Party.HOST
    # Two of many, or with the way to the API open: the targets.
    green = [prober_state(slug) for slug in ("d", "e", "f", "g")]
    assert judged(agent_state(*red, *green, **{link: AWAY}), {}).culprit is Party.TARGET
    assert judged(agent_state(*red), {}).culprit is Party.TARGET


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"configuration": ConfigurationState()}, "no configuration yet"),
        (
            {"configuration": ConfigurationState(source="disk"), "api": AWAY},
            "not confirmed the configuration since the start: no answer",
        ),
        (
            {"configuration": ConfigurationState(source="api", confirmed_seconds_ago=900)},
            "for 0:15:00",
        ),
        (
            {"configuration": ConfigurationState(source="file", problem="line 3")},
            "configuration: line 3",
        ),
        ({"solomon": LinkState(problem="401")}, "push to Solomon: 401"),
        ({"sink": SinkState(spool_age_seconds=600, spool_bytes=2048)}, "2 KiB of points wait"),
        ({"recorder": RecorderState(problem="disk full")}, "the recorder keeps nothing"),
    ],
)
def test_trouble_of_the_agent_itself(changed: dict[str, Any], text: str) -> None:
    judgement = judged(agent_state(prober_state("dns"), **changed), {})
    assert judgement.culprit is Party.AGENT
    assert text in " ".join(fault.text for fault in judgement.faults)
    # What the probers say is to be believed all the same.
    red = judged(agent_state(prober_state("dns", State.FAILURE), **changed), {})
    assert red.culprit is Party.TARGET


def test_an_unused_link_and_a_local_document_are_no_trouble() -> None:
    state = agent_state(
        prober_state("dns"),
        configuration=ConfigurationState(source="file", revision=1),
        reports=LinkState(is_used=False, problem="never asked"),
    )
    assert judged(state, {}).culprit is None


def test_pauses_lost_points_and_missing_powers_are_notes() -> None:
    pause = Pause(
        prober=None, since=NOW, until=NOW + timedelta(minutes=30), who="ann", why="resolver moves"
    )
    own = agent_state().own.model_copy(update={"missing_powers": ["no cgroup: …"]})
    state = agent_state(
        prober_state("dns"),
        pauses=[pause],
        own=own,
        sink=SinkState(dropped={"partial": 3, "bug": 0}),
    )
    judgement = judged(state, {})
    assert judgement.culprit is None
    assert all(finding.weight is Weight.NOTE for finding in judgement.findings)
    texts = [finding.text for finding in judgement.findings]
    assert texts == [
        "points were lost since the start: 3 partial",
        "no cgroup: …",
        "all probers paused by ann until 03:34:05: resolver moves",
    ]


def test_an_agent_that_misjudges_its_canaries_is_not_believed() -> None:
    own = agent_state().own.model_copy(
        update={"canary_problem": "passes: failure, expected success"}
    )
    judgement = judged(agent_state(prober_state("dns", State.FAILURE), own=own), {})
    assert judgement.culprit is Party.AGENT
    assert "do not believe" in judgement.headline
    assert any("passes: failure" in fault.text for fault in judgement.faults)
