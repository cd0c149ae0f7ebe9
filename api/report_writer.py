"""Collects agents' reports and writes them together, a few times a second: one transaction instead of hundreds.

A report is answered before it is written: a batch that is lost with its process costs one report period.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from api.services.reports import ReceivedReport, store_reports
from common.errors import MrProberError
from database.session import Database

log = logging.getLogger(__name__)

PERIOD = timedelta(seconds=0.2)
_MAX_AGENTS = 20_000
_MAX_CHARACTERS = 128 * 1024 * 1024


class TooManyReportsError(MrProberError):
    """More reports wait than this process may hold."""

    def __init__(self) -> None:
        super().__init__("too many reports wait to be written: try again in a few seconds")


@dataclass(frozen=True)
class Bounds:
    """How many agents' reports may wait, and how many characters they have together."""

    agents: int = _MAX_AGENTS
    characters: int = _MAX_CHARACTERS


class ReportWriter:
    """A queue that holds the newest report of each agent, and the thread that empties it."""

    def __init__(
        self,
        database: Database,
        *,
        period: timedelta = PERIOD,
        bounds: Bounds | None = None,
        after_batch: Callable[[set[UUID]], None] = lambda _: None,
    ) -> None:
        """`after_batch` gets the clusters of which an agent spoke with the new token during a rotation."""
        self._database = database
        self._period = period.total_seconds()
        self._bounds = bounds or Bounds()
        self._after_batch = after_batch
        self._changed = threading.Condition()
        self._waiting: dict[tuple[UUID, UUID], ReceivedReport] = {}
        self._waiting_characters = 0
        self._added = 0
        self._settled = 0
        self._under_way = 0
        self._hurry = False
        self._thread: threading.Thread | None = None
        # Since the start of the process.
        self.written = 0
        self.lost = 0

    @property
    def waiting(self) -> int:
        """How many reports are not written yet."""
        return len(self._waiting) + self._under_way

    @property
    def answers_after_writing(self) -> bool:
        """Whether a period of nothing says that nobody is answered before the report is written."""
        return self._period == 0

    def add(self, received: ReceivedReport) -> None:
        """Take a report; it replaces one of the same agent that is not from a later boot. TooManyReportsError."""
        key = received.key
        with self._changed:
            older = self._waiting.get(key)
            if older and older.boot > received.boot:
                return
            grown = self._waiting_characters + received.size - (older.size if older else 0)
            is_full = not older and len(self._waiting) >= self._bounds.agents
            if is_full or grown > self._bounds.characters:
                raise TooManyReportsError
            self._waiting[key] = received
            self._waiting_characters = grown
            self._added += 1
            self._start()
            # Only the first one of a batch: to wake the thread for each costs more than to write them.
            if len(self._waiting) == 1:
                self._changed.notify_all()

    def flush(self, *, time_limit: timedelta = timedelta(seconds=30)) -> bool:
        """Have all that was added until now written at once; whether it was in time."""
        with self._changed:
            wanted = self._added
            self._hurry = True
            self._changed.notify_all()
            return self._changed.wait_for(
                lambda: self._settled >= wanted, time_limit.total_seconds()
            )

    def _start(self) -> None:
        if self._thread is None:
            # A daemon: whoever ends the process flushes first.
            self._thread = threading.Thread(target=self._run, name="reports", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                self._changed.wait_for(lambda: self._hurry, self._period)
                batch = sorted(self._waiting.values(), key=lambda one: one.key)
                added, self._under_way = self._added, len(batch)
                self._waiting, self._waiting_characters, self._hurry = {}, 0, False
            written = 0
            try:
                written = self._write(batch)
                rotating = {one.cluster_id for one in batch if one.may_retire_token}
                if written and rotating:
                    self._after_batch(rotating)
            # This thread must live: without it no report is ever written again.
            except Exception:
                log.exception("work on a batch failed reports=%d written=%d", len(batch), written)
            with self._changed:
                self.written += written
                self.lost += len(batch) - written
                self._settled, self._under_way = added, 0
                self._changed.notify_all()

    def _write(self, batch: list[ReceivedReport]) -> int:
        """How many of them are in the database now."""
        try:
            self._store(batch)
        except (DataError, IntegrityError):
            # One that cannot be stored must not cost the others.
            return sum(self._is_stored_alone(one) for one in batch)
        except SQLAlchemyError as error:
            # Agents report again by themselves; holding on to old news helps nobody.
            log.error("a batch of reports is lost reports=%d: %s", len(batch), error)  # noqa: TRY400 - no bug
            return 0
        return len(batch)

    def _store(self, batch: list[ReceivedReport]) -> None:
        with self._database.writing() as session:
            store_reports(session, batch)

    def _is_stored_alone(self, one: ReceivedReport) -> bool:
        try:
            self._store([one])
        except SQLAlchemyError as error:
            log.warning("a report cannot be stored cluster=%s: %s", one.cluster_id, error)
            return False
        return True
