"""API and Creator with keys that may do exactly what docs/object-storage.md says: they work, and the keys open nothing else."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest
import requests
from pydantic import SecretStr
from sqlalchemy import update

from common.agent_api_client import AgentApiClient
from common.agent_tokens import agent_token
from common.api_client import ApiClient
from common.api_transport import ApiTransport
from common.atomic_files import read_key
from common.contracts.clusters import ClusterCreate, ClusterState
from common.contracts.evidence import EvidenceAnnouncement
from common.contracts.files import FileUpload
from common.contracts.recipes import RecipeCreate, Validity
from common.object_storage import ObjectStorageError
from common.s3_object_storage import S3Access, S3ObjectStorage, s3_client
from database.models import RecipeRevision
from database.session import Database
from tests.integration.api.test_api_main import Started
from tests.integration.conftest import least_rights
from tests.integration.creator.installation import ENCRYPTION_KEY, SERVER_KEY, Installation
from tests.integration.creator.recipes import GREETING

BUCKETS = ("files", "states", "logs", "configurations")
ENVIRONMENT = "prod"


SAID = b"what the run said"


@dataclass(frozen=True)
class Api:
    """An API that runs, as its admin sees it."""

    address: str
    client: ApiClient


def _key(access: S3Access, name: str) -> S3Access:
    return replace(access, access_key_id=f"{name}-key", secret_access_key=f"{name}-secret")


@pytest.fixture(scope="module")
def access(s3_access: S3Access) -> S3Access:
    """Of the one who may do everything, and has made the buckets."""
    client = s3_client(s3_access)
    for bucket in BUCKETS:
        client.create_bucket(Bucket=f"least-{bucket}")
    return s3_access


@pytest.fixture
def buckets(access: S3Access) -> dict[str, str]:
    """Settings that both services share."""
    names = {f"s3_{bucket}_bucket": f"least-{bucket}" for bucket in BUCKETS}
    where = {"s3_endpoint_url": access.endpoint_url, "s3_region": access.region}
    return {**names, **where, "environment": ENVIRONMENT, "published_url": "https://s3.example/c"}


@pytest.fixture
def api(
    access: S3Access, buckets: dict[str, str], sqlite_url: str, tmp_path: Path
) -> Iterator[Api]:
    """An API with its own key."""
    environment = {f"MR_PROBER_{name.upper()}": value for name, value in buckets.items()}
    own = _key(access, "api")
    environment |= {
        "MR_PROBER_DATABASE_URL": sqlite_url,
        "MR_PROBER_DATA_DIR": str(tmp_path / "api"),
        "MR_PROBER_SERVER_KEY": SERVER_KEY,
        "MR_PROBER_ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "MR_PROBER_API_PORT": "0",
        "S3_ACCESS_KEY_ID": own.access_key_id,
        "S3_SECRET_ACCESS_KEY": own.secret_access_key,
    }
    (tmp_path / "run").mkdir()
    started = Started(tmp_path / "run", [], environment)
    address = started.said(r"Mr. Prober: (\S+)/\nSign in: ")
    yield Api(address, ApiClient(ApiTransport(address, read_key(tmp_path / "api/admin.key"))))
    started.process.kill()
    started.process.wait()
    assert "refuses the key" not in started.stderr


@pytest.fixture
def creator(
    access: S3Access, buckets: dict[str, str], sqlite_url: str, tmp_path: Path
) -> Iterator[Installation]:
    """A Creator with its own key, and another one for the states."""
    database = Database(sqlite_url)
    (tmp_path / "creator").mkdir()
    made = Installation(database, tmp_path / "creator")
    own, states = _key(access, "creator"), _key(access, "states")
    made.settings |= {
        **buckets,
        "S3_ACCESS_KEY_ID": SecretStr(own.access_key_id),
        "S3_SECRET_ACCESS_KEY": SecretStr(own.secret_access_key),
        "s3_states_access_key_id": SecretStr(states.access_key_id),
        "s3_states_secret_access_key": SecretStr(states.secret_access_key),
    }
    yield made
    database.dispose()


def _keys(access: S3Access, bucket: str) -> list[str]:
    answer = s3_client(access).list_objects_v2(Bucket=f"least-{bucket}")
    return [found["Key"] for found in answer.get("Contents", ())]


def _published(access: S3Access) -> list[str]:
    """Keys of what the API has published, as soon as the signature is there, which comes last."""
    limit = time.monotonic() + 60
    while not any(key.endswith("configuration.sig") for key in _keys(access, "configurations")):
        assert time.monotonic() < limit
        time.sleep(0.05)
    return _keys(access, "configurations")


def _uploaded(api: Api, cluster_id: UUID) -> bytes:
    """What the API shows of what an agent uploads to the address that it signed."""
    token = agent_token(SERVER_KEY.encode(), cluster_id, version=1)
    agent = AgentApiClient(ApiTransport(api.address, token), "demo")
    announcement = EvidenceAnnouncement(
        host="h1", prober="ping", content_type="text/plain",
        size=len(SAID), sha256=hashlib.sha256(SAID).hexdigest(),
    )  # fmt: skip
    return api.client.evidence_content("demo", agent.upload(announcement, SAID))


def test_api_and_creator_work_with_the_least_rights(
    api: Api, creator: Installation, access: S3Access
) -> None:
    files = [FileUpload.of("main.tf", GREETING.encode())]
    api.client.create_recipe(RecipeCreate(slug="r", files=files))
    new = ClusterCreate(slug="demo", recipe="r", variables={"greeting": "hello"})
    cluster_id = api.client.create_cluster(new).id
    assert _published(access)
    assert _uploaded(api, cluster_id) == SAID
    assert requests.get(f"{api.address}/health/ready", timeout=60).status_code == 200
    with creator.database.writing() as session:
        session.execute(update(RecipeRevision).values(validity=Validity.VALID))

    assert creator.run_pass(), creator.deployments("demo")[0].error

    assert creator.cluster("demo").state_key == f"s3://least-states/{ENVIRONMENT}/{cluster_id}"
    assert set(creator.cluster("demo").hosts) == {"demo-1"}
    # terraform sees no key but that of the states.
    credentials = (creator.data_folder / "states.credentials").read_text()
    assert "states-secret" in credentials
    assert "creator-secret" not in credentials
    assert f"{ENVIRONMENT}/snapshots/" in "".join(_keys(access, "files"))

    creator.delete_cluster("demo")
    assert creator.run_pass(), creator.deployments("demo")[0].error
    assert creator.cluster("demo").state is ClusterState.DESTROYED
    assert _keys(access, "states") == [f"{ENVIRONMENT}/{cluster_id}"]  # and no lock
    used = {bucket: _keys(access, bucket) for bucket in BUCKETS}
    assert all(used[bucket] for bucket in ("files", "states", "logs"))
    assert {key.partition("/")[0] for keys in used.values() for key in keys} == {ENVIRONMENT}


def test_a_key_opens_nothing_but_what_the_page_says(access: S3Access) -> None:
    rights = least_rights()
    assert set(rights) == {"api", "creator", "states"}
    calls: dict[str, Callable[[S3ObjectStorage], object]] = {
        "Write": lambda storage: storage.write("tried/x", b"x"),
        "Read": lambda storage: storage.read("tried/x"),
        "List": lambda storage: list(storage.listed("tried")),
    }
    for bucket in BUCKETS:
        S3ObjectStorage(s3_client(access), f"least-{bucket}").write("tried/x", b"x")
        for name, allowed in rights.items():
            storage = S3ObjectStorage(s3_client(_key(access, name)), f"least-{bucket}")
            can = {f"{call}:least-{bucket}" for call, act in calls.items() if _is_let(act, storage)}
            assert can == {one for one in allowed if one.endswith(f":least-{bucket}")}
        S3ObjectStorage(s3_client(access), f"least-{bucket}").delete("tried/x")


def _is_let(act: Callable[[S3ObjectStorage], object], storage: S3ObjectStorage) -> bool:
    try:
        act(storage)
    except ObjectStorageError as error:
        if "refuses the key" not in str(error):
            raise
        return False
    return True
