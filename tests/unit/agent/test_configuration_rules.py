"""Which documents are believed, and how soon the next poll comes."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import cast

import pytest

from agent.configuration import Configuration, ConfigurationNews
from agent.documents import checked_document
from agent.errors import DocumentRefusedError
from agent.polling import follow, poll_delay
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


WAIT = timedelta(seconds=25)


def delay(
    wait: timedelta = WAIT, *, took: float = 0, changed: bool = False, failures: int = 0, jitter: float = 0.5
) -> float:  # fmt: skip
    pause = poll_delay(
        wait, took=timedelta(seconds=took), changed=changed, failures=failures, jitter=jitter
    )
    return pause.total_seconds()


def test_asks_again_at_once_after_the_api_held_the_question() -> None:
    assert delay(took=25) == delay(took=23) == 0


def test_never_spins_at_an_api_that_answers_at_once() -> None:
    assert delay(took=0) == delay(took=1) == 5
    assert delay(timedelta(seconds=0.2), took=0) == 0.2
    assert delay(took=0, changed=True) == delay(took=20, changed=True) == 0.5


def test_asks_less_and_less_often_after_failures() -> None:
    assert [delay(took=30, failures=number) for number in (1, 2, 3, 99)] == [5, 10, 15, 15]
    assert delay(timedelta(seconds=0.2), failures=99) == 15


def test_polls_of_many_agents_drift_apart() -> None:
    assert delay(jitter=0.0) == 4.5
    assert delay(jitter=1.0) == 5.5


def test_a_wait_of_nothing_is_no_reason_to_ask_without_end() -> None:
    nothing = timedelta()
    pause = poll_delay(nothing, took=nothing, changed=False, failures=0, jitter=0.5)
    assert pause > nothing


class NudgedConfiguration:
    """Has failed so often that the next pause is a long one, and is nudged while it polls."""

    etag = ""
    failures = 10

    def __init__(self, nudged: threading.Event, stopping: threading.Event) -> None:
        self.nudged = nudged
        self.stopping = stopping
        self.polls = 0

    def start_from_disk(self) -> ConfigurationNews:
        return ConfigurationNews(None, "", None)

    def stand_in(self, deliver: Callable[[ConfigurationNews], None]) -> None:
        del deliver

    def poll(self, wait: timedelta) -> ConfigurationNews:
        assert wait
        self.polls += 1
        if self.polls == 2:
            self.stopping.set()
        self.nudged.set()
        return ConfigurationNews(None, "", None)


def test_a_nudge_ends_the_pause() -> None:
    nudged, stopping = threading.Event(), threading.Event()
    fake = NudgedConfiguration(nudged, stopping)
    delivered: list[ConfigurationNews] = []
    arguments = {
        "wait": timedelta(seconds=25),
        "stopping": stopping,
        "nudged": nudged,
        "deliver": delivered.append,
    }
    thread = threading.Thread(
        target=follow, args=(cast("Configuration", fake),), kwargs=arguments, daemon=True
    )
    thread.start()
    thread.join(6)
    assert not thread.is_alive()
    assert fake.polls == 2
    assert len(delivered) == 3
