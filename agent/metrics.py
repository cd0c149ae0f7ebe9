"""From results to points: *decide*. Pure: counters per combination, closed every 15 seconds.

A run belongs to the cell in which it ended; the point at T covers [T-15, T).
Counters only ever grow, so that a lost batch loses nothing; what is per cell says so.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from agent.aggregates import Gauge
from agent.outputs.printed import MAX_SAMPLES, Printed, Sample
from agent.plan import HostPlan, RunKey
from agent.results import RunResult
from common.contracts.states import Outcome, SkipReason, State
from common.solomon.points import Histogram, Kind, Point

CELL_SECONDS = 15
BOUNDS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0,
)  # fmt: skip
# A series of a counter begins with 0: the first value of a rate says nothing.
_ALWAYS_SHOWN_SKIPS = (SkipReason.OVERLAP, SkipReason.SUSPENDED, SkipReason.AGENT_RESTART)
# The value of an enum takes as long to look up as a point to make.
_OUTCOMES = tuple((outcome, outcome.value) for outcome in Outcome)
_SKIP_REASONS = tuple(
    (reason, reason.value, reason in _ALWAYS_SHOWN_SKIPS) for reason in SkipReason
)

PrintedKey = tuple[str, tuple[tuple[str, str], ...]]


def cell_end(unix_seconds: float) -> int:
    """The end of the cell that holds this moment."""
    return (int(unix_seconds) // CELL_SECONDS + 1) * CELL_SECONDS


def closing_cell(current_end: int, unix_seconds: float) -> tuple[int | None, int]:
    """The end of the cell to close now, or None; and the end of the cell that is then open.

    After a leap of the clock forward only the newest cell is closed, after one back the cells begin anew there.
    """
    open_end = cell_end(unix_seconds)
    if open_end == current_end:
        return None, current_end
    return (open_end - CELL_SECONDS if open_end > current_end else None), open_end


@dataclass(eq=False, slots=True)
class _Series:
    """What is counted about one combination."""

    labels: Mapping[str, str]
    aggregate: str
    since_ns: int  # of the last success, or else of the first time we heard of it
    state: State = State.NOT_RUN_YET
    paused: bool = False  # shown instead of the state
    runs: Counter[Outcome] = field(default_factory=Counter)
    skipped: Counter[SkipReason] = field(default_factory=Counter)
    starved: int = 0
    during_apply: int | None = None  # None until there was an apply: most series need no such one
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    run_seconds: float = 0.0
    cpu_seconds: float = 0.0
    printed_counters: dict[PrintedKey, float] = field(default_factory=dict)
    # Of this cell only.
    ended: int = 0
    user_seconds: float = 0.0
    system_seconds: float = 0.0
    peak_rss_bytes: int = 0
    start_lag_seconds: float = 0.0
    printed_gauges: dict[PrintedKey, Gauge] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted about one combination since the start."""

    runs: Mapping[Outcome, int]
    skipped: Mapping[SkipReason, int]
    starved: int
    run_seconds: float
    cpu_seconds: float


