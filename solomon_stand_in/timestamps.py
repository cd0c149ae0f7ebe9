"""Points in time on the wire: seconds or ISO 8601 come in, milliseconds since the epoch are kept. Pure."""

import re
from datetime import UTC, datetime, timedelta

# A sender that confuses milliseconds with seconds lands far beyond this.
FUTURE_LIMIT = timedelta(days=1)

_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds_of(moment: datetime) -> int:
    """Milliseconds since the epoch."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment_of(text: str) -> datetime:
    """The moment that a text like `2026-11-22T16:00:00Z` names; ValueError if it names none."""
    if not _ISO.fullmatch(text):
        raise ValueError("a timestamp looks like 2026-11-22T16:00:00Z")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"there is no such moment: {error}") from error
