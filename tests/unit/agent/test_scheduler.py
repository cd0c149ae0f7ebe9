"""The schedule: every beat is run or counted, nothing bursts, the phase is a hash."""

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.plan import RunKey
from agent.scheduler import (
    LEAD_NS,
    PAUSE_NS,
    SECOND_NS,
    SPACING_NS,
    Past,
    Rhythm,
    Scheduler,
    Skip,
    Start,
    phase_ns,
    run_hash,
)
from common.contracts.states import SkipReason

CLUSTER = UUID(int=1)
EPOCH_OFFSET_NS = 1_700_000_000 * SECOND_NS
MINUTE_NS = 60 * SECOND_NS


def key(number: int = 1) -> RunKey:
    return RunKey(UUID(int=number), "{}")


def scheduler(now_ns: int = 0) -> Scheduler:
    return Scheduler(epoch_offset_ns=EPOCH_OFFSET_NS, now_ns=now_ns)


def beats(hash_: int, interval_ns: int, *, after_ns: int, until_ns: int) -> int:
    """Grid beats in (after, until], from interval and phase alone."""

    def passed(moment_ns: int) -> int:
        return (moment_ns + EPOCH_OFFSET_NS - phase_ns(hash_, interval_ns)) // interval_ns

    return passed(until_ns) - passed(after_ns)


def test_the_phase_is_the_same_after_a_restart_and_another_on_each_host() -> None:
    assert run_hash(CLUSTER, "h1", key()) == run_hash(CLUSTER, "h1", key())
    assert run_hash(CLUSTER, "h1", key()) != run_hash(CLUSTER, "h2", key())
    assert run_hash(CLUSTER, "h1", key()) != run_hash(CLUSTER, "h1", RunKey(UUID(int=1), '{"a":1}'))
    assert phase_ns(2**63, MINUTE_NS) == 30 * SECOND_NS


def test_the_hash_is_fixed_for_ever() -> None:
    assert run_hash(CLUSTER, "h1", key()) == 3704703922664465347


def test_a_new_prober_runs_within_a_second_and_then_on_its_grid() -> None:
    plan = scheduler()
    plan.add(key(), Rhythm(2**63, MINUTE_NS), now_ns=0)
    first = plan.next_at_ns()
    assert first is not None
    assert first < SECOND_NS
    assert plan.decide(first) == [Start(key(), first)]
    plan.finished(key())
    second = plan.next_at_ns()
    assert second is not None
    assert (second + EPOCH_OFFSET_NS - phase_ns(2**63, MINUTE_NS)) % MINUTE_NS == 0


def test_a_short_interval_needs_no_early_run() -> None:
    plan = scheduler()
    plan.add(key(), Rhythm(2**62, SECOND_NS), now_ns=0)
    assert plan.next_at_ns() == SECOND_NS // 4


def test_an_overlap_is_skipped_and_counted() -> None:
    plan = scheduler()
    plan.add(key(), Rhythm(0, SECOND_NS), now_ns=1)
    assert plan.decide(SECOND_NS) == [Start(key(), SECOND_NS)]
    assert plan.decide(2 * SECOND_NS) == [Skip(key(), SkipReason.OVERLAP, 1)]
    plan.finished(key())
    assert plan.decide(3 * SECOND_NS) == [Start(key(), 3 * SECOND_NS)]


def test_after_a_pause_missed_beats_are_counted_and_nothing_starts_at_once() -> None:
    plan = scheduler()
    for number in range(10):
        plan.add(key(number), Rhythm(0, SECOND_NS), now_ns=1)
    wake_ns = 100 * SECOND_NS + 5
    decisions = plan.decide(wake_ns)
    assert decisions == [Skip(key(number), SkipReason.SUSPENDED, 100) for number in range(10)]
    assert plan.next_at_ns() == 101 * SECOND_NS


def test_a_beat_later_than_its_interval_is_counted_without_a_pause_too() -> None:
    interval_ns = SECOND_NS // 10
    plan = scheduler()
    plan.add(key(), Rhythm(0, interval_ns), now_ns=1)
    late = plan.decide(3 * interval_ns + 1)
    assert late == [Skip(key(), SkipReason.SUSPENDED, 2), Start(key(), 3 * interval_ns)]


