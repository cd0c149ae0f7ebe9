"""`${…}` in settings and commands."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.references import (
    UnknownReferenceError,
    as_text,
    cluster_variables_in,
    substituted,
    substituted_text,
)

SCOPE: dict[str, Any] = {"host.name": "vm-1", "list": ["a", 1], "number": 5, "raw": "${host.name}"}


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("plain", "plain"),
        ("${number}", 5),
        ("${list}", ["a", 1]),
        ("${number}${number}", "55"),
        ("<${list}>", '<["a", 1]>'),
        ("$${host.name}", "${host.name}"),
        ("$${", "${"),
        ("$${${host.name}", "${vm-1"),
        ("${unclosed", "${unclosed"),
        ("$5 and $", "$5 and $"),
        # What came in by a reference is not looked at again.
        ("${raw}", "${host.name}"),
        (["${number}", {"${number}": "${host.name}"}], [5, {"${number}": "vm-1"}]),
        (None, None),
        (True, True),
    ],
)
def test_references_become_values_at_any_depth(value: Any, result: Any) -> None:
    assert substituted(value, SCOPE) == result


def test_arguments_are_always_texts() -> None:
    assert substituted_text("${number}", SCOPE) == "5"
    assert substituted_text("${list}", SCOPE) == '["a", 1]'


@pytest.mark.parametrize("text", ["${}", "${nobody}", "${ host.name }", "x${host}y"])
def test_an_unknown_name_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(UnknownReferenceError, match=r"is not known here"):
        substituted({"deep": [text]}, SCOPE)


def test_finds_the_clusters_variables_that_a_value_needs() -> None:
    value: Any = {
        "one": ["${cluster.variables.a} and ${cluster.variables.b-c}"],
        "other": {"deep": "${cluster.slug} $${cluster.variables.escaped}"},
        "number": 5,
    }
    assert cluster_variables_in(value) == {"a", "b-c"}


@given(st.text())
def test_an_escaped_text_comes_back_as_it_was(text: str) -> None:
    assert substituted(text.replace("${", "$${"), {}) == text


def test_texts_stay_and_everything_else_is_json() -> None:
    values: list[Any] = ["a b", ["ä"], {"b": None}, 1.0]
    assert [as_text(value) for value in values] == [
        "a b", '["ä"]', '{"b": null}', "1.0",
    ]  # fmt: skip
