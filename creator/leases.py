"""Leases of one Creator: at most one Creator touches a cluster, and one that lost its lease stops touching it.

All that are held are renewed by one thread with one statement; `database/leases.py` says what a lease is.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Lock, Thread
from time import monotonic

from sqlalchemy import and_, bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from database.leases import LeaseLostError, LeaseTerms, claim, database_now
from database.models import Lease, table_of
from database.session import Database

log = logging.getLogger(__name__)

DURATION = timedelta(seconds=30)
_LOOKS_PER_DURATION = 12
_LEASES = table_of(Lease)
_OURS = and_(_LEASES.c.name == bindparam("of_name"), _LEASES.c.holder == bindparam("of_holder"))
# Asked before each write of a deployment: made once, they cost half as much.
_FENCING = select(_LEASES.c.fencing).where(_OURS).with_for_update()
_LET_GO = update(_LEASES).where(_OURS, _LEASES.c.fencing == bindparam("of_fencing"))


class CreatorLease:
    """One lease as its holder sees it; may be asked by several threads."""

    def __init__(self, terms: LeaseTerms, fencing: int, clock_seconds: Callable[[], float]) -> None:
        self.name = terms.name
        self.holder = terms.holder
        self.fencing = fencing  # higher with every new holder
        self._duration_seconds = terms.duration.total_seconds()
        self._clock_seconds = clock_seconds
        self._renewed_at: float | None = clock_seconds()

    @property
    def is_held(self) -> bool:
        """Whether we may still act, by our own clock: no longer than two thirds of the duration after the last renewal."""
        return self._age() < self._duration_seconds * 2 / 3

    def require(self, session: Session | None = None) -> None:
        """LeaseLostError if we may no longer act; with a session also if somebody else holds it by the database.

        Nobody else can take it before the session's transaction ends.
        """
        if not self.is_held:
            raise LeaseLostError(self.name)
        if session is None:
            return
        names = {"of_name": self.name, "of_holder": self.holder}
        if session.scalar(_FENCING, names) != self.fencing:
            self.lose()
            raise LeaseLostError(self.name)

    @property
    def is_due(self) -> bool:
        """Whether it should be renewed: after a third of its duration, until it is lost."""
        return self._duration_seconds / 3 <= self._age() < self._duration_seconds

    def renewed(self, asked_at: float) -> None:
        """The database knows that we asked at this moment of our clock."""
        self._renewed_at = asked_at

    def lose(self) -> None:
        """Somebody else holds it, or we gave it up."""
        self._renewed_at = None

    def _age(self) -> float:
        renewed_at = self._renewed_at
        return float("inf") if renewed_at is None else self._clock_seconds() - renewed_at


class Leases:
    """All leases of one Creator; may be used by several threads."""

    def __init__(
        self,
        database: Database,
        holder: str,
        *,
        duration: timedelta = DURATION,
        clock_seconds: Callable[[], float] = monotonic,
    ) -> None:
        self.holder = holder
        self._database = database
        self._duration = duration
        self._clock_seconds = clock_seconds
        self._held: dict[str, CreatorLease] = {}
        self._lock = Lock()

    def claim(self, name: str) -> CreatorLease | None:
        """The lease; None, at once, if somebody else holds it or claims it just now. Not for one that we hold."""
        terms = LeaseTerms(name, self.holder, self._duration)
        before = self._clock_seconds()
        with self._database.writing() as session:
            fencing = claim(session, terms, skip_locked=True)
        if fencing is None:
            return None
        lease = CreatorLease(terms, fencing, self._clock_seconds)
        lease.renewed(before)
        with self._lock:
            self._held[name] = lease
        return lease

    def give_up(self, lease: CreatorLease) -> None:
        """Let others begin at once; nothing happens if we do not hold it any more."""
        lease.lose()
        with self._lock:
            self._held.pop(lease.name, None)
        with self._database.writing() as session:
            ours = {"of_name": lease.name, "of_holder": lease.holder, "of_fencing": lease.fencing}
            # Nobody's: a renewal under way finds it no more.
            session.execute(_LET_GO, {**ours, "holder": "", "expires_at": database_now(session)})

    def renew(self) -> None:
        """Renew what is due, in one statement; one that somebody else has taken is lost.

        A row in which one of our own threads writes just now is left for the next time.
        """
        with self._lock:
            due = {name: lease for name, lease in self._held.items() if lease.is_due}
        if not due:
            return
        before = self._clock_seconds()
        with self._database.writing() as session:
            ours = Lease.name.in_(due) & (Lease.holder == self.holder)
            free = select(Lease.name).where(ours).with_for_update(skip_locked=True)
            rows = session.execute(
                update(Lease)
                .where(Lease.name.in_(free))
                .values(expires_at=database_now(session) + self._duration)
                .returning(Lease.name, Lease.fencing)
                .execution_options(synchronize_session=False)
            ).all()
        for name, fencing in rows:
            if due[name].fencing == fencing and due[name].is_due:
                due[name].renewed(before)

    def keep_renewing(self, stop: Event) -> Thread:
        """A thread that renews until `stop`; a database that is away is asked again."""
        thread = Thread(target=self._renew_until, args=(stop,), name="leases", daemon=True)
        thread.start()
        return thread

    def _renew_until(self, stop: Event) -> None:
        pause = self._duration.total_seconds() / _LOOKS_PER_DURATION
        while not stop.wait(pause):
            try:
                self.renew()
            except SQLAlchemyError as error:
                log.warning("leases cannot be renewed, they are tried again: %s", error)