def test_starts_are_apart_and_in_the_order_of_their_hashes() -> None:
    plan = scheduler()
    # So close to each other that all are due in the same nanosecond.
    for number in (3, 1, 2):
        plan.add(key(number), Rhythm(number, SECOND_NS), now_ns=1)
    now_ns = SECOND_NS
    started: list[tuple[int, RunKey]] = []
    while len(started) < 3:
        started += [(now_ns, d.key) for d in plan.decide(now_ns) if isinstance(d, Start)]
        now_ns = max(now_ns, plan.next_at_ns() or 0)
    assert [run for _, run in started] == [key(1), key(2), key(3)]
    moments = [moment for moment, _ in started]
    assert all(later - sooner >= SPACING_NS for sooner, later in pairwise(moments))


def test_a_removed_prober_starts_no_more() -> None:
    plan = scheduler()
    plan.add(key(), Rhythm(0, SECOND_NS), now_ns=1)
    plan.remove(key())
    assert plan.next_at_ns() is None
    assert plan.decide(5 * SECOND_NS) == []


def test_the_first_run_of_a_replaced_prober_waits_for_the_end_of_the_old_one() -> None:
    plan = scheduler()
    plan.add(key(), Rhythm(0, MINUTE_NS), now_ns=1)
    first = plan.next_at_ns()
    assert first is not None
    assert plan.decide(first) == [Start(key(), first)]
    plan.add(key(), Rhythm(0, MINUTE_NS), now_ns=first)
    assert plan.decide(first + SPACING_NS) == []
    plan.finished(key())
    again = plan.next_at_ns()
    assert again is not None
    assert again - first < SECOND_NS
    assert isinstance(plan.decide(again)[0], Start)


@given(
    hashes=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=5, unique=True),
    interval_ms=st.sampled_from([100, 250, 1000, 7000, 60_000]),
    added_ns=st.integers(0, 10**12),
    pauses=st.lists(st.integers(1, 5 * 10**9), min_size=1, max_size=60),
    durations=st.lists(st.integers(0, 3), min_size=1, max_size=10),
    early=st.booleans(),
)
def test_the_ledger_balances(
    hashes: list[int],
    interval_ms: int,
    added_ns: int,
    pauses: list[int],
    durations: list[int],
    early: bool,
) -> None:
    """Expected from interval and phase alone = started + skipped, whatever the loop and the runs do."""
    interval_ns = interval_ms * 1_000_000
    plan = scheduler(added_ns)
    counted = dict.fromkeys(range(len(hashes)), 0)
    running: dict[RunKey, int] = {}
    for number, hash_ in enumerate(hashes):
        plan.add(key(number), Rhythm(hash_, interval_ns, early=early), now_ns=added_ns)
    expected = {
        number: int(
            interval_ns - (added_ns + EPOCH_OFFSET_NS - phase_ns(hash_, interval_ns)) % interval_ns
            > SECOND_NS
        )
        for number, hash_ in enumerate(hashes)
    }
    now_ns = added_ns
    for step, pause_ns in enumerate(pauses):
        now_ns += pause_ns
        for run in [run for run, left in running.items() if left == 0]:
            plan.finished(run)
            del running[run]
        running = {run: left - 1 for run, left in running.items()}
        while (at := plan.next_at_ns()) is not None and at <= now_ns:
            for decision in plan.decide(now_ns):
                counted[decision.key.prober_id.int] += (
                    1 if isinstance(decision, Start) else decision.count
                )
                if isinstance(decision, Start):
                    assert decision.key not in running
                    running[decision.key] = durations[step % len(durations)]
            now_ns += SPACING_NS
    for number, hash_ in enumerate(hashes):
        expected[number] += beats(hash_, interval_ns, after_ns=added_ns, until_ns=now_ns)
    # The catch-up beat and the newest beat may still wait for their turn, and the next one may be decided.
    assert all(-early <= expected[number] - counted[number] <= 1 for number in counted)
    assert PAUSE_NS > SECOND_NS


def rhythm(**changed: object) -> Rhythm:
    values: dict[str, object] = {"hash": 0, "interval_ns": SECOND_NS}
    return Rhythm(**(values | changed))  # type: ignore[arg-type]


def test_overlapping_runs_go_on_in_parallel_where_they_may() -> None:
    plan = scheduler()
    plan.add(key(), rhythm(allow_overlap=True), now_ns=1)
    for beat in (1, 2, 3):
        assert plan.decide(beat * SECOND_NS) == [Start(key(), beat * SECOND_NS)]


