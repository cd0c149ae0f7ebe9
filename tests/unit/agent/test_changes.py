"""The difference of two plans touches only what differs."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from agent.changes import changes_between
from tests.unit.agent.factories import run_key, run_spec


def test_starts_stops_replaces_and_keeps() -> None:
    one, two, three = (run_spec(run_key(number)) for number in (1, 2, 3))
    changed = replace(two, interval=timedelta(seconds=1))
    changes = changes_between({one.key: one, two.key: two}, {two.key: changed, three.key: three})
    assert changes.start == (three,)
    assert changes.stop == (one.key,)
    assert changes.replace == (changed,)
    assert changes.keep == ()


def test_an_equal_plan_changes_nothing() -> None:
    plan = {run_key(n): run_spec(run_key(n)) for n in range(3)}
    again = {run_key(n): run_spec(run_key(n)) for n in range(3)}
    assert changes_between(plan, again).keep == tuple(plan)


_plans = st.dictionaries(st.integers(1, 6), st.integers(1, 3)).map(
    lambda drawn: {
        run_key(n): run_spec(run_key(n), interval=timedelta(seconds=s)) for n, s in drawn.items()
    }
)


@given(_plans, _plans)
def test_carrying_out_the_changes_gives_the_wanted_plan(running: dict, wanted: dict) -> None:  # type: ignore[type-arg]
    changes = changes_between(running, wanted)
    result = {key: running[key] for key in changes.keep}
    result |= {spec.key: spec for spec in (*changes.start, *changes.replace)}
    assert result == wanted
    assert set(changes.stop) == running.keys() - wanted.keys()
