"""The grid: a pure function of document, reports and time."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from api.services.grid import grid_of
from api.services.sightings import Sighting
from common.contracts.agents import GridCell, GridHost, Presence
from common.contracts.configuration import ConfigurationDocument
from common.contracts.reports import AgentReport
from common.contracts.states import State

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PROBER = UUID(int=1)


def document(*, hosts: int = 2, **prober: Any) -> ConfigurationDocument:
    configs = [{"slug": "all", "settings": {"matrix": {"target": {"values": "${cluster.hosts}"}}}}]
    return ConfigurationDocument.model_validate(
        {
            "format": 1,
            "revision": 7,
            "cluster": {"id": str(UUID(int=9)), "slug": "demo"},
            "hosts": {
                f"demo-{number}": {"address": f"127.77.0.{number}"}
                for number in range(1, hosts + 1)
            },
            "probers": [
                {
                    "id": str(PROBER),
                    "slug": "ping",
                    "command": ["./ping"],
                    "revision": 1,
                    "revisions": {"1": []},
                    "configs": configs,
                    **prober,
                }
            ],
        }
    )


def sighting(host: str = "demo-1", *, ago: float = 0, states: str | None = None, **report: Any) -> Sighting:  # fmt: skip
    probers = (
        [] if states is None else [{"prober_id": str(PROBER), "revision": 1, "states": states}]
    )
    said = {"instance": uuid4(), "boot": 1, "version": "1", "clock": NOW, "probers": probers}
    moment = NOW - timedelta(seconds=ago)
    return Sighting(
        report=AgentReport.model_validate({**said, "host": host, **report}),
        clock_skew_seconds=0,
        first_seen_at=moment,
        reported_at=moment,
    )


def rows(doc: ConfigurationDocument, *sightings: Sighting) -> dict[str, GridHost]:
    return {host.name: host for host in grid_of(doc, sightings, now=NOW).hosts}


def cell(doc: ConfigurationDocument, *sightings: Sighting, host: str = "demo-1") -> GridCell:
    return rows(doc, *sightings)[host].cells["ping"]


def test_names_combinations_as_resolve_has_them() -> None:
    shown = cell(document(hosts=3), sighting(states="01"))
    assert (shown.states, shown.state) == ("01", State.FAILURE)
    assert shown.combinations == ["target=demo-2", "target=demo-3"]


def test_gives_no_names_to_states_of_another_document() -> None:
    assert cell(document(hosts=3), sighting(states="0")).combinations == []


def test_leads_to_the_evidence_of_a_combination() -> None:
    upload = str(UUID(int=7))
    reasons = [
        {"prober_id": str(PROBER), "combination": 0, "text": "refused", "upload": upload},
        {"prober_id": str(PROBER), "combination": 1, "text": "no route"},
    ]
    shown = cell(document(hosts=3), sighting(states="11", reasons=reasons))
    assert shown.uploads == {0: upload}
    assert shown.reasons == {0: "refused", 1: "no route"}


def test_shows_reasons_by_combination() -> None:
    reasons = [{"prober_id": str(PROBER), "combination": 1, "text": "no route"}]
    assert cell(document(hosts=3), sighting(states="01", reasons=reasons)).reasons == {1: "no route"}  # fmt: skip


def test_a_prober_without_report_has_not_run_yet() -> None:
    for seen in ([], [sighting()]):
        shown = cell(document(hosts=3), *seen)
        assert (shown.states, shown.state) == ("44", State.NOT_RUN_YET)
        assert shown.combinations == ["target=demo-2", "target=demo-3"]


def test_a_prober_that_cannot_be_resolved_is_broken_before_any_report() -> None:
    doc = document(command=["./ping", "${cluster.variables.missing}"])
    for seen in ([], [sighting(states="0")]):
        shown = cell(doc, *seen)
        assert shown.states == "3"
        assert "cluster.variables.missing" in shown.reasons[0]


def test_a_prober_that_does_not_run_on_a_host_has_no_cell() -> None:
    configs = [{"slug": "some", "hosts": ["demo-2"]}]
    shown = rows(document(configs=configs))
    assert (set(shown["demo-1"].cells), set(shown["demo-2"].cells)) == (set(), {"ping"})


def test_labels_of_the_agent_select_configs() -> None:
    doc = document(configs=[{"slug": "zone", "host_labels": {"zone": "a"}}])
    shown = rows(doc, sighting(labels={"zone": "a"}), sighting("demo-2", labels={"zone": "b"}))
    assert (set(shown["demo-1"].cells), set(shown["demo-2"].cells)) == ({"ping"}, set())


def test_an_expected_host_without_agent_is_a_row() -> None:
    shown = rows(document())["demo-1"]
    assert (shown.presence, shown.reported_at, shown.address) == (Presence.EXPECTED, None, "127.77.0.1")  # fmt: skip


def test_three_periods_without_report_are_silence() -> None:
    assert rows(document(), sighting(ago=90))["demo-1"].presence is Presence.REPORTING
    assert rows(document(), sighting(ago=90.1))["demo-1"].presence is Presence.SILENT


def test_a_host_that_nobody_expects_is_shown_for_a_day() -> None:
    day = 24 * 60 * 60
    assert "other" in rows(document(), sighting("other", ago=day))
    shown = rows(document(), sighting("other", ago=day + 1), sighting("demo-1", ago=day + 1))
    assert "other" not in shown
    assert shown["demo-1"].presence is Presence.SILENT


def test_the_newest_boot_wins_and_two_living_are_a_conflict() -> None:
    old, new = sighting(states="1", boot=1), sighting(states="0", boot=2)
    for order in ((old, new), (new, old)):
        shown = rows(document(), *order)["demo-1"]
        assert (shown.cells["ping"].states, shown.conflict) == ("0", True)


def test_a_living_agent_wins_over_a_silent_one_of_a_later_boot() -> None:
    shown = rows(document(), sighting(states="1", boot=9, ago=600), sighting(states="0"))["demo-1"]
    assert (shown.cells["ping"].states, shown.conflict) == ("0", False)


def test_hosts_are_in_the_order_in_which_people_count() -> None:
    assert list(rows(document(hosts=11)))[-3:] == ["demo-9", "demo-10", "demo-11"]


def test_carries_what_the_agent_says_of_its_configuration() -> None:
    shown = rows(document(), sighting(configuration_problem="cannot fetch"))["demo-1"]
    assert (shown.problem, shown.canary_problem) == ("cannot fetch", "")


def test_carries_what_the_agent_says_of_its_canaries() -> None:
    shown = rows(document(), sighting(canary_problem="canaries: hangs: …"))["demo-1"]
    assert (shown.problem, shown.canary_problem) == ("", "canaries: hangs: …")


def test_a_combination_free_prober_has_one_state() -> None:
    shown = cell(document(configs=[{"slug": "all"}]), sighting(states="0"))
    assert (shown.states, shown.combinations) == ("0", [""])


def paused(prober_id: str | None, *, until: datetime) -> dict[str, Any]:
    since = NOW - timedelta(minutes=1)
    return {"prober_id": prober_id, "since": since, "until": until, "who": "ann", "why": "moving"}


def test_shows_who_paused_what_until_when() -> None:
    doc = document()
    until = NOW + timedelta(minutes=5)
    own = paused(str(doc.probers[0].id), until=until)
    shown = cell(doc, sighting(states="55", pauses=[own]))
    assert shown.pause
    assert (shown.pause.who, shown.pause.why, shown.pause.until) == ("ann", "moving", until)
    row = rows(doc, sighting(states="55", pauses=[paused(None, until=until)]))["demo-1"]
    assert row.pause
    assert row.pause.who == "ann"
    assert row.cells[doc.probers[0].slug].pause is None


def test_a_pause_that_a_silent_agent_cannot_end_is_over_all_the_same() -> None:
    over = paused(None, until=NOW - timedelta(seconds=1))
    assert rows(document(), sighting(pauses=[over]))["demo-1"].pause is None
