"""Engines and sessions: SQLite in WAL mode that never answers «database is locked», PostgreSQL through psycopg."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.orm import Session

from common.errors import MrProberError

# What an engine raises when the database does not answer, or not in time.
DATABASE_IS_AWAY = (OperationalError, InterfaceError, NoConnectionError)
# Long enough for every writer before us: all our write transactions are short.
_WAIT_SECONDS = 30


class DatabaseAddressError(MrProberError):
    """The address is none that we understand; it is not repeated, since it may hold a password."""

    def __init__(self) -> None:
        super().__init__(
            "MR_PROBER_DATABASE_URL is no address of a database that this program speaks to:"
            " sqlite:///FILE or postgresql+psycopg://…"
        )


class Database:
    """One engine and the two kinds of sessions that we open on it; DatabaseAddressError for an odd address."""

    def __init__(self, url: str) -> None:
        try:
            self.engine = _engine(url)
        except (ArgumentError, ModuleNotFoundError) as error:
            raise DatabaseAddressError from error
        self._for_writing = self.engine.execution_options(writing=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is the embedded database of one machine."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads; what it may have changed is thrown away."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that commits at the end, or changes nothing if the block raises.

        On SQLite it takes the write lock first: a transaction that reads and then writes
        would otherwise fail at once when another writer came between.
        """
        with Session(self._for_writing, expire_on_commit=False) as session, session.begin():
            session.connection()  # begins
            yield session

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)
        event.listen(engine, "connect", _prepare_postgresql)
        return engine
    engine = create_engine(
        url,
        connect_args={"timeout": _WAIT_SECONDS},
        hide_parameters=True,
        max_overflow=-1,  # threads wait for the file's lock, never for each other's connections
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_postgresql(connection: Any, _record: object) -> None:
    # Without it one lost holder of a lock would gather all of our connections behind it.
    connection.execute(f"SET lock_timeout = '{_WAIT_SECONDS}s'")
    connection.commit()  # a rollback would take the setting back


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions begin too late; ours begin in _begin_sqlite.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    statement = "BEGIN IMMEDIATE" if writing else "BEGIN"
    try:
        # Past SQLAlchemy, for which one more statement costs as much as all the rest of a transaction.
        connection.connection.cursor().execute(statement)
    except sqlite3.Error as error:
        raise DBAPIError.instance(
            statement, None, error, sqlite3.Error, hide_parameters=True
        ) from error
