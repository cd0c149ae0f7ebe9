"""Who this agent is: an instance id made at its first start, and a counter of its starts: *read*."""

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


class StoredIdentity(Wire):
    """What is on disk; host and cluster are for who reads the folder of an agent that is dead."""

    instance: UUID
    boot: int = Field(ge=0)
    host: str = ""
    cluster: str = ""


def next_identity(folder: Path, *, host: str = "", cluster: str = "") -> Identity:
    """The identity of this start, already written down; OSError if that is not possible."""
    known = stored_identity(folder)
    instance, boot = (known.instance, known.boot + 1) if known else (uuid4(), 1)
    stored = StoredIdentity(instance=instance, boot=boot, host=host, cluster=cluster)
    write_atomically(folder / _FILE, stored.model_dump_json().encode() + b"\n")
    return Identity(instance, boot)


def stored_identity(folder: Path) -> StoredIdentity | None:
    """That of the newest start; None if there was none or the file is damaged. OSError if it cannot be read."""
    try:
        return StoredIdentity.model_validate_json((folder / _FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
