"""Judge: whose is a lock on a state, and may Creator free it? Read: where terraform's backends keep it.

A lock is freed without a person only if a step of ours recorded its id while it held it, and that step is proven dead.
"""

import contextlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from common.contracts.deployments import StateLock

# Events that terraform prints only while it holds the lock of the state that it works on.
_SIGNS_OF_A_HELD_LOCK = frozenset(
    {
        "refresh_start",
        "refresh_complete",
        "resource_drift",
        "planned_change",
        "change_summary",
        "apply_start",
        "apply_progress",
        "apply_complete",
        "apply_errored",
        "provision_start",
        "provision_progress",
        "provision_complete",
        "provision_errored",
        "ephemeral_op_start",
        "ephemeral_op_complete",
    }
)
_LOCK_REFUSED = "Error acquiring the state lock"
_FIELD = re.compile(r"^[ │]*(ID|Path|Operation|Who|Created):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
# As Go prints a moment, and as JSON has it: a fraction of up to nine digits.
_MOMENT = re.compile(
    r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z| ?\+00:?00(?: UTC)?)$"
)


@dataclass(frozen=True)
class LockHolder:
    """A step of ours that recorded the id of a lock while it held it."""

    lock_id: str
    is_dead: bool


class LockReader(Protocol):
    """Where one state's lock shows."""

    @property
    def stays(self) -> bool:
        """Whether the lock stays when its holder dies, so that somebody has to free it."""

    @property
    def pause(self) -> timedelta:
        """How long to wait between two looks."""

    def read(self) -> StateLock | None:
        """The lock that is there now; None if there is none, or if it cannot be seen just now. Raises nothing foreseen."""


class LocalLock:
    """The lock of a state in a file, which the kernel frees with its holder: only what is written beside it stays."""

    stays = False
    pause = timedelta(milliseconds=50)

    def __init__(self, state: Path) -> None:
        self._path = state.with_name(f".{state.name}.lock.info")

    def read(self) -> StateLock | None:
        """What terraform writes beside the state."""
        with contextlib.suppress(OSError):
            return lock_of_json(self._path.read_bytes())
        return None


def lock_of_json(content: bytes) -> StateLock | None:
    """The lock in terraform's own record of it (`.terraform.tfstate.lock.info`, `<key>.tflock`); None if it is none."""
    try:
        fields = json.loads(content)
        return StateLock(
            id=fields["ID"],
            operation=fields.get("Operation", ""),
            who=fields.get("Who", ""),
            created=fields.get("Created", ""),
            path=fields.get("Path", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def lock_in_the_way(message: str) -> StateLock | None:
    """Who holds the lock, from the error of a terraform that did not get it, as text or as a diagnostic's detail."""
    if _LOCK_REFUSED not in message and "Lock Info:" not in message:
        return None
    fields = dict(_FIELD.findall(message.partition("Lock Info:")[2]))
    if not fields.get("ID"):
        return None
    return StateLock(
        id=fields["ID"],
        operation=fields.get("Operation", ""),
        who=fields.get("Who", ""),
        created=fields.get("Created", ""),
        path=fields.get("Path", ""),
    )


def first_sign_of_the_lock(events: Iterable[bytes]) -> datetime | None:
    """When terraform's JSON events first show that it holds the lock."""
    for line in events:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            event = json.loads(line)
            if event["type"] in _SIGNS_OF_A_HELD_LOCK:
                return datetime.fromisoformat(event["@timestamp"])
    return None


def is_held_by(lock: StateLock, *, host: str, started_at: datetime, sign_at: datetime) -> bool:
    """Whether a lock that was seen after `sign_at` is the one of our terraform, which still ran then.

    Locks exclude each other. A lock that this host made before `sign_at` and that is still there has been there
    at `sign_at`, when ours was held: it is ours. What another host says of its clock proves nothing.
    """
    created = _moment(lock.created)
    if created is None or lock.who.rpartition("@")[2] != host:
        return False
    return started_at <= created <= sign_at


def may_be_freed(lock: StateLock, holders: Iterable[LockHolder]) -> bool:
    """Whether Creator may free the lock by itself: steps of ours recorded its id, and all of them are proven dead."""
    ours = [holder for holder in holders if lock.id and holder.lock_id == lock.id]
    return bool(ours) and all(holder.is_dead for holder in ours)


def how_to_unlock(lock: StateLock) -> str:
    """The sentence for a deployment that met somebody else's lock."""
    who = lock.who or "nobody says who"
    since = f" since {lock.created}" if lock.created else ""
    doing = f" for {lock.operation}" if lock.operation else ""
    return (
        f"the state is locked by {who}{doing}{since} (lock {lock.id}); Creator frees only those of its own dead steps;"
        f" if nobody works on it any more, free it with: terraform force-unlock {lock.id}"
    )


def _moment(text: str) -> datetime | None:
    match = _MOMENT.match(text)
    if match is None:
        return None
    day, time, fraction, _ = match.groups()
    moment = datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=UTC)
    return moment + timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0")))