def test_beyond_the_slots_a_beat_is_skipped_and_counted() -> None:
    plan = Scheduler(epoch_offset_ns=EPOCH_OFFSET_NS, now_ns=0, slots=1)
    for number in (1, 2):
        plan.add(key(number), rhythm(hash=number), now_ns=1)
    assert plan.decide(SECOND_NS) == [Start(key(1), SECOND_NS)]
    assert plan.decide(SECOND_NS + SPACING_NS) == [Skip(key(2), SkipReason.SLOTS, 1)]
    plan.finished(key(1))
    assert plan.decide(2 * SECOND_NS) == [Start(key(1), 2 * SECOND_NS)]


def test_of_an_exclusive_group_the_later_one_is_skipped() -> None:
    plan = scheduler()
    for number in (1, 2):
        plan.add(key(number), rhythm(hash=number, exclusive="disk"), now_ns=1)
    plan.add(key(3), rhythm(hash=3, exclusive="network"), now_ns=1)
    assert plan.decide(SECOND_NS) == [Start(key(1), SECOND_NS)]
    later = SECOND_NS + SPACING_NS
    assert plan.decide(later) == [Skip(key(2), SkipReason.EXCLUSIVE, 1), Start(key(3), SECOND_NS)]
    plan.finished(key(1))
    plan.remove(key(1))
    assert plan.decide(2 * SECOND_NS) == [Start(key(2), 2 * SECOND_NS)]


def test_a_beat_that_was_accounted_for_is_repeated_without_counting() -> None:
    plan = scheduler(40 * SECOND_NS)
    past = Past(until_ns=30 * SECOND_NS)
    # The beat of this minute was at 20 s, before the end of the past.
    plan.add(key(), Rhythm(beat_at(20), MINUTE_NS), now_ns=40 * SECOND_NS, past=past)
    first = plan.next_at_ns()
    assert first is not None
    assert first < 41 * SECOND_NS
    assert plan.decide(first) == [Start(key(), first, counted=False)]
    assert plan.open_beats(first) == {}


def test_beats_while_no_agent_ran_are_missed_but_for_the_one_that_is_caught_up_with() -> None:
    plan = scheduler(40 * SECOND_NS)
    past = Past(until_ns=-3 * MINUTE_NS, open_beats=2)
    # Beats at -160 s, -100 s, -40 s and 20 s, and two of the past; the last one is run now.
    missed = plan.add(key(), Rhythm(beat_at(20), MINUTE_NS), now_ns=40 * SECOND_NS, past=past)
    assert missed == 5
    first = plan.next_at_ns()
    assert first is not None
    assert plan.decide(first) == [Start(key(), first)]


