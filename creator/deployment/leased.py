"""Writes to the database that only the holder of a cluster's lease may make."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from sqlalchemy.orm import Session

from database.session import Database


class Lease(Protocol):
    """The right to touch a cluster."""

    @property
    def holder(self) -> str:
        """Which Creator has it."""

    @property
    def fencing(self) -> int:
        """Higher with every new holder."""

    def require(self, session: Session | None = None) -> None:
        """LeaseLostError if somebody else has it by now."""


@contextmanager
def under(database: Database, lease: Lease) -> Iterator[Session]:
    """A writing session; LeaseLostError before anything is written, if the lease is lost."""
    with database.writing() as session:
        lease.require(session)
        yield session
