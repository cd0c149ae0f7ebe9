"""What every request may use: built once by `main.py`, or by a test, and handed to the application."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID

from sqlalchemy import QueuePool, text
from sqlalchemy.orm import Session
from starlette.requests import Request

from api.agent_doorkeeper import AgentDoorkeeper
from api.configurations import Configurations
from api.grids import Grids
from api.key_ring import KeyRing
from api.metrics import Metrics
from api.report_writer import PERIOD, ReportWriter
from api.services.cluster_actions import retire_previous_token
from api.services.documents import Documents
from api.services.evidence import EvidenceLimits
from api.waiting_room import WaitingRoom
from common.encryption import NO_KEYS, Keyring
from common.object_storage import ObjectStorage, ObjectStorageError, UploadStorage
from database.models import now
from database.session import Database

# Any number will do; it only has to be the same in every process of the API.
_DESCRIPTION_LOCK = 7_246_001


@dataclass(frozen=True)
class Context:
    """Database, storage, key and clock of one application."""

    database: Database
    storage: ObjectStorage
    server_key: bytes
    clock: Callable[[], datetime] = now
    report_period: timedelta = PERIOD
    keyring: Keyring = NO_KEYS
    approver_must_differ: bool = False
    # Names under which this API may be addressed, in lower case; None: any.
    allowed_hosts: frozenset[str] | None = None
    # Where evidence of runs is kept, if it is.
    logs: UploadStorage | None = None
    evidence_limits: EvidenceLimits = field(default_factory=EvidenceLimits)

    @property
    def evidence_storage(self) -> UploadStorage:
        """Where evidence of runs is kept; ObjectStorageError."""
        if self.logs is None:
            raise ObjectStorageError("keep", "evidence", "this API was given no place for it")
        return self.logs

    @cached_property
    def keys(self) -> KeyRing:
        """Who recognizes the holders of keys."""
        return KeyRing(self.database, self.clock)

    @cached_property
    def doorkeeper(self) -> AgentDoorkeeper:
        """Who recognizes agents."""
        return AgentDoorkeeper(self.server_key)

    @cached_property
    def documents(self) -> Documents:
        """Where the documents of clusters come from."""
        return Documents(self.database, self.clock, on_build=self.metrics.note_build)

    @cached_property
    def configurations(self) -> Configurations:
        """What this process knows of clusters and their documents."""
        return Configurations(self.documents)

    @cached_property
    def report_writer(self) -> ReportWriter:
        """Who writes agents' reports down."""
        return ReportWriter(
            self.database, period=self.report_period, after_batch=self._retire_tokens
        )

    @cached_property
    def grids(self) -> Grids:
        """What this process remembers of grids."""
        return Grids()

    @cached_property
    def waiting_room(self) -> WaitingRoom:
        """Who holds a request open until something changes."""
        return WaitingRoom(self.configurations)

    @cached_property
    def metrics(self) -> Metrics:
        """What this process says about itself."""
        return Metrics(self._figures, self._totals)

    def _figures(self) -> dict[str, float]:
        pool = self.database.engine.pool
        figures: dict[str, float] = {
            "held_requests": self.waiting_room.count,
            "waiting_reports": self.report_writer.waiting,
        }
        if isinstance(pool, QueuePool):
            figures["database_connections"] = pool.checkedin() + pool.checkedout()
            figures["database_connections_in_use"] = pool.checkedout()
        return figures

    def _totals(self) -> dict[str, float]:
        writer = self.report_writer
        return {"written_reports": writer.written, "lost_reports": writer.lost}

    @contextmanager
    def describing(self) -> Iterator[Session]:
        """A writing session for changes of what people describe; these stand in line.

        On SQLite every writer does.
        On PostgreSQL they would not see each other's new rows: a cluster that is created while
        a prober changes would get a document without the change, and nobody would build it again.
        """
        with self.database.writing() as session:
            if session.get_bind().dialect.name == "postgresql":
                session.execute(
                    text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _DESCRIPTION_LOCK}
                )
            yield session

    def _retire_tokens(self, cluster_ids: set[UUID]) -> None:
        for cluster_id in sorted(cluster_ids):
            with self.database.writing() as session:
                retire_previous_token(session, cluster_id, now=self.clock())


def context_of(request: Request) -> Context:
    """The context of the application that answers this request."""
    context: Context = request.app.state.context
    return context
