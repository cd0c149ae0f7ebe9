"""Which run starts when: *decide*. Pure: time comes in as arguments, decisions go out as values.

Each combination has its beats: the points of a grid anchored to the Unix epoch, one per interval, shifted by a phase
that is a hash, so that it is the same after a restart and different on each host.
Every beat ends as exactly one `Start` or is counted in one `Skip`; nothing else ever starts a run.
Times are integers of nanoseconds on one clock that never steps (CLOCK_BOOTTIME); its distance to the epoch is fixed
when the scheduler is made.
"""

import hashlib
import heapq
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from agent.plan import RunKey
from common.contracts.states import SkipReason

SECOND_NS = 1_000_000_000
# Starts are at least this far apart, so that a common phase never becomes a burst.
SPACING_NS = 2_000_000
# The loop looks at least once a second; a longer gap means that agent or host stood still.
PAUSE_NS = 3 * SECOND_NS
# Whoever would wait longer than this for the first grid beat runs the current beat late instead.
CATCH_UP_NS = SECOND_NS
# How soon a late first beat looks again, while a run of the replaced version still ends.
RETRY_NS = 50_000_000
# So long before it is due is a beat decided, at the latest and at the earliest, where nothing stands in its way:
# whoever starts the program is told the moment, and no work of ours can make the start late.
LEAD_NS = 40_000_000
LONGEST_LEAD_NS = 120_000_000
# So long is mostly between two moments at which starts are planned.
PLANNING_NS = LONGEST_LEAD_NS - LEAD_NS


class Start(NamedTuple):
    """Start the run now, or at `at_ns`; it is due at `due_ns`.

    Not `counted` is the repetition of a beat for which an earlier agent has accounted: it shows the state early.
    """

    key: RunKey
    due_ns: int
    counted: bool = True
    at_ns: int | None = None  # None: now


