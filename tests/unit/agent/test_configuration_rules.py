"""Which documents are believed, and how soon the next poll comes."""

from datetime import timedelta

import pytest

from agent.configuration import checked_document, poll_delay
from agent.errors import DocumentRefusedError
from common.contracts.configuration import ConfigurationDocument

CURRENT = ConfigurationDocument.model_validate(
    {
        "format": 1,
        "revision": 5,
        "cluster": {"id": "01890000-0000-7000-8000-000000000001", "slug": "demo"},
    }
)


def refusal(content: bytes) -> str:
    with pytest.raises(DocumentRefusedError) as refused:
        checked_document(content, cluster_slug="demo", current=CURRENT)
    return refused.value.reason


def changed(**fields: object) -> bytes:
    return CURRENT.model_copy(update=fields).canonical_bytes()


def test_takes_a_newer_document() -> None:
    document = checked_document(changed(revision=6), cluster_slug="demo", current=CURRENT)
    assert document.revision == 6


def test_refuses_what_is_no_document_and_names_the_first_mistake() -> None:
    assert "Invalid JSON" in refusal(b"<html>")
    assert "format" in refusal(CURRENT.canonical_bytes().replace(b'"format":1', b'"format":2'))
    assert "revision" in refusal(b'{"format":1}') or "cluster" in refusal(b'{"format":1}')


def test_refuses_a_lower_revision() -> None:
    assert "older than 5" in refusal(changed(revision=4))


def test_refuses_another_cluster_under_the_same_name() -> None:
    other = CURRENT.canonical_bytes().replace(b"00000001", b"00000002")
    assert "remove the agent's folder" in refusal(other)
    assert "it is for cluster other" in refusal(
        CURRENT.canonical_bytes().replace(b"demo", b"other")
    )


def test_polls_at_its_interval_and_less_often_after_failures() -> None:
    interval = timedelta(seconds=5)
    assert poll_delay(interval, failures=0, jitter=0.5) == interval
    assert poll_delay(interval, failures=1, jitter=0.5) == interval
    assert poll_delay(interval, failures=2, jitter=0.5) == 2 * interval
    assert poll_delay(interval, failures=99, jitter=0.5) == 3 * interval
    assert poll_delay(timedelta(minutes=1), failures=9, jitter=0.5) == timedelta(minutes=1)


def test_polls_of_many_agents_drift_apart() -> None:
    interval = timedelta(seconds=10)
    assert poll_delay(interval, failures=0, jitter=0.0) == timedelta(seconds=9)
    assert poll_delay(interval, failures=0, jitter=1.0) == timedelta(seconds=11)
