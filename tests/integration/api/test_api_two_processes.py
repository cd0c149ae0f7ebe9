"""Two API processes on one database: what one of them promises, both keep."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import Any

import pytest
import requests

from common.api_client import ApiClient
from common.api_transport import ApiTransport
from common.atomic_files import read_key
from common.contracts.clusters import ClusterCreate, VariablePut
from common.contracts.files import FileUpload
from common.contracts.keys import ApiKeyCreate, Role
from common.contracts.probers import ProberConfigPut, ProberCreate
from common.contracts.recipes import RecipeCreate, RecipeUpdate
from common.errors import ApiRefusedError
from tests.integration.api.test_api_main import Started

WRITERS = 6
WRITES = 8
STALE = 412

Client = Callable[[int], ApiClient]


@pytest.fixture
def addresses(tmp_path: Path, database_url: str) -> Iterator[list[str]]:
    """Where the two listen."""
    environment = {
        "MR_PROBER_DATABASE_URL": database_url,
        "MR_PROBER_DATA_DIR": str(tmp_path / "data"),
        "MR_PROBER_SERVER_KEY": "k" * 40,
        "MR_PROBER_ENCRYPTION_KEYS": "e" * 40,
        "MR_PROBER_API_PORT": "0",
        "MR_PROBER_LOG_LEVEL": "WARNING",
    }
    started = []
    for number in range(2):
        folder = tmp_path / f"api{number}"
        folder.mkdir()
        started.append(Started(folder, [], environment))
    try:
        # The key is there when the link is.
        yield [one.said(r"Mr. Prober: (\S+)/\nSign in: ") for one in started]
    finally:
        for one in started:
            one.process.kill()
            one.process.wait()


@pytest.fixture
def client(addresses: list[str], tmp_path: Path) -> Client:
    """A client of its own for each writer; every second one speaks with the second process."""
    key = read_key(tmp_path / "data" / "admin.key")
    return lambda writer: ApiClient(ApiTransport(addresses[writer % 2], key))


@pytest.fixture
def described(client: Client) -> None:
    """A recipe, and a cluster with the variable n = 0."""
    first = client(0)
    first.create_recipe(RecipeCreate(slug="local", files=[FileUpload.of("main.tf", b"")]))
    first.create_cluster(ClusterCreate(slug="demo", recipe="local", variables={"n": 0}))


def together(work: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(work, range(WRITERS)))


def status_of(call: Callable[[], object]) -> int:
    """200, or the status with which the API refused."""
    try:
        call()
    except ApiRefusedError as error:
        return error.status
    return 200


@pytest.mark.usefixtures("described")
def test_no_update_is_lost(client: Client) -> None:
    def count(writer: int) -> set[int]:
        own = client(writer)
        statuses: list[int] = []
        while statuses.count(200) < WRITES:
            seen = own.variable("demo", "n")
            assert isinstance(seen.value, int)
            more = VariablePut(value=seen.value + 1)
            statuses.append(status_of(partial(own.put_variable, "demo", "n", more, etag=seen.etag)))
        return set(statuses)

    assert set.union(*together(count)) <= {200, STALE}
    last = client(1)
    assert last.variable("demo", "n").value == WRITERS * WRITES
    # Each of them is on record, and each begins where the one before it ended.
    entries = last.audit_log(kind="variable")
    steps = [(one.before["value"], one.after["value"]) for one in entries if one.before and one.after]  # fmt: skip
    assert sorted(steps) == [(n, n + 1) for n in range(WRITERS * WRITES)]


@pytest.mark.usefixtures("described")
def test_of_those_who_want_the_same_one_wins(client: Client) -> None:
    etag = client(0).recipe("local").etag

    def change(writer: int) -> int:
        body = RecipeUpdate(description=str(writer))
        return status_of(lambda: client(writer).change_recipe("local", body, etag=etag))

    def create(writer: int) -> int:
        body = ClusterCreate(slug="other", recipe="local")
        return status_of(lambda: client(writer).create_cluster(body))

    assert sorted(together(change)) == [200] + [STALE] * (WRITERS - 1)
    assert sorted(together(create)) == [200] + [409] * (WRITERS - 1)


def test_a_key_that_one_revokes_opens_nothing_at_the_other(
    client: Client, addresses: list[str]
) -> None:
    key = client(0).create_key(ApiKeyCreate(name="k", role=Role.VIEWER))
    holder = ApiClient(ApiTransport(addresses[1], key.key))
    assert status_of(holder.clusters) == 200
    client(0).revoke_key(key.id, etag=key.etag)
    pause = Event()
    for _ in range(100):
        if status_of(holder.clusters) == 401:
            break
        pause.wait(0.05)
    assert status_of(holder.clusters) == 401


def test_documents_carry_every_change_and_never_go_back(
    client: Client, addresses: list[str], tmp_path: Path
) -> None:
    first = client(0)
    names = [f"n{writer}" for writer in range(WRITERS)]
    first.create_recipe(RecipeCreate(slug="local", files=[FileUpload.of("main.tf", b"")]))
    first.create_cluster(
        ClusterCreate(slug="demo", recipe="local", variables=dict.fromkeys(names, 0))
    )
    command = ["./ping", *(f"${{cluster.variables.{name}}}" for name in names)]
    files = [FileUpload.of("ping", b"#!")]
    first.create_prober(ProberCreate(slug="ping", command=command, files=files))
    first.put_config("ping", "all", ProberConfigPut(clusters=["*"]))
    readers = [Reader(address, read_key(tmp_path / "data" / "admin.key")) for address in addresses]

    def write(writer: int) -> None:
        own = client(writer)
        for value in range(1, WRITES + 1):
            seen = own.variable("demo", names[writer])
            own.put_variable("demo", names[writer], VariablePut(value=value), etag=seen.etag)
            for reader in readers:
                reader.read()

    together(write)
    for reader in readers:
        reader.read_until(dict.fromkeys(names, WRITES))
    # One revision is one document, whoever tells it.
    told = {pair for reader in readers for pair in reader.told}
    assert len({revision for revision, _ in told}) == len(told)
    assert len({reader.told[-1] for reader in readers}) == 1


class Reader:
    """Reads the document from one process again and again; several threads may."""

    def __init__(self, address: str, key: str) -> None:
        self._address = f"{address}/api/v1/clusters/demo/configuration"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._lock = Lock()
        self.told: list[tuple[int, str]] = []

    def read(self) -> dict[str, Any]:
        """The variables in the document, whose revision is not below that of any earlier answer."""
        with self._lock, requests.Session() as session:
            session.trust_env = False
            answer = session.get(self._address, headers=self._headers, timeout=30)
            assert answer.status_code == 200, answer.text
            document = answer.json()
            assert not self.told or self.told[-1][0] <= document["revision"]
            self.told.append((document["revision"], answer.headers["ETag"]))
        variables: dict[str, Any] = document["variables"]
        return variables

    def read_until(self, wanted: dict[str, Any]) -> None:
        """Wait, with an end, for a document that carries all of it."""
        pause = Event()
        for _ in range(100):
            if self.read() == wanted:
                return
            pause.wait(0.05)
        raise AssertionError(self.read())
