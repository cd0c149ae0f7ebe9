"""Record: which Creators work just now, and refuse to start where their states of terraform would be two."""

import logging
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from common.contracts.identifiers import new_id
from common.version import VERSION
from creator.errors import OtherStatesError
from database.leases import database_now
from database.models import Creator
from database.session import Database

log = logging.getLogger(__name__)

BEAT = timedelta(seconds=10)
# A Creator that was not seen for so long is gone.
GONE_AFTER = timedelta(minutes=1)
_FORGOTTEN_AFTER = timedelta(days=1)
_LOCAL = "file:"


@dataclass(frozen=True)
class Place:
    """Where a Creator works and where its states are: `file:/…` on that machine, or `s3://bucket/prefix`."""

    host: str
    machine: str
    state_store: str

    def conflicts_with(self, other: "Place") -> bool:
        """Whether the two would keep two states of one cluster."""
        if self.state_store != other.state_store:
            return True
        return self.state_store.startswith(_LOCAL) and self.machine != other.machine


def place_here(state_store: str) -> Place:
    """This machine, by what it is called and by its id, which containers and copies of a name do not share."""
    host = socket.gethostname()
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except OSError:
        machine = ""
    return Place(host, machine or host, state_store)


class Register:
    """This Creator's row in the table of Creators. Calls may raise SQLAlchemy's errors."""

    def __init__(self, database: Database, place: Place) -> None:
        self.id = new_id()
        self._database = database
        self._place = place

    @property
    def holder(self) -> str:
        """How it is called in leases: by host, for people, and by id."""
        return f"{self._place.host}/{self.id}"

    def enter(self) -> None:
        """Say that we work here; OtherStatesError if another Creator works with other states."""
        with self._database.writing() as session:
            present = database_now(session)
            session.execute(delete(Creator).where(Creator.seen_at < present - _FORGOTTEN_AFTER))
            session.add(
                Creator(
                    id=self.id,
                    host=self._place.host,
                    machine=self._place.machine,
                    version=VERSION,
                    state_store=self._place.state_store,
                    started_at=present,
                    seen_at=present,
                )
            )
        # Of two that start at once, each sees the other: the later one gives way.
        with self._database.reading() as session:
            refusal = self._refusal(session, present)
        if refusal is not None:
            self.leave()
            raise refusal

    def beat(self) -> None:
        """Say that we still work."""
        with self._database.writing() as session:
            row = update(Creator).where(Creator.id == self.id)
            session.execute(row.values(seen_at=database_now(session)))

    def leave(self) -> None:
        """Say that we are gone."""
        with self._database.writing() as session:
            session.execute(delete(Creator).where(Creator.id == self.id))

    def keep_beating(self, stop: Event) -> None:
        """Beat in a thread of its own until `stop`; a database that is away is asked again."""
        Thread(target=self._beat_until, args=(stop,), name="register", daemon=True).start()

    def _beat_until(self, stop: Event) -> None:
        while not stop.wait(BEAT.total_seconds()):
            try:
                self.beat()
            except SQLAlchemyError as error:
                log.warning("the register of Creators cannot be written: %s", error)

    def _refusal(self, session: Session, started_at: datetime) -> OtherStatesError | None:
        living = Creator.seen_at > database_now(session) - GONE_AFTER
        for row in session.scalars(select(Creator).where(living, Creator.id != self.id)):
            other = Place(row.host, row.machine, row.state_store)
            came_first = (row.started_at, row.id) < (started_at, self.id)
            if came_first and self._place.conflicts_with(other):
                return OtherStatesError(row.host, row.state_store, row.seen_at + GONE_AFTER)
        return None
