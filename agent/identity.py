"""Who this agent is: an instance id made at its first start, and a counter of its starts: *read*."""

import json
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from pydantic import Field, ValidationError

from common.atomic_files import write_atomically
from common.contracts.values import Wire

_FILE = "identity.json"


@dataclass(frozen=True)
class Identity:
    """The newest boot of an instance speaks for its host."""

    instance: UUID
    boot: int


class _Stored(Wire):
    instance: UUID
    boot: int = Field(ge=0)


def next_identity(folder: Path) -> Identity:
    """The identity of this start, already written down; OSError if that is not possible."""
    file = folder / _FILE
    try:
        stored = _Stored.model_validate_json(file.read_bytes())
        identity = Identity(stored.instance, stored.boot + 1)
    except (FileNotFoundError, ValidationError):
        identity = Identity(uuid4(), 1)
    text = json.dumps({"instance": str(identity.instance), "boot": identity.boot})
    write_atomically(file, text.encode() + b"\n")
    return identity