def beat_at(second: int) -> int:
    """A hash whose beats of a minute are at this second of the scheduler's clock."""
    phase = (second * SECOND_NS + EPOCH_OFFSET_NS) % MINUTE_NS
    return -(-(phase << 64) // MINUTE_NS)


@given(
    interval_ms=st.sampled_from([100, 700, 1000, 7000, 60_000]),
    hash_=st.integers(0, 2**64 - 1),
    slots=st.integers(1, 3),
    overlap=st.booleans(),
    early=st.booleans(),
    lives=st.lists(
        st.tuples(
            st.lists(st.integers(1, 4 * 10**9), min_size=1, max_size=20),
            st.integers(0, 3),  # how many steps a run takes
            st.integers(1, 20),  # the steps after which the counters are handed over
            st.integers(0, 10**11),  # the time without an agent
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_the_ledger_balances_over_agents_that_are_killed(
    interval_ms: int,
    hash_: int,
    slots: int,
    overlap: bool,
    early: bool,
    lives: list[tuple[list[int], int, int, int]],
) -> None:
    """What was handed over by all agents together = beats from interval and phase alone."""
    interval_ns = interval_ms * 1_000_000
    one = Rhythm(hash_, interval_ns, allow_overlap=overlap, early=early)
    begin_ns = now_ns = 10**12
    past = Past(begin_ns)
    handed_over = 0
    for pauses, duration, period, silence_ns in lives:
        plan = Scheduler(epoch_offset_ns=EPOCH_OFFSET_NS, now_ns=now_ns, slots=slots)
        counted = plan.add(key(), one, now_ns=now_ns, past=past)
        running: list[tuple[int, bool, int]] = []
        for step, pause_ns in enumerate(pauses):
            now_ns += pause_ns
            for run in [one for one in running if one[0] <= 0 and one[2] <= now_ns]:
                plan.finished(key())
                running.remove(run)
                counted += run[1]
            running = [(left - 1, counts, due_ns) for left, counts, due_ns in running]
            while (at := plan.next_at_ns()) is not None and at <= now_ns:
                for decision in plan.decide(now_ns):
                    if isinstance(decision, Start):
                        running.append((duration, decision.counted, decision.due_ns))
                    else:
                        counted += decision.count
                now_ns += SPACING_NS
            if step % period == 0:
                # Each run ends in the order of its start, as long as all take equally long.
                handed_over, counted = handed_over + counted, 0
                past = Past(now_ns, plan.open_beats(now_ns)[key()])
        now_ns += silence_ns
    expected = beats(hash_, interval_ns, after_ns=begin_ns, until_ns=past.until_ns)
    assert handed_over + past.open_beats == expected


def test_a_paused_beat_is_skipped_and_counted_and_a_run_goes_on() -> None:
    plan = scheduler()
    plan.add(key(), rhythm(), now_ns=0)
    first = plan.next_at_ns()
    assert first is not None
    assert plan.decide(first) == [Start(key(), first)]
    plan.pause({key()})
    later = plan.next_at_ns()
    assert later is not None
    assert plan.decide(later) == [Skip(key(), SkipReason.PAUSED, 1)]


def test_a_pause_does_not_keep_a_late_first_beat_asking() -> None:
    plan = scheduler()
    plan.pause({key()})
    plan.add(key(), Rhythm(beat_at(-1), MINUTE_NS), now_ns=0)
    first = plan.next_at_ns()
    assert first is not None
    assert first < SECOND_NS
    assert plan.decide(first) == [Skip(key(), SkipReason.PAUSED, 1)]
    assert plan.next_at_ns() == 59 * SECOND_NS


def test_after_a_pause_the_state_is_shown_soon_by_a_run_that_does_not_count() -> None:
    plan = scheduler()
    plan.add(key(), Rhythm(beat_at(-1), MINUTE_NS), now_ns=0)
    plan.pause({key()})
    first = plan.next_at_ns()
    assert first is not None
    plan.decide(first)
    plan.pause(frozenset())
    assert plan.resume(key(), 2 * SECOND_NS) == 0
    soon = plan.next_at_ns()
    assert soon is not None
    assert soon < 3 * SECOND_NS
    assert plan.decide(soon) == [Start(key(), soon, counted=False)]


def test_what_was_undecided_at_the_end_of_a_pause_is_said() -> None:
    plan = scheduler()
    plan.add(key(), Rhythm(beat_at(10), 20 * SECOND_NS), now_ns=9 * SECOND_NS)
    assert plan.resume(key(), 11 * SECOND_NS) == 1
    assert plan.resume(key(2), 11 * SECOND_NS) == 0


@given(
    interval_ms=st.sampled_from([100, 700, 1000, 7000, 60_000]),
    hash_=st.integers(0, 2**64 - 1),
    steps=st.lists(st.tuples(st.integers(1, 5 * 10**9), st.booleans()), min_size=1, max_size=60),
    duration=st.integers(0, 3),
)
def test_the_ledger_balances_over_pauses(
    interval_ms: int, hash_: int, steps: list[tuple[int, bool]], duration: int
) -> None:
    """Each step may begin or end a pause; counted starts + skips = beats from interval and phase alone."""
    interval_ns = interval_ms * 1_000_000
    begin_ns = now_ns = 10**12
    plan = scheduler(now_ns)
    counted = plan.add(key(), Rhythm(hash_, interval_ns), now_ns=now_ns, past=Past(now_ns))
    paused, running = False, 0
    for step_ns, pauses in steps:
        now_ns += step_ns
        if paused and not pauses:
            plan.pause(frozenset())
            counted += plan.resume(key(), now_ns)
        elif pauses:
            plan.pause({key()})
        paused = pauses
        for decision in plan.decide(now_ns):
            assert not (paused and isinstance(decision, Start))
            if isinstance(decision, Start):
                running = duration
                counted += decision.counted
            else:
                counted += decision.count
        running -= 1
        if running <= 0:
            plan.finished(key())
    expected = beats(hash_, interval_ns, after_ns=begin_ns, until_ns=now_ns)
    # Runs that go on are open beats as well, and were counted when they started.
    undecided = plan.open_beats(now_ns)[key()]
    plan.finished(key())
    assert counted + plan.open_beats(now_ns)[key()] == expected, undecided


def test_a_run_outside_of_the_schedule_waits_for_slots_and_groups() -> None:
    plan = Scheduler(epoch_offset_ns=EPOCH_OFFSET_NS, now_ns=0, slots=2)
    assert plan.admit(key(1), "disk") is None
    assert plan.admit(key(2), "disk") is SkipReason.EXCLUSIVE
    assert plan.admit(key(2), "") is None
    assert plan.admit(key(3), "") is SkipReason.SLOTS
    plan.finished(key(1))
    assert plan.admit(key(3), "disk") is None
    assert plan.open_beats(10**15) == {}


def test_a_start_is_decided_before_it_is_due_where_nothing_stands_in_its_way() -> None:
    plan = scheduler()
    for number in range(3):
        plan.add(key(number), rhythm(hash=number, early=True), now_ns=1)
    soon = plan.next_at_ns()
    assert soon == SECOND_NS - LEAD_NS
    moments = [SECOND_NS + number * SPACING_NS for number in range(3)]
    assert plan.decide(soon) == [
        Start(key(number), SECOND_NS, at_ns=moment) for number, moment in enumerate(moments)
    ]
    # It is no beat of the past yet.
    assert plan.open_beats(SECOND_NS - 1) == {}
    assert plan.open_beats(SECOND_NS) == dict.fromkeys(map(key, range(3)), 1)


def test_a_run_that_may_end_in_time_is_waited_for() -> None:
    plan = scheduler()
    plan.add(key(), rhythm(early=True), now_ns=1)
    plan.decide(SECOND_NS - LEAD_NS)
    assert plan.decide(2 * SECOND_NS - LEAD_NS) == []
    assert plan.next_at_ns() == 2 * SECOND_NS
    plan.finished(key())
    assert plan.decide(2 * SECOND_NS) == [Start(key(), 2 * SECOND_NS)]
    plan.finished(key())
    assert plan.next_at_ns() == 3 * SECOND_NS - LEAD_NS


@pytest.mark.parametrize("changed", [{"early": True, "exclusive": "disk"}, {"early": False}])
def test_what_depends_on_others_is_decided_when_it_is_due(changed: dict[str, object]) -> None:
    plan = scheduler()
    plan.add(key(), rhythm(**changed), now_ns=1)
    assert plan.decide(SECOND_NS - 1) == []
    assert plan.decide(SECOND_NS) == [Start(key(), SECOND_NS)]


def test_what_is_due_finds_room_between_what_was_decided_early() -> None:
    plan = scheduler()
    for number in range(10):
        plan.add(key(number), Rhythm(beat_at(1) + number * 2**40, MINUTE_NS, early=True), now_ns=1)
    plan.add(key(20), Rhythm(beat_at(1), MINUTE_NS), now_ns=1)
    moments: list[int] = []
    while len(moments) < 22:  # the beats that are caught up with, too
        now_ns = plan.next_at_ns() or 0
        for start in plan.decide(now_ns):
            assert isinstance(start, Start)
            moments.append(start.at_ns or now_ns)
            plan.finished(start.key)
    moments.sort()
    assert all(later - sooner >= SPACING_NS for sooner, later in pairwise(moments))


def test_a_pause_that_ends_at_once_repeats_nothing_that_was_decided_early() -> None:
    plan = scheduler()
    plan.add(key(), rhythm(early=True), now_ns=1)
    soon = SECOND_NS - LEAD_NS
    assert plan.decide(soon) == [Start(key(), SECOND_NS, at_ns=SECOND_NS)]
    plan.pause({key()})
    plan.pause(frozenset())
    assert plan.resume(key(), soon) == 0
    plan.finished(key())
    assert plan.decide(2 * SECOND_NS - LEAD_NS) == [
        Start(key(), 2 * SECOND_NS, at_ns=2 * SECOND_NS)
    ]
