"""Who speaks for which host: presence, conflicts, the one agent that counts. Pure decisions."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from common.contracts.agents import Agent, Presence
from common.contracts.reports import REPORT_PERIOD_SECONDS, AgentReport

SILENT_AFTER = timedelta(seconds=3 * REPORT_PERIOD_SECONDS)
FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class Sighting:
    """The newest report of one agent, and when it came by the server's clock."""

    report: AgentReport
    clock_skew_seconds: float
    first_seen_at: datetime
    reported_at: datetime

    def is_live(self, now: datetime) -> bool:
        """Whether the agent spoke within three report periods."""
        return now - self.reported_at <= SILENT_AFTER


@dataclass(frozen=True)
class Speaker:
    """The agent that counts for a host; `conflict`: another live one speaks for it, too."""

    sighting: Sighting
    presence: Presence
    conflict: bool


def remembered(
    sightings: Iterable[Sighting], expected_hosts: Container[str], now: datetime
) -> list[Sighting]:
    """Without the agents of hosts that nobody expects and that were silent for a day."""
    return [
        one
        for one in sightings
        if one.report.host in expected_hosts or now - one.reported_at <= FORGOTTEN_AFTER
    ]


def speakers(sightings: Iterable[Sighting], now: datetime) -> dict[str, Speaker]:
    """Per host the agent that counts: a live one before a silent one, then the newest boot."""
    by_host = sorted(sightings, key=lambda sighting: sighting.report.host)
    groups = groupby(by_host, key=lambda sighting: sighting.report.host)
    return {host: _speaker(list(group), now) for host, group in groups}


def agents_of(sightings: Sequence[Sighting], now: datetime) -> list[Agent]:
    """All agents of a cluster as people see them."""
    conflicts = {host for host, one in speakers(sightings, now).items() if one.conflict}
    return [
        Agent(
            **sighting.report.model_dump(include=_FROM_REPORT),
            clock_skew_seconds=sighting.clock_skew_seconds,
            first_seen_at=sighting.first_seen_at,
            reported_at=sighting.reported_at,
            presence=_presence(sighting, now),
            conflict=sighting.report.host in conflicts and sighting.is_live(now),
        )
        for sighting in sightings
    ]


_FROM_REPORT = {
    "instance",
    "boot",
    "host",
    "labels",
    "version",
    "document_revision",
    "configuration_problem",
    "pauses",
    "canary_problem",
}


def _speaker(candidates: list[Sighting], now: datetime) -> Speaker:
    best = max(candidates, key=lambda one: (one.is_live(now), one.report.boot, one.first_seen_at))
    return Speaker(
        sighting=best,
        presence=_presence(best, now),
        conflict=sum(one.is_live(now) for one in candidates) > 1,
    )


def _presence(sighting: Sighting, now: datetime) -> Presence:
    return Presence.REPORTING if sighting.is_live(now) else Presence.SILENT