class MetricBook:
    """The counters of all combinations; `close_cell` turns them into points."""

    def __init__(self) -> None:
        self._series: dict[RunKey, _Series] = {}
        self._gone: list[_Series] = []
        self.runs_started = 0
        self.bad_lines = 0

    def apply(self, plan: HostPlan, now_ns: int) -> None:
        """Count the plan's combinations: known ones keep their counters, the next cell tells once who is gone."""
        before, now = dict(self._series), dict[RunKey, _Series]()
        for prober in plan.probers:
            for key, labels in zip(prober.keys, prober.labels, strict=True):
                series = before.pop(key, None) or now.get(key)
                if series is None:
                    own = {"prober_slug": prober.slug, **labels}
                    series = _Series(own, prober.aggregate, since_ns=now_ns)
                series.aggregate = prober.aggregate
                if prober.problem:
                    series.state = State.BROKEN
                if plan.applying_until is not None:
                    series.during_apply = series.during_apply or 0
                now[key] = series
        self._series = now
        self._gone += before.values()

    def skip(self, key: RunKey, reason: SkipReason, count: int) -> None:
        """So many due runs did not start."""
        if series := self._series.get(key):
            series.skipped[reason] += count

    def record(self, result: RunResult, state: State) -> None:
        """A run has ended, and its combination now has this state."""
        series = self._series.get(result.key)
        if not series:
            return
        series.state = state
        if result.verdict.outcome is Outcome.SUCCESS:
            series.since_ns = result.ended_ns
        if not result.counted:
            return
        if result.starved:
            series.starved += 1
        if result.during_apply:
            series.during_apply = (series.during_apply or 0) + 1
        series.runs[result.verdict.outcome] += 1
        seconds = result.seconds
        series.buckets[bisect_left(BOUNDS, seconds)] += 1
        series.run_seconds += seconds
        series.ended += 1
        user, system, peak_rss_bytes = result.cost
        series.cpu_seconds += user + system
        series.user_seconds += user
        series.system_seconds += system
        series.peak_rss_bytes = max(series.peak_rss_bytes, peak_rss_bytes)
        series.start_lag_seconds = max(series.start_lag_seconds, result.start_lag_seconds)
        self._record_printed(series, result.printed)

    def close_cell(self, now_ns: int) -> list[Point]:
        """The points of the cell that ends now; the next one begins."""
        points = self._ends()
        for series in self._series.values():
            points += _points(series, now_ns)
            _begin_cell(series)
        return points

    def pause(self, keys: Collection[RunKey]) -> None:
        """Show these as paused, and no others; for a new plan to be said again."""
        for key, series in self._series.items():
            series.paused = key in keys

    def tally(self, key: RunKey) -> Tally | None:
        """A copy of the counters of a combination; None if it is not in the plan."""
        series = self._series.get(key)
        if series is None:
            return None
        return Tally(
            dict(series.runs), dict(series.skipped),
            series.starved, series.run_seconds, series.cpu_seconds,
        )  # fmt: skip

    def points_of(self, keys: Iterable[RunKey], now_ns: int) -> list[Point]:
        """The points of some combinations as they stand, in the middle of a cell."""
        known = [series for key in keys if (series := self._series.get(key))]
        return [point for series in known for point in _points(series, now_ns)]

    def _ends(self) -> list[Point]:
        """The last points of who is gone, unless somebody else has the same labels: two points would contradict."""
        gone, self._gone = self._gone, []
        if not gone:
            return []
        live = {frozenset(series.labels.items()) for series in self._series.values()}
        return [
            Point("mr_prober_state", Kind.IGAUGE, State.GONE, series.labels)
            for series in gone
            if frozenset(series.labels.items()) not in live
        ]

    def _record_printed(self, series: _Series, printed: Printed) -> None:
        self.bad_lines += printed.bad_lines
        for sample in printed.samples:
            self._record_sample(series, sample)

    def _record_sample(self, series: _Series, sample: Sample) -> None:
        key = (sample.name, sample.labels)
        counters, gauges = series.printed_counters, series.printed_gauges
        known = key in counters or key in gauges
        has_room = known or len(counters) + len(gauges) < MAX_SAMPLES
        # What was a counter once stays one: a series has one kind.
        if not has_room or (sample.kind == "gauge" and key in counters):
            self.bad_lines += 1
        elif sample.kind == "counter":
            gauges.pop(key, None)
            counters[key] = counters.get(key, 0.0) + sample.value
        elif gauge := gauges.get(key):
            gauge.add(sample.value, series.aggregate)
        else:
            gauges[key] = Gauge(sample.value)


def _points(series: _Series, now_ns: int) -> list[Point]:
    labels = series.labels
    silence = max(0.0, (now_ns - series.since_ns) / 1e9)
    points = [
        Point("mr_prober_state", Kind.IGAUGE, _shown_state(series), labels),
        Point("mr_prober_seconds_since_success", Kind.GAUGE, silence, labels),
        Point("mr_prober_run_seconds", Kind.HIST_RATE, _histogram(series), labels),
    ]
    for outcome, text in _OUTCOMES:
        value = series.runs.get(outcome, 0)
        points.append(Point("mr_prober_runs", Kind.RATE, value, {**labels, "outcome": text}))
    if series.during_apply is not None:
        flagged = {**labels, "flag": "during_apply"}
        points.append(Point("mr_prober_flagged_runs", Kind.RATE, series.during_apply, flagged))
    flagged = {**labels, "flag": "starved"}
    points.append(Point("mr_prober_flagged_runs", Kind.RATE, series.starved, flagged))
    for reason, text, is_always_shown in _SKIP_REASONS:
        if (value := series.skipped.get(reason, 0)) or is_always_shown:
            key = {**labels, "reason": text}
            points.append(Point("mr_prober_skipped_runs", Kind.RATE, value, key))
    if series.ended:
        points += _cell_points(series)
    if series.printed_counters or series.printed_gauges:
        points += _printed_points(series)
    return points


def _shown_state(series: _Series) -> State:
    return State.PAUSED if series.paused else series.state


def _histogram(series: _Series) -> Histogram:
    return Histogram(BOUNDS, tuple(series.buckets[:-1]), series.buckets[-1], series.run_seconds)


def _cell_points(series: _Series) -> list[Point]:
    """Sums and maxima of the runs that ended in this cell; without such runs there is nothing to say."""
    labels = series.labels
    user, system = ({**labels, "mode": mode} for mode in ("user", "system"))
    return [
        Point("mr_prober_start_lag_seconds", Kind.GAUGE, series.start_lag_seconds, labels),
        Point("mr_prober_cpu_seconds", Kind.GAUGE, series.user_seconds, user),
        Point("mr_prober_cpu_seconds", Kind.GAUGE, series.system_seconds, system),
        Point("mr_prober_peak_rss_bytes", Kind.IGAUGE, series.peak_rss_bytes, labels),
    ]


def _printed_points(series: _Series) -> list[Point]:
    gauges = {key: gauge.value(series.aggregate) for key, gauge in series.printed_gauges.items()}
    kinds = ((Kind.RATE, series.printed_counters), (Kind.GAUGE, gauges))
    return [
        Point(name, kind, value, {**dict(labels), **series.labels})
        for kind, printed in kinds
        for (name, labels), value in printed.items()
    ]


def _begin_cell(series: _Series) -> None:
    series.ended = 0
    series.user_seconds = series.system_seconds = series.start_lag_seconds = 0.0
    series.peak_rss_bytes = 0
    series.printed_gauges = {}
