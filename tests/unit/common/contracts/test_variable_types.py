"""Values and type constraints; the table of what terraform itself says is in the integration tests."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.variable_types import (
    MAX_PROBLEMS,
    NotUnderstoodError,
    misfits,
    parsed_type,
)

NODES = "list(object({ name = string, cpu = optional(number, 2), ports = set(number) }))"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda items: st.lists(items, max_size=3) | st.dictionaries(st.text(max_size=3), items),
    max_leaves=8,
)
TYPES = st.recursive(
    st.sampled_from(["string", "number", "bool", "any"]),
    lambda types: (
        st.builds("{}({})".format, st.sampled_from(["list", "set", "map"]), types)
        | st.lists(types, max_size=3).map(lambda items: f"tuple([{', '.join(items)}])")
        | st.lists(types, max_size=3).map(
            lambda items: (
                "object({"
                + ", ".join(
                    f"a{n} = optional({item})" if n % 2 else f"a{n} = {item}"
                    for n, item in enumerate(items)
                )
                + "})"
            )
        )
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "constraint", "expected"),
    [
        ([{"name": "a", "cpu": "x", "ports": []}], NODES, {"[0].cpu": "a number, not this text"}),
        ([{"ports": [1, "y", []]}], NODES, {
            "[0].name": "a value: this attribute is required",
            "[0].ports[1]": "a number, not this text",
            "[0].ports[2]": "a number, not a list",
        }),
        ({"a b": 1}, "map(bool)", {"['a b']": "a bool, not a number"}),
        ([1], "tuple([number, number])", {"": "2 items, not 1"}),
        (1, "list(string)", {"": "a list, not a number"}),
    ],
)  # fmt: skip
def test_names_the_place_and_what_belongs_there(
    value: Any, constraint: str, expected: dict[str, str]
) -> None:
    assert {one.path: one.expected for one in misfits(value, constraint)} == expected


def test_never_repeats_a_value() -> None:
    values: list[Any] = ["swordfish", ["swordfish"], {"a": "swordfish"}, [{"cpu": "swordfish"}]]
    for constraint in ("number", "list(bool)", NODES, "tuple([number])"):
        for value in values:
            assert "swordfish" not in str(misfits(value, constraint))


@pytest.mark.parametrize(
    "constraint",
    [
        "lst(string)", "list(", "list(string))", "object({a})", "object({a = })", "tuple(string)", '"string"', "set",
        "optional(string)", "var.x", "object({ a = optional(string, [ ) })", "list(" * 40 + "string" + ")" * 40, "((((", "}",
    ],
)  # fmt: skip
def test_does_not_judge_by_what_it_does_not_understand(constraint: str) -> None:
    with pytest.raises(NotUnderstoodError):
        parsed_type(constraint)
    assert misfits({"any": ["value"]}, constraint) == []


def test_tells_a_bounded_number_of_problems() -> None:
    assert len(misfits(["x"] * 1000, "list(number)")) == MAX_PROBLEMS


@given(st.text(alphabet='abc stringlmapobjectoptional(){}[],=:"#/*\n', max_size=60))
def test_any_text_is_understood_or_not_but_never_a_crash(constraint: str) -> None:
    with contextlib.suppress(NotUnderstoodError):
        parsed_type(constraint)


@given(value=JSON, constraint=TYPES)
def test_every_type_that_terraform_has_is_understood(value: Any, constraint: str) -> None:
    parsed_type(constraint)
    for misfit in misfits(value, constraint):
        assert misfit.expected


@given(constraint=TYPES)
def test_null_is_a_value_of_every_type(constraint: str) -> None:
    assert misfits(None, constraint) == []
