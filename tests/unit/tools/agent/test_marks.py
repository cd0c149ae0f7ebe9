"""Marks: what a person reads of times, sizes and durations, and how they write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.states import Outcome, State
from tests.unit.tools.agent.states import NOW
from tools.agent.marks import ago, ahead, duration_in, history, plain, size, span, state_mark


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30m", timedelta(minutes=30)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("45s", timedelta(seconds=45)),
        ("1d", timedelta(days=1)),
        ("1.5h", timedelta(minutes=90)),
        (" 2H ", timedelta(hours=2)),
    ],
)
def test_durations_as_people_write_them(text: str, length: timedelta) -> None:
    assert duration_in(text) == length


@pytest.mark.parametrize("text", ["", "30", "m", "30x", "1h30", "1h1h", "-5m", "1..5h", "soon"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration such as 30m"):
        duration_in(text)


@given(st.text(alphabet="0123456789.dhms ", max_size=12))
def test_whatever_is_written_is_a_duration_or_is_refused(text: str) -> None:
    try:
        length = duration_in(text)
    except ValueError as error:
        told = str(error)
    else:
        told = "expected a duration" if length >= timedelta(0) else "a negative one"
    assert told.startswith("expected a duration")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3.1e-06, "0 s"),
        (0.0012, "0.0012 s"),
        (0.25, "0.25 s"),
        (12, "12 s"),
        (180, "3 min"),
        (7300, "2 h"),
        (400_000, "5 d"),
    ],
)
def test_a_length_of_time_has_one_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 1024**3, "3 GiB")]
)
def test_a_size_has_one_unit(count: int, text: str) -> None:
    assert size(count) == text


def test_moments_that_never_were_are_a_dash() -> None:
    assert (ago(None, NOW), ahead(None, NOW)) == ("-", "-")
    assert ahead(NOW, NOW) == "now"
    assert ahead(NOW + timedelta(seconds=20), NOW) == "in 20 s"


def test_every_state_has_a_word_of_its_own_without_colours() -> None:
    assert len({state_mark(state).plain for state in State}) == len(State)
    assert history([Outcome.SUCCESS, Outcome.FAILURE, Outcome.BROKEN]).plain == "✔✘!"


def test_text_of_others_steers_no_terminal() -> None:
    assert plain("a\x1b[31mb").plain == r"a\x1b[31mb"


def test_what_happened_a_moment_after_the_look_at_the_clock_is_now() -> None:
    assert ago(NOW + timedelta(milliseconds=42), NOW) == "0 s"
