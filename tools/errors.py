"""Foreseen mishaps that all tools share.

MrProberError
├── MissingKeyError        there is no key for the API
├── AddressError           what is set as the API's address is none
└── ApiError
    └── ApiRefusedError
        └── KeyRefusedError   the API does not take the key
"""

from pathlib import Path

from common.contracts.values import Problem
from common.errors import ApiRefusedError, MrProberError


class MissingKeyError(MrProberError):
    """No key is set and the key file is not there."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"there is no key for the API: set MR_PROBER_API_KEY, or MR_PROBER_API_KEY_FILE"
            f" to a file that holds one (now {path})"
        )


class AddressError(MrProberError):
    """No call can be made to such an address."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"{url!r} is no address of the API: set MR_PROBER_API_URL or --api-url"
            " to one like http://127.0.0.1:8080 or https://prober.example.net"
        )


class KeyRefusedError(ApiRefusedError):
    """Status 401: the key is wrong, has ended or was revoked; `source` says where it came from."""

    def __init__(self, problem: Problem, *, url: str, source: str) -> None:
        detail = f"the API at {url} does not take the key of {source}: it is wrong, has ended or was revoked"
        super().__init__(problem.model_copy(update={"detail": detail}))
