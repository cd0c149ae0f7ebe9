"""Keys that this process saw a moment ago, so that a caller with many requests costs one query a second.

A key that is revoked here is forgotten at once; one that is revoked in another process lives on for this second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

from api.services.keys import KnownKey, digest_of, find_key, note_use
from database.session import Database

REMEMBERED_FOR = timedelta(seconds=1)
_NOTED_EVERY = timedelta(minutes=1)
_MAX_REMEMBERED = 10_000


@dataclass(frozen=True)
class _Remembered:
    key: KnownKey
    read_at: (
        float  # by the monotonic clock: to set the clock back must not lengthen a dead key's life
    )


class KeyRing:
    """Whose key is it? May be asked from several threads: a lost update costs a query."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime],
        *,
        monotonic_seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._monotonic_seconds = monotonic_seconds
        self._keys: dict[str, _Remembered] = {}
        self._noted: dict[UUID, datetime] = {}

    def remembered(self, text: str) -> KnownKey | None:
        """The valid key of this text, if it was seen within the last second; asks no database."""
        found = self._keys.get(digest_of(text))
        if found is None or self._age(found) >= REMEMBERED_FOR.total_seconds():
            return None
        return found.key if found.key.is_valid(self._clock()) else None

    def key_of(self, text: str) -> KnownKey | None:
        """The valid key of this text, if there is one."""
        if key := self.remembered(text):
            return key
        digest = digest_of(text)
        asked_at = self._monotonic_seconds()
        key = find_key(self._database, digest, now=self._clock())
        if key is None:
            # Not remembered: wrong keys must not push right ones out.
            self._keys.pop(digest, None)
            return None
        if len(self._keys) >= _MAX_REMEMBERED:
            self._keys.clear()
        self._keys[digest] = _Remembered(key, asked_at)
        return key

    def forget(self) -> None:
        """Ask the database again from now on: a key was revoked."""
        self._keys.clear()

    def is_use_due(self, key_id: UUID) -> bool:
        """Whether it is time to note that the key is in use."""
        noted = self._noted.get(key_id)
        return noted is None or abs(self._clock() - noted) >= _NOTED_EVERY

    def note_use(self, key_id: UUID) -> None:
        """Note that the key is in use; in a transaction of its own."""
        if len(self._noted) >= _MAX_REMEMBERED:
            self._noted.clear()
        self._noted[key_id] = self._clock()
        note_use(self._database, key_id, now=self._clock())

    def _age(self, found: _Remembered) -> float:
        return self._monotonic_seconds() - found.read_at
