"""Which expected hosts are silent, and since when."""

from datetime import UTC, datetime, timedelta

import pytest

from creator.silences import BOOT_TIME, SILENCE_TIME, silence_of
from creator.situations import Silence

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)
FRESH = NOW - timedelta(seconds=30)
MISSED = NOW - timedelta(minutes=7)


@pytest.mark.parametrize(
    ("reported", "applied_at", "silent", "since"),
    [
        ({"a": FRESH, "b": FRESH}, LONG_AGO, None, None),
        ({"a": FRESH, "b": MISSED}, LONG_AGO, ("b",), MISSED + SILENCE_TIME),
        # One that never came up.
        ({"a": FRESH}, LONG_AGO, ("b",), LONG_AGO + BOOT_TIME),
        ({}, LONG_AGO, ("a", "b"), LONG_AGO + BOOT_TIME),
        ({"a": MISSED}, LONG_AGO, ("a", "b"), MISSED + SILENCE_TIME),
        # New machines need their time.
        ({}, NOW - BOOT_TIME + timedelta(seconds=1), None, None),
        ({"a": LONG_AGO}, NOW - timedelta(minutes=1), None, None),
        # Hosts that nobody expects any more may be as silent as they like.
        ({"a": FRESH, "b": FRESH, "c": LONG_AGO}, LONG_AGO, None, None),
    ],
)
def test_who_is_silent(
    reported: dict[str, datetime],
    applied_at: datetime,
    silent: tuple[str, ...] | None,
    since: datetime | None,
) -> None:
    expected = Silence(silent, since) if silent and since else None

    assert silence_of(["a", "b"], reported, applied_at, NOW) == expected


def test_a_cluster_without_hosts_is_not_silent() -> None:
    assert silence_of([], {}, LONG_AGO, NOW) is None
