"""Slugs and UUIDv7."""

import time
from uuid import RFC_4122

import pytest
from pydantic import TypeAdapter, ValidationError

from common.contracts.identifiers import Slug, is_slug, new_id


def test_ids_are_version_7_of_the_rfc() -> None:
    for made in (new_id() for _ in range(100)):
        assert made.version == 7
        assert made.variant == RFC_4122


def test_ids_carry_the_millisecond_of_their_making() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id()
    after = time.time_ns() // 1_000_000
    assert before <= made.int >> 80 <= after


def test_ids_differ_within_one_millisecond() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000


def test_ids_of_one_millisecond_still_sort_by_age() -> None:
    made = [new_id() for _ in range(5000)]
    assert made == sorted(made)


@pytest.mark.parametrize("text", ["a", "mesh-a", "a1", "a--b", "a" * 63])
def test_slugs(text: str) -> None:
    assert is_slug(text)
    assert TypeAdapter(Slug).validate_python(text) == text


@pytest.mark.parametrize("text", ["", "A", "1a", "-a", "a-", "a_b", "a.b", "a\n", "ä", "a" * 64])
def test_no_slugs(text: str) -> None:
    assert not is_slug(text)
    with pytest.raises(ValidationError):
        TypeAdapter(Slug).validate_python(text)
