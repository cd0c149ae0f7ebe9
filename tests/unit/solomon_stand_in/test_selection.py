"""Selectors: what they select, and clear refusals of what is outside the subset."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solomon_stand_in.errors import SelectorError
from solomon_stand_in.selection import selector_of

LABELS = {"name": "prober.runs", "host": "demo-1", "cluster": "local"}


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "{}",
        '{host="demo-1"}',
        "{host='demo-1', cluster = \"local\"}",
        "{host=demo-1}",
        '{host="demo-*"}',
        '{host="demo-?"}',
        '{host="other|demo-1"}',
        '{host="*"}',
        '{host!="demo-2"}',
        '{rack="-"}',
        '{rack!="a"}',
        '{host!="-"}',
        '{host=="demo-1"}',
        '{host!=="demo-*"}',
        '"prober.runs"{host="demo-1"}',
        "prober.runs{}",
        '{name="prober.*",}',
    ],
)
def test_selects(selector: str) -> None:
    assert selector_of(selector).selects(LABELS)


@pytest.mark.parametrize(
    "selector",
    [
        '{host="demo"}',
        '{host="demo-??"}',
        '{host="DEMO-1"}',
        '{host!="demo-*"}',
        '{host="-"}',
        '{rack="*"}',
        '{host=="demo-*"}',
        '{host="demo-[1]"}',
        '"prober.failures"{}',
        '{host="demo-1", cluster="prod"}',
    ],
)
def test_does_not_select(selector: str) -> None:
    assert not selector_of(selector).selects(LABELS)


@pytest.mark.parametrize(
    ("selector", "reason"),
    [
        ('{host=~"demo"}', "operator =~ is not supported here"),
        ('{value>"1"}', "operator > is not supported here"),
        ('count({host="a"})', "functions and arithmetic are not supported here"),
        ('{host="a"} + 1', "functions and arithmetic are not supported here"),
        ('{host="a" cluster="b"}', "expected ','"),
        ("{host}", 'expected label="value"'),
        ('{host="a}', 'expected label="value"'),
        ("host", 'expected {label="value"'),
        ("x" * 5000, "longer than 4000 characters"),
    ],
)
def test_says_what_it_does_not_understand(selector: str, reason: str) -> None:
    with pytest.raises(SelectorError) as caught:
        selector_of(selector)
    assert reason in str(caught.value)


def test_many_stars_do_not_take_for_ever() -> None:
    selector = selector_of('{host="' + "*a" * 100 + '"}')
    assert not selector.selects({"host": "a" * 99 + "b"})


@given(st.text(alphabet="{}=\"'!*?|-,[]ab.~ \\", max_size=30))
def test_any_text_is_a_selector_or_an_error_of_ours(text: str) -> None:
    with contextlib.suppress(SelectorError):
        selector_of(text).selects(LABELS)
