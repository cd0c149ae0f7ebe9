"""Names and identifiers: what a slug is, and how a new id is made."""

import os
import re
import time
from threading import Lock
from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

SLUG_PATTERN = r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
# Names of probers' variables become label names, so they follow the rule of labels.
PROBER_VARIABLE_PATTERN = r"^[a-z][a-z0-9_]{1,31}$"
CLUSTER_VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]{0,127}$"
HOST_PATTERN = r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9])?$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"
# What the header Mr-Prober-Manager can carry as it is; `*` alone means any manager there.
MANAGER_PATTERN = r"^([!-)+-~]|[!-~][ -~]{0,98}[!-~])?$"
UUID_PATTERN = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN)]
ProberVariableName = Annotated[str, StringConstraints(pattern=PROBER_VARIABLE_PATTERN)]
ClusterVariableName = Annotated[str, StringConstraints(pattern=CLUSTER_VARIABLE_PATTERN)]
HostName = Annotated[str, StringConstraints(pattern=HOST_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=SHA256_PATTERN)]
# Who manages an object; empty: nobody.
ManagerName = Annotated[str, StringConstraints(pattern=MANAGER_PATTERN)]
# An id that is only compared, as `str(UUID)` writes it.
UuidText = Annotated[str, StringConstraints(pattern=UUID_PATTERN, to_lower=True)]


class _Stamps:
    """48 bits of Unix milliseconds and 12 bits of a counter: each stamp is greater than the one before."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last = 0

    def next(self) -> int:
        """The next stamp, also after a clock that stepped back."""
        now = time.time_ns() // 1_000_000 << 12
        with self._lock:
            self._last = max(now, self._last + 1)
            return self._last


_STAMPS = _Stamps()


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562, method 1): ids of one process sort by age, also within a millisecond."""
    stamp = _STAMPS.next()
    random_bits = int.from_bytes(os.urandom(8), "big") >> 2
    milliseconds, counter = stamp >> 12, stamp & 0xFFF
    return UUID(int=milliseconds << 80 | 0x7 << 76 | counter << 64 | 0x2 << 62 | random_bits)


def is_slug(text: str) -> bool:
    """Whether the text may name an object with a slug."""
    return re.fullmatch(SLUG_PATTERN, text) is not None
