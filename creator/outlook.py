"""Read and decide for all clusters, at the price of what has changed since the last look."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from common.contracts.clusters import ClusterState, DeploymentState
from creator.deployment.descriptions import Descriptions
from creator.deployment.records import ClusterRecord, Records
from creator.planner import Action, Decision, Pace, decide
from creator.situations import ClusterSituation, Silence

Guard = Callable[[UUID, Callable[[], str]], object]


@dataclass
class Seen:
    """A cluster as it was read last, without any value of its variables."""

    mark: tuple[object, ...]
    cluster_id: UUID
    slug: str
    situation: ClusterSituation
    fingerprint: str
    is_unreadable: bool  # it was tried, and went wrong
    decision: Decision


class Outlook:
    """The decision about each cluster; one thread uses it. Calls may raise SQLAlchemy's errors."""

    def __init__(
        self,
        records: Records,
        descriptions: Descriptions,
        *,
        pace: Pace,
        clock: Callable[[], datetime],
        guard: Guard,
    ) -> None:
        """`guard` calls, and says anything else if that went wrong: the cluster then rests for a while."""
        self._records = records
        self._descriptions = descriptions
        self._pace = pace
        self._clock = clock
        self._guard = guard
        self._seen: dict[UUID, Seen] = {}
        self._silences: Mapping[UUID, Silence] = {}

    def look(self, only: Collection[UUID] | None = None) -> None:
        """Read what has changed, of all clusters or of these, and decide anew where that may change anything."""
        marks = self._records.marks(only)
        for gone in (self._seen.keys() if only is None else set(only)) - marks.keys():
            self._seen.pop(gone, None)
        changed = {key for key, mark in marks.items() if self._is_stale(key, mark)}
        if changed:
            is_all = only is None and len(changed) == len(marks)
            for record in self._records.clusters(None if is_all else changed):
                # One that came after the marks is read next time.
                if record.id in changed:
                    self._seen[record.id] = self._read(record, marks[record.id])
        now = self._clock()
        for seen in self._seen.values() if only is None else self._of(only):
            if seen.decision.again_at is None or seen.decision.again_at <= now:
                self._decide(seen, now)

    def hear(self, silences: Mapping[UUID, Silence]) -> None:
        """Take note of hosts that do not report."""
        before, self._silences = self._silences, silences
        now = self._clock()
        for key in before.keys() | silences.keys():
            if key in self._seen and before.get(key) != silences.get(key):
                self._decide(self._seen[key], now)

    def silence(self, cluster_id: UUID) -> Silence | None:
        """Hosts of the cluster that do not report."""
        return self._silences.get(cluster_id)

    def due(self) -> Iterator[Seen]:
        """What is to be dealt with now."""
        return (seen for seen in self._seen.values() if not seen.decision.is_idle)

    def all(self) -> list[Seen]:
        """Every cluster that is not destroyed, oldest first."""
        return [self._seen[key] for key in sorted(self._seen)]

    def next_at(self) -> datetime | None:
        """When a decision may change although nothing else does."""
        moments = (seen.decision.again_at for seen in self._seen.values())
        return min((moment for moment in moments if moment is not None), default=None)

    def planned_at(self) -> Iterator[datetime]:
        """When each active cluster was planned successfully, the last time."""
        for seen in self._seen.values():
            planned_at = seen.situation.last_planned_at
            if planned_at is not None and seen.situation.state is ClusterState.ACTIVE:
                yield planned_at

    def applied_at(self) -> dict[UUID, datetime]:
        """When the active clusters whose last deployment succeeded were deployed."""
        moments = {}
        for seen in self._seen.values():
            newest = next(iter(seen.situation.attempts), None)
            if newest is None or newest.finished_at is None:
                continue
            if newest.state is DeploymentState.SUCCEEDED:
                moments[seen.cluster_id] = newest.finished_at
        return moments

    def _of(self, only: Collection[UUID]) -> Iterator[Seen]:
        return (self._seen[key] for key in only if key in self._seen)

    def _is_stale(self, cluster_id: UUID, mark: tuple[object, ...]) -> bool:
        seen = self._seen.get(cluster_id)
        if seen is None or seen.mark != mark:
            return True
        again_at = seen.decision.again_at
        return seen.is_unreadable and again_at is not None and again_at <= self._clock()

    def _read(self, record: ClusterRecord, mark: tuple[object, ...]) -> Seen:
        fingerprint = self._guard(record.id, lambda: self._fingerprint(record))
        is_unreadable = not isinstance(fingerprint, str)
        rest_until = self._clock() + self._pace.retry_delay if is_unreadable else None
        return Seen(
            mark=mark,
            cluster_id=record.id,
            slug=record.slug,
            situation=record.situation,
            fingerprint=fingerprint if isinstance(fingerprint, str) else "",
            is_unreadable=is_unreadable,
            decision=Decision(Action.BACK_OFF, "its description cannot be read", rest_until),
        )

    def _fingerprint(self, record: ClusterRecord) -> str:
        description = self._descriptions.of(record)
        return description.fingerprint if description else ""

    def _decide(self, seen: Seen, now: datetime) -> None:
        if seen.is_unreadable:
            return
        silence = self._silences.get(seen.cluster_id)
        situation = replace(seen.situation, silence=silence) if silence else seen.situation
        seen.decision = decide(situation, seen.fingerprint, now, pace=self._pace)
