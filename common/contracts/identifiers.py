"""Names and identifiers: what a slug is, and how a new id is made."""

import os
import re
import time
from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

SLUG_PATTERN = r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"
# Names of probers' variables become label names, so they follow the rule of labels.
PROBER_VARIABLE_PATTERN = r"^[a-z][a-z0-9_]{1,31}$"
CLUSTER_VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]{0,127}$"
HOST_PATTERN = r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9])?$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"

Slug = Annotated[str, StringConstraints(pattern=SLUG_PATTERN)]
ProberVariableName = Annotated[str, StringConstraints(pattern=PROBER_VARIABLE_PATTERN)]
ClusterVariableName = Annotated[str, StringConstraints(pattern=CLUSTER_VARIABLE_PATTERN)]
HostName = Annotated[str, StringConstraints(pattern=HOST_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=SHA256_PATTERN)]


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then random bits, so that ids sort by age."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80 | random_bits
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def is_slug(text: str) -> bool:
    """Whether the text may name an object with a slug."""
    return re.fullmatch(SLUG_PATTERN, text) is not None
