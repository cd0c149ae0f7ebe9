"""Leases: who of several processes may do a job just now.

The database's clock decides; a holder renews at a third of the duration and stops by its own monotonic clock at two thirds,
so that it has stopped before anybody else begins. What it writes to the database names its fencing number besides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from common.errors import MrProberError
from database.models import Lease, now, table_of
from database.session import Database

_TABLE = table_of(Lease)
_OF_NAME = _TABLE.c.name == bindparam("of_name")
# Made once: they cost more than their execution.
_NAMED = select(_TABLE.c.holder, _TABLE.c.fencing, _TABLE.c.expires_at).where(_OF_NAME)
_CHANGE = update(_TABLE).where(_OF_NAME)


class LeaseLostError(MrProberError):
    """Another process does the job now, or may begin any moment."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the lease {name} is lost: another process goes on")


@dataclass(frozen=True)
class LeaseTerms:
    """Which lease, for whom, for how long."""

    name: str
    holder: str
    duration: timedelta


class HeldLease:
    """A lease as its holder sees it; one thread uses it."""

    def __init__(
        self,
        database: Database,
        terms: LeaseTerms,
        *,
        clock_seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._database = database
        self._terms = terms
        self._clock_seconds = clock_seconds
        self._asked_at: float | None = None
        self._fencing = 0

    def keep(self) -> bool:
        """Whether we hold it; asks for it, or renews it, when that is due."""
        if self._age() < self._terms.duration.total_seconds() / 3:
            return True
        asked_at = self._clock_seconds()
        with self._database.writing() as session:
            fencing = claim(session, self._terms)
        self._asked_at = asked_at if fencing else None
        self._fencing = fencing or 0
        return fencing is not None

    def require(self, session: Session | None = None) -> None:
        """LeaseLostError if we may no longer act; with a session also if somebody else holds it by the database."""
        if self._age() >= self._terms.duration.total_seconds() * 2 / 3:
            raise LeaseLostError(self._terms.name)
        if session is not None:
            fencing = session.scalar(
                select(Lease.fencing).where(Lease.name == self._terms.name).with_for_update()
            )
            if fencing != self._fencing:
                raise LeaseLostError(self._terms.name)

    def give_up(self) -> None:
        """Let others begin at once; nothing happens if we do not hold it."""
        if self._asked_at is None:
            return
        self._asked_at = None
        with self._database.writing() as session:
            row = session.get(Lease, self._terms.name, with_for_update=True)
            if row is not None and row.fencing == self._fencing:
                row.expires_at = database_now(session)

    def _age(self) -> float:
        if self._asked_at is None:
            return float("inf")
        return self._clock_seconds() - self._asked_at


def claim(session: Session, terms: LeaseTerms, *, skip_locked: bool = False) -> int | None:
    """The fencing number, if the lease was free, run out or ours; None if somebody else holds it. A writing session.

    With `skip_locked` also None, at once, while somebody else claims it or writes under it just now (PostgreSQL).
    """
    present = database_now(session)
    locking = _NAMED.with_for_update(skip_locked=skip_locked)
    name = {"of_name": terms.name}
    row = session.execute(locking, name).one_or_none()
    if row is None and session.execute(_NAMED, name).one_or_none() is None:
        _make(session, terms.name, present)
        row = session.execute(locking, name).one_or_none()
    if row is None:
        return None
    is_over = row.expires_at <= present
    if row.holder != terms.holder and not is_over:
        return None
    fencing: int = row.fencing + (row.holder != terms.holder or is_over)
    held = {"holder": terms.holder, "fencing": fencing, "expires_at": present + terms.duration}
    session.execute(_CHANGE, {**name, **held})
    return fencing


def _make(session: Session, name: str, present: datetime) -> None:
    """The row of a lease that nobody held yet; another process may make it at the same time."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    first = {"name": name, "holder": "", "fencing": 0, "expires_at": present}
    insert = (postgresql if is_postgresql else sqlite).insert(_TABLE).values(first)
    session.execute(insert.on_conflict_do_nothing())


def database_now(session: Session) -> datetime:
    """The database's clock; SQLite's is this machine's."""
    if session.get_bind().dialect.name != "postgresql":
        return now()
    moment: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return moment
