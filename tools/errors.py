"""Foreseen mishaps that all tools share.

MrProberError
└── MissingKeyError   there is no key for the API
"""

from pathlib import Path

from common.errors import MrProberError


class MissingKeyError(MrProberError):
    """No key is set and the key file is not there."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"there is no key for the API: set MR_PROBER_API_KEY, or MR_PROBER_API_KEY_FILE"
            f" to a file that holds one (now {path})"
        )