@dataclass(frozen=True, slots=True)
class Skip:
    """So many beats passed without a run."""

    key: RunKey
    reason: SkipReason
    count: int


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a combination is due, and beside what it may run."""

    hash: int
    interval_ns: int
    allow_overlap: bool = False
    exclusive: str = ""  # a group of which only one runs at a time
    early: bool = False  # whether a start may be decided before it is due


@dataclass(frozen=True, slots=True)
class Past:
    """What an earlier agent has accounted for: everything until a moment, but for beats whose end came too late."""

    until_ns: int  # of this boot's clock, so it may be negative
    open_beats: int = 0


class _Running(NamedTuple):
    group: str
    counted: bool
    due_ns: int = 0


@dataclass(eq=False, slots=True)
class _Beat:
    key: RunKey
    rhythm: Rhythm
    due_ns: int  # of the beat that comes next
    following_ns: int  # the grid beat after that
    catching_up: bool
    counted: bool = True
    gone: bool = False


def run_hash(cluster_id: UUID, host: str, key: RunKey) -> int:
    """64 bits that are the same for ever for this combination on this host."""
    text = "\0".join((str(cluster_id), host, str(key.prober_id), key.combination))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def phase_ns(hash_: int, interval_ns: int) -> int:
    """Where in the interval the beats are."""
    return hash_ * interval_ns >> 64


class Scheduler:
    """The beats of all combinations; `decide` says what to do with those that are due."""

    def __init__(self, *, epoch_offset_ns: int, now_ns: int, slots: int = 1_000_000) -> None:
        """`epoch_offset_ns` is the Unix time minus the clock of all other times given here; `slots` run at once."""
        self._epoch_offset_ns = epoch_offset_ns
        self._slots = slots
        self._looked_at_ns = now_ns
        # When something starts, of late and soon; in order.
        self._moments: list[int] = []
        self._beats: dict[RunKey, _Beat] = {}
        self._heap: _Heap = []  # what may be decided early
        self._waiting: _Heap = []  # what waits until it is due
        self._running: dict[RunKey, list[_Running]] = {}
        self._groups: Counter[str] = Counter()
        self._in_progress = 0
        self._paused: Collection[RunKey] = frozenset()
        self._number = 0

    def add(self, key: RunKey, rhythm: Rhythm, *, now_ns: int, past: Past | None = None) -> int:
        """Begin with the beats of a combination, or begin anew; how many beats were missed since the `past`.

        If the next grid beat is more than a second away, the beat whose interval we are in is still run, late:
        within a second, spread by the hash.
        """
        self.remove(key)
        hash_, interval_ns = rhythm.hash, rhythm.interval_ns
        passed_ns = (now_ns + self._epoch_offset_ns - phase_ns(hash_, interval_ns)) % interval_ns
        current_ns = now_ns - passed_ns
        following_ns = current_ns + interval_ns
        catching_up = following_ns - now_ns > CATCH_UP_NS
        missed = open_beats = 0
        if past:
            # Grid beats in (until, now].
            until_ns = min(past.until_ns, now_ns)
            missed = max(0, -((until_ns - current_ns) // interval_ns))
            open_beats = past.open_beats
        counted = not past or missed + open_beats > 0
        if catching_up:
            due_ns = now_ns + (hash_ * CATCH_UP_NS >> 64)
            beat = _Beat(key, rhythm, due_ns, following_ns, catching_up=True, counted=counted)
        else:
            beat = _Beat(key, rhythm, following_ns, following_ns + interval_ns, catching_up=False)
        self._beats[key] = beat
        self._push(beat)
        return missed + open_beats - (1 if past and catching_up and counted else 0)

    def remove(self, key: RunKey) -> None:
        """End with the beats of a combination; a run in progress still counts until `finished`."""
        if beat := self._beats.pop(key, None):
            beat.gone = True

    def pause(self, keys: Collection[RunKey]) -> None:
        """Beats of these are skipped from now on, those of all others are not; see `resume`."""
        self._paused = keys

    def resume(self, key: RunKey, now_ns: int) -> int:
        """After a pause show the state within a second, by a run that does not count; how many beats until now were undecided."""
        beat = self._beats.get(key)
        if beat is None:
            return 0
        undecided = _open_beats(beat, now_ns)
        # What was decided early is not decided again.
        until_ns = max([now_ns, *(run.due_ns for run in self._running.get(key, ()))])
        self.add(key, beat.rhythm, now_ns=until_ns, past=Past(until_ns))
        return undecided

    def next_due_ns(self, key: RunKey) -> int | None:
        """When the next run of a combination is due; None if there is none."""
        beat = self._beats.get(key)
        return beat.due_ns if beat else None

    def admit(self, key: RunKey, exclusive: str) -> SkipReason | None:
        """Make room for a run outside of the schedule, until `finished`; or why there is none now."""
        if exclusive and self._groups[exclusive]:
            return SkipReason.EXCLUSIVE
        if self._in_progress >= self._slots:
            return SkipReason.SLOTS
        self._enter(key, _Running(exclusive, counted=False))
        return None

    def finished(self, key: RunKey) -> None:
        """A run of this combination has ended."""
        if runs := self._running.get(key):
            self._groups[runs.pop(0).group] -= 1
            self._in_progress -= 1
            if not runs:
                del self._running[key]

    def open_beats(self, now_ns: int) -> Counter[RunKey]:
        """The beats until now whose run has not ended, or about which nothing was decided yet."""
        counts = Counter(
            {
                key: sum(run.counted and run.due_ns <= now_ns for run in runs)
                for key, runs in self._running.items()
                if key in self._beats
            }
        )
        for key, beat in self._beats.items():
            if count := _open_beats(beat, now_ns):
                counts[key] += count
        return +counts

    def next_at_ns(self) -> int | None:
        """When `decide` has something to do; None if nothing is scheduled."""
        looked_at_ns = self._looked_at_ns
        if beat := self._overdue(looked_at_ns):
            return self._free_moment(looked_at_ns) - _longest_lead_ns(beat)
        moments = [
            self._free_moment(max(heap[0][0], looked_at_ns)) - lead_ns
            for heap, lead_ns in ((self._heap, LEAD_NS), (self._waiting, 0))
            if _without_gone(heap)
        ]
        return min(moments, default=None)

    def decide(self, now_ns: int) -> list[Start | Skip]:
        """What to do now: every start that is due or soon will be, and every skip that is due before it."""
        decisions: list[Start | Skip] = []
        if now_ns - self._looked_at_ns > PAUSE_NS:
            decisions += self._skip_all_missed(now_ns)
        self._looked_at_ns = now_ns
        del self._moments[: bisect_right(self._moments, now_ns - SPACING_NS)]
        while found := self._next_beat(now_ns):
            beat, moment_ns = found
            obstacle = self._obstacle(beat)
            if beat.due_ns > now_ns and (obstacle or not self._may_be_early(beat)):
                _push(self._waiting, beat, self._next_number())
            else:
                decisions += self._decide_beat(beat, now_ns, moment_ns, obstacle)
        return decisions

    def _overdue(self, now_ns: int) -> _Beat | None:
        """The beat that has waited until it is due, if it is the next one."""
        waiting = self._waiting
        if not waiting or not _without_gone(waiting) or waiting[0][0] > now_ns:
            return None
        if _without_gone(self._heap) and self._heap[0] < waiting[0]:
            return None
        return waiting[0][3]

    def _next_beat(self, now_ns: int) -> tuple[_Beat, int] | None:
        """Take the beat that is next, if there is room for its start now or soon, and the moment of that."""
        overdue = self._overdue(now_ns)
        heap = self._waiting if overdue else self._heap
        if not _without_gone(heap):
            return None
        due_ns, *_, beat = heap[0]
        moment_ns = self._free_moment(max(due_ns, now_ns))
        if moment_ns > now_ns + _longest_lead_ns(beat):
            return None
        heapq.heappop(heap)
        return beat, moment_ns

    def _may_be_early(self, beat: _Beat) -> bool:
        # Half of the slots are for what is running, and not about to run.
        return 2 * self._in_progress < self._slots and not beat.catching_up

    def _free_moment(self, moment_ns: int) -> int:
        """The first moment from then on that is far enough from all other starts."""
        moments = self._moments
        # Beats come in the order of their moments, mostly.
        if not moments or moment_ns - moments[-1] >= SPACING_NS:
            return moment_ns
        for taken_ns in moments[bisect_right(moments, moment_ns - SPACING_NS) :]:
            if taken_ns - moment_ns >= SPACING_NS:
                break
            moment_ns = taken_ns + SPACING_NS
        return moment_ns

    def _skip_all_missed(self, now_ns: int) -> list[Start | Skip]:
        """After a pause nothing is made up for: a thousand probers at once would be a burst."""
        skips: list[Start | Skip] = []
        for beat in [beat for beat in self._beats.values() if beat.due_ns <= now_ns]:
            missed = self._advance_over(beat, now_ns) + int(beat.counted)
            self._advance(beat)
            skips += [Skip(beat.key, SkipReason.SUSPENDED, missed)] if missed else []
        self._heap, self._waiting = [], []
        for beat in self._beats.values():
            self._push(beat)
        return skips

    def _decide_beat(
        self, beat: _Beat, now_ns: int, moment_ns: int, obstacle: SkipReason | None
    ) -> list[Start | Skip]:
        decisions: list[Start | Skip] = []
        # Older beats than the newest due one came too late to say anything.
        if missed := self._advance_over(beat, now_ns):
            decisions.append(Skip(beat.key, SkipReason.SUSPENDED, missed))
        if obstacle is None:
            insort(self._moments, moment_ns)
            self._begin(beat)
            at_ns = moment_ns if moment_ns > now_ns else None
            decisions.append(Start(beat.key, beat.due_ns, beat.counted, at_ns))
        elif _may_retry(beat, obstacle, now_ns):
            beat.due_ns = now_ns + RETRY_NS
            self._push(beat)
            return decisions
        else:
            decisions += [Skip(beat.key, obstacle, 1)] if beat.counted else []
        self._advance(beat)
        self._push(beat)
        return decisions

    def _obstacle(self, beat: _Beat) -> SkipReason | None:
        rhythm = beat.rhythm
        if beat.key in self._paused:
            return SkipReason.PAUSED
        if beat.key in self._running and not rhythm.allow_overlap:
            return SkipReason.OVERLAP
        if rhythm.exclusive and self._groups[rhythm.exclusive]:
            return SkipReason.EXCLUSIVE
        return SkipReason.SLOTS if self._in_progress >= self._slots else None

    def _begin(self, beat: _Beat) -> None:
        self._enter(beat.key, _Running(beat.rhythm.exclusive, beat.counted, beat.due_ns))

    def _enter(self, key: RunKey, run: _Running) -> None:
        self._running.setdefault(key, []).append(run)
        self._groups[run.group] += 1
        self._in_progress += 1

    def _advance_over(self, beat: _Beat, now_ns: int) -> int:
        """Move to the newest beat that is due and say how many were left behind."""
        if beat.following_ns > now_ns:
            return 0
        interval_ns = beat.rhythm.interval_ns
        passed = 1 + (now_ns - beat.following_ns) // interval_ns
        # A repeated beat that is left behind was accounted for already.
        missed = passed if beat.counted else passed - 1
        beat.due_ns = beat.following_ns + (passed - 1) * interval_ns
        beat.following_ns = beat.due_ns + interval_ns
        beat.catching_up = False
        beat.counted = True
        return missed

    def _advance(self, beat: _Beat) -> None:
        beat.due_ns = beat.following_ns
        beat.following_ns += beat.rhythm.interval_ns
        beat.catching_up = False
        beat.counted = True

    def _push(self, beat: _Beat) -> None:
        rhythm = beat.rhythm
        is_early = rhythm.early and not rhythm.exclusive and not beat.catching_up
        heap = self._heap if is_early else self._waiting
        _push(heap, beat, self._next_number())

    def _next_number(self) -> int:
        self._number += 1
        return self._number


# The number makes entries different, so that beats are never compared.
_Heap = list[tuple[int, int, int, _Beat]]


def _push(heap: _Heap, beat: _Beat, number: int) -> None:
    heapq.heappush(heap, (beat.due_ns, beat.rhythm.hash, number, beat))


def _without_gone(heap: _Heap) -> _Heap:
    """The same heap, whose first beat is one that is still wanted."""
    while heap and heap[0][3].gone:
        heapq.heappop(heap)
    return heap


def _longest_lead_ns(beat: _Beat) -> int:
    # The run before it has to be over by then, and we must have heard of that.
    return min(LONGEST_LEAD_NS, beat.rhythm.interval_ns * 4 // 5) if beat.rhythm.early else 0


def _open_beats(beat: _Beat, now_ns: int) -> int:
    """How many of its beats until now nothing was decided about."""
    if beat.due_ns > now_ns and not beat.catching_up:
        return 0
    later = max(0, 1 + (now_ns - beat.following_ns) // beat.rhythm.interval_ns)
    return int(beat.counted) + later


def _may_retry(beat: _Beat, obstacle: SkipReason, now_ns: int) -> bool:
    """Whether a late first beat waits a moment longer; a pause may last for days."""
    is_short = obstacle is not SkipReason.PAUSED
    return is_short and beat.catching_up and now_ns + RETRY_NS < beat.following_ns
