"""What a run used, as a value."""

from typing import NamedTuple


class Cost(NamedTuple):
    """What the processes of a run used, as far as they were waited for."""

    user_seconds: float = 0.0
    system_seconds: float = 0.0
    peak_rss_bytes: int = 0
