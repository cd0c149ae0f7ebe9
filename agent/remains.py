"""What an agent's folder says without the agent: who it was, what it ran, what is paused, what waits: *read*.

Nothing is written, and nothing of it needs a living agent; whoever reads it needs the rights to the folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from agent.identity import StoredIdentity, stored_identity
from agent.pauses import PauseFile
from agent.store import document_in
from common.contracts.configuration import ConfigurationDocument
from common.contracts.control import Pause
from common.contracts.resolution import EffectiveProber, Host, resolve

_ACCOUNTED = "accounted.json"
_SPOOL = "spool"


@dataclass(frozen=True)
class Remains:
    """What was found; None or nothing where there is nothing, or where it is damaged."""

    folder: Path
    identity: StoredIdentity | None = None
    document: ConfigurationDocument | None = None
    probers: Sequence[EffectiveProber] = ()
    pauses: Sequence[Pause] = ()
    # When it last handed over its counters: it lived at least until then.
    last_sign_at: datetime | None = None
    spool_bytes: int = 0
    problem: str = ""


def remains_in(folder: Path) -> Remains:
    """Everything at once; what cannot be read is a `problem`, never an error."""
    try:
        identity = stored_identity(folder)
        document = _document(folder)
        return Remains(
            folder=folder,
            identity=identity,
            document=document,
            probers=resolve(document, Host(identity.host)) if document and identity else (),
            pauses=PauseFile(folder).pauses(),
            last_sign_at=_changed_at(folder / _ACCOUNTED),
            spool_bytes=_size_of(folder / _SPOOL),
            problem="" if identity else "no agent has ever worked there",
        )
    except OSError as error:
        return Remains(folder=folder, problem=error.strerror or str(error))


def _document(folder: Path) -> ConfigurationDocument | None:
    content = document_in(folder)
    try:
        return ConfigurationDocument.model_validate_json(content) if content else None
    except ValidationError:
        return None


def _changed_at(file: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())
