"""Upgrade without a gap: docs/operators.md, tried. The database is expanded under two API processes, which are then replaced one by one."""

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from common.api_client import ApiClient
from common.api_transport import ApiTransport
from common.atomic_files import read_key
from common.contracts.clusters import ClusterCreate, VariablePut
from common.contracts.files import FileUpload
from common.contracts.recipes import RecipeCreate
from common.errors import ApiUnreachableError, MrProberError
from tests.integration.api.test_api_main import Started

# Of a migration that this program does not know yet.
NEWER = "9999"


class Apis:
    """The processes that run, by the names of their places, as a load balancer knows them."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._folder = folder
        self._environment = {
            "MR_PROBER_DATABASE_URL": database_url,
            "MR_PROBER_DATA_DIR": str(folder / "data"),
            "MR_PROBER_SERVER_KEY": "k" * 40,
            "MR_PROBER_ENCRYPTION_KEYS": "e" * 40,
            "MR_PROBER_API_PORT": "0",
            "MR_PROBER_LOG_LEVEL": "WARNING",
        }
        self.all: list[Started] = []
        self.places: dict[str, tuple[Started, str]] = {}

    def start(self, place: str) -> None:
        folder = self._folder / f"api{len(self.all)}"
        folder.mkdir()
        started = Started(folder, [], self._environment)
        self.all.append(started)
        self.places[place] = (started, started.said(r"Mr. Prober: (\S+)/\nSign in: "))

    def replace(self, place: str) -> None:
        """Take it out, end it, start the next version in its place."""
        started, _ = self.places.pop(place)
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(60) == 0, started.stderr
        self.start(place)

    def client(self, place: str) -> ApiClient:
        key = read_key(self._folder / "data/admin.key")
        return ApiClient(ApiTransport(self.places[place][1], key))


class Caller(threading.Thread):
    """Reads and writes all the time, at whichever API takes it; what none takes is a gap."""

    def __init__(self, apis: Apis) -> None:
        super().__init__()
        self._apis = apis
        self._counted = threading.Condition()
        self.calls = 0
        self.gaps: list[Exception] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._call()
            except (MrProberError, AssertionError, OSError) as error:
                self.gaps.append(error)
                self.stopping.set()
            with self._counted:
                self.calls += 1
                self._counted.notify_all()

    def _call(self) -> None:
        value = VariablePut(value=self.calls)
        for place in [*self._apis.places, *self._apis.places]:
            try:
                client = self._apis.client(place)
                client.put_variable("demo", "n", value, etag=client.variable("demo", "n").etag)
            except (ApiUnreachableError, KeyError):
                continue  # it has just ended: the other one
            else:
                return
        raise AssertionError("no API answers")

    def goes_on(self) -> None:
        """Wait until some more calls have come to their end."""
        with self._counted:
            wanted = self.calls + 3
            assert self._counted.wait_for(lambda: self.calls >= wanted or self.gaps, 60)
        assert self.gaps == []


@pytest.fixture
def apis(tmp_path: Path, database_url: str) -> Iterator[Apis]:
    made = Apis(tmp_path, database_url)
    yield made
    for one in made.all:
        one.process.kill()
        one.process.wait()


@pytest.fixture
def expand(database_url: str) -> Callable[[], None]:
    """What an expanding migration does, to every table: a column more, an index more, a table more; then its revision."""

    def act() -> None:
        engine = create_engine(database_url)
        for table in inspect(engine).get_table_names():
            if table == "alembic_version":
                continue
            with engine.begin() as connection:
                connection.execute(text(f"ALTER TABLE {table} ADD COLUMN of_tomorrow INTEGER DEFAULT 0"))  # fmt: skip
                connection.execute(text(f"CREATE INDEX tomorrow_{table} ON {table} (of_tomorrow)"))
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE things_of_tomorrow (id INTEGER PRIMARY KEY)"))
            connection.execute(
                text("UPDATE alembic_version SET version_num = :newer"), {"newer": NEWER}
            )
        engine.dispose()

    return act


def test_there_is_no_gap(apis: Apis, expand: Callable[[], None]) -> None:
    for place in ("left", "right"):
        apis.start(place)
    admin = apis.client("left")
    admin.create_recipe(RecipeCreate(slug="local", files=[FileUpload.of("main.tf", b"")]))
    admin.create_cluster(ClusterCreate(slug="demo", recipe="local", variables={"n": 0}))
    caller = Caller(apis)
    caller.start()
    try:
        caller.goes_on()
        expand()
        caller.goes_on()
        for place in ("left", "right"):
            # An old version that dies meanwhile starts again: a newer database is fine.
            apis.replace(place)
            caller.goes_on()
    finally:
        caller.stopping.set()
        caller.join()
    assert caller.gaps == []
    entries = apis.client("left").audit_log(kind="variable")
    assert len(entries) >= caller.calls - 1
    assert not any("Traceback" in one.stderr for one in apis.all)
