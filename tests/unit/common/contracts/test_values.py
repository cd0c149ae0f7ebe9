"""Canonical JSON, ETags, and what every input refuses."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.contracts.clusters import VariablePut
from common.contracts.configuration import ConfigurationDocument, etag_of
from common.contracts.identifiers import new_id
from common.contracts.probers import ProberSettings
from common.contracts.reports import MAX_REASON_BYTES, shortened
from common.contracts.states import State, most_urgent
from common.contracts.values import Problem, canonical_json

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(JSON_VALUES)
def test_canonical_json_is_read_back_as_it_was(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


def test_canonical_json_sorts_keys_and_wastes_no_bytes() -> None:
    assert canonical_json({"b": [1, 2], "a": "ü"}) == '{"a":"ü","b":[1,2]}'.encode()


def test_a_document_has_the_same_bytes_whatever_order_it_was_made_in() -> None:
    cluster = {"id": str(new_id()), "slug": "mesh"}
    one = {"format": 1, "revision": 5, "cluster": cluster, "variables": {"b": 1, "a": [2]}}
    other = {"variables": {"a": [2], "b": 1}, "cluster": cluster, "revision": 5, "format": 1}
    first = ConfigurationDocument.model_validate(one).canonical_bytes()
    second = ConfigurationDocument.model_validate(other).canonical_bytes()
    assert etag_of(first) == etag_of(second)
    assert ConfigurationDocument.model_validate_json(first).canonical_bytes() == first


def test_the_etag_is_strong_and_changes_with_the_bytes() -> None:
    assert etag_of(b"") == '"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"'
    assert etag_of(b"a") != etag_of(b"b")


def test_a_document_of_an_unknown_format_is_refused() -> None:
    cluster = {"id": str(new_id()), "slug": "mesh"}
    with pytest.raises(ValidationError):
        ConfigurationDocument.model_validate({"format": 2, "revision": 1, "cluster": cluster})


@pytest.mark.parametrize("value", ["a\0b", "\ud800", {"a": [{"\0": 1}]}, {"deep": ["\udfff"]}])
def test_texts_that_no_database_holds_are_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match="texts without NUL and lone surrogates"):
        VariablePut(value=value)


def test_a_value_nested_without_end_is_refused_like_any_other() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ValidationError):
        VariablePut(value=deep)


@pytest.mark.parametrize("value", [float("inf"), [float("nan")], {1, 2}, b"bytes"])
def test_values_that_are_no_json_are_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        VariablePut(value=value)


def test_unknown_fields_are_refused_in_inputs_and_ignored_on_the_wire() -> None:
    with pytest.raises(ValidationError, match="intervall_seconds"):
        ProberSettings.model_validate({"intervall_seconds": 5})
    problem = {"title": "t", "status": 400, "detail": "d", "new": 1}
    assert Problem.model_validate(problem).status == 400


@given(st.text(), st.integers(min_value=1, max_value=MAX_REASON_BYTES))
def test_a_shortened_text_is_a_tail_of_whole_characters(text: str, limit: int) -> None:
    short = shortened(text, limit=limit)
    assert len(short.encode()) <= limit
    assert text.strip().endswith(short)


def test_a_shortened_text_keeps_the_end_where_errors_are() -> None:
    assert shortened("é" * 150 + "!") == "é" * 99 + "!"
    assert shortened("lone \ud800") == "lone ?"


def test_the_cell_shows_what_needs_a_person_most() -> None:
    assert most_urgent("012346") is State.FAILURE
    assert most_urgent("0023") is State.TIMEOUT
    assert most_urgent("034") is State.BROKEN
    assert most_urgent("0456") is State.NOT_RUN_YET
    assert most_urgent("000") is State.SUCCESS
    assert most_urgent("") is State.NOT_RUN_YET
