"""What Solomon's answers mean."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.solomon.answers import PushResult, PushStatus, push_result

NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)


def result(code: int, body: bytes = b"", retry_after: str = "") -> PushResult:
    return push_result(code, body, retry_after=retry_after, now=NOW)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (200, PushStatus.OK),
        (202, PushStatus.OK),
        (302, PushStatus.REFUSED),
        (400, PushStatus.REFUSED),
        (401, PushStatus.NEW_TOKEN),
        (403, PushStatus.NEW_TOKEN),
        (404, PushStatus.REFUSED),
        (408, PushStatus.RETRY),
        (413, PushStatus.REFUSED),
        (429, PushStatus.SLOW_DOWN),
        (500, PushStatus.RETRY),
        (503, PushStatus.RETRY),
    ],
)
def test_answers_are_classified(code: int, status: PushStatus) -> None:
    assert result(code, b"{}").status is status


@pytest.mark.parametrize(
    "body",
    [
        b'{"sensorsProcessed": 7, "status": "OK", "more": [1]}',
        b'{"writtenMetricsCount": "7"}',
        b'{"writtenMetricsCount": 7, "errorMessage": ""}',
        b'{"metrics_written":"7"}',
    ],
)
def test_reads_how_many_points_were_taken_and_ignores_unknown_keys(body: bytes) -> None:
    assert (result(200, body).status, result(200, body).taken) == (PushStatus.OK, 7)


def test_a_count_that_is_missing_is_unknown_and_one_below_zero_is_none_taken() -> None:
    assert result(200, b'{"status": "OK"}').taken is None
    assert result(200, b'{"sensorsProcessed": -3}').taken == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"sensorsProcessed": "many"}', b"\xff"])
def test_a_success_that_is_not_solomons_is_none(body: bytes) -> None:
    assert result(200, body).status is PushStatus.RETRY
    assert result(500, body).status is PushStatus.RETRY
    assert result(400, body).status is PushStatus.REFUSED


def test_a_refusal_says_what_solomon_said() -> None:
    assert "HTTP 400: bad label" in result(400, b'{"errorMessage": "bad label"}').message
    assert "HTTP 413: too much" in result(413, b"too much").message


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("1e99", 300),
        ("86400", 300),
        ("Sun, 22 Nov 2026 16:01:00 GMT", 60),
        ("Sun, 22 Nov 2026 15:00:00 -0000", 0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_a_pause_is_read_from_seconds_or_a_date_and_is_bounded(
    retry_after: str, seconds: float | None
) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert result(429, b"", retry_after).pause == expected


@given(st.integers(100, 999), st.binary(max_size=50), st.text(max_size=20))
def test_no_answer_is_a_surprise(code: int, body: bytes, retry_after: str) -> None:
    assert result(code, body, retry_after).status in PushStatus
