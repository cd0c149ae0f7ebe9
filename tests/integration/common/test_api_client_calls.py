"""Each call of the typed client against the real API, over a real connection, on both databases."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import select

from api.application import application_of
from api.context import Context
from api.services.keys import create_key
from common.agent_api_client import AgentApiClient
from common.agent_tokens import agent_token
from common.agent_transport import AgentTransport
from common.api_client import AgentQuery, ApiClient
from common.api_transport import ApiTransport
from common.contracts.agents import ChosenPresence
from common.contracts.clusters import (
    ClusterCreate,
    ClusterState,
    ClusterUpdate,
    DeploymentState,
    DeployPolicy,
    PauseRequest,
    Rejection,
    VariablePut,
)
from common.contracts.evidence import EvidenceAnnouncement, EvidenceType
from common.contracts.files import FileUpload
from common.contracts.installation import InstallationPut
from common.contracts.keys import ApiKeyCreate, ApiKeyUpdate, Role
from common.contracts.probers import (
    ProberConfigPut,
    ProberCreate,
    ProberStart,
    ProberStop,
    ProberUpdate,
)
from common.contracts.recipes import RecipeCreate, RecipeUpdate, RevisionCreate
from common.contracts.reports import AgentReport
from common.encryption import keyring_of_text
from common.errors import ApiRefusedError, ApiUnreachableError
from common.object_storage import FileSystemObjectStorage
from database import models
from database.session import Database

CALLED: set[str] = set()


class NotedClient(ApiClient):
    """Remembers which of its calls were used."""

    def __init__(self, transport: ApiTransport, url: str) -> None:
        super().__init__(transport)
        self.url = url

    def __getattribute__(self, name: str) -> Any:
        if name in PUBLIC:
            CALLED.add(name)
        return super().__getattribute__(name)


# What all calls are made of is not one of them.
SHARED = {"got", "answer", "listed", "sent", "switched", "changed", "deleted"}
PUBLIC = {name for name in dir(ApiClient) if not name.startswith("_")} - SHARED


@pytest.fixture(scope="module")
def application() -> FastAPI:
    return application_of(cast("Context", None))


@pytest.fixture
def context(database: Database, tmp_path: Path) -> Context:
    return Context(
        database=database,
        storage=FileSystemObjectStorage(tmp_path / "objects"),
        logs=FileSystemObjectStorage(tmp_path / "logs"),
        server_key=b"server key of the tests",
        report_period=timedelta(),
        keyring=keyring_of_text("an-encryption-key-of-the-tests-long-enough"),
    )


@pytest.fixture
def client(application: FastAPI, context: Context) -> Iterator[NotedClient]:
    """An admin's client of the API on a free port."""
    application.state.context = context
    with context.database.writing() as session:
        admin = ApiKeyCreate(name="admin", role=Role.ADMIN)
        key = create_key(session, admin, now=context.clock())[1].key
    config = uvicorn.Config(application, port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    pause = threading.Event()
    for _ in range(1000):
        if server.started:
            break
        pause.wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    transport = ApiTransport(url, key)
    yield NotedClient(transport, url)
    transport.close()
    server.should_exit = True
    thread.join(timeout=30)


def tar(**files: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


@pytest.fixture
def described(client: NotedClient) -> None:
    """A recipe, a cluster demo and a prober ping."""
    client.create_recipe(RecipeCreate(slug="local", files=[FileUpload.of("main.tf", b"{}")]))
    client.create_cluster(ClusterCreate(slug="demo", recipe="local", variables={"n": 0}))
    files = [FileUpload.of("ping", b"#!")]
    client.create_prober(ProberCreate(slug="ping", command=["./ping"], files=files))


def recipes_are_read_and_written(client: NotedClient) -> None:
    recipe = client.recipe("local")
    recipe = client.change_recipe("local", RecipeUpdate(description="d"), etag=recipe.etag)
    new = RevisionCreate(files=[FileUpload.of("main.tf", b"# 2")])
    assert client.preview_recipe_revision("local", new).is_new
    added = client.add_recipe_revision("local", new, etag=recipe.etag)
    third = client.upload_recipe_revision("local", tar(other="# 3"), etag=added.etag)
    assert [one.number for one in client.recipe_revisions("local")] == [3, 2, 1]
    assert client.recipe_revision("local", 3).files[0].path == "other"
    assert client.recipe_file("local", 3, "other") == b"# 3"
    assert client.file(third.files[0].sha256) == b"# 3"
    other = client.create_recipe(RecipeCreate(slug="other", files=new.files))
    assert [one.slug for one in client.recipes(sort="-slug")] == ["other", "local"]
    client.delete_recipe("other", etag=other.etag)
    assert [one.slug for one in client.recipes()] == ["local"]


def clusters_are_read_and_written(client: NotedClient) -> None:
    paused = client.pause_cluster("demo", PauseRequest(reason="r"))
    assert paused.paused
    assert paused.paused.by == "admin"
    assert client.resume_cluster("demo").paused is None
    assert client.deploy_cluster("demo").deploy_requested_by == "admin"
    protected = client.protect_cluster("demo", etag=client.cluster("demo").etag)
    with pytest.raises(ApiRefusedError, match="protected"):
        client.delete_cluster("demo", etag=protected.etag)
    free = client.protect_cluster("demo", etag=protected.etag, protected=False)
    assert client.rotate_agent_token("demo").agent_token_version == 2
    assert client.rotate_agent_token("demo", force=True).agent_token_version == 3
    free = client.cluster("demo")
    assert client.delete_cluster("demo", etag=free.etag).state is ClusterState.DELETING
    assert client.undelete_cluster("demo").state is ClusterState.ACTIVE
    changes = ClusterUpdate(deploy_policy=DeployPolicy.APPROVE)
    client.change_cluster("demo", changes, etag=client.cluster("demo").etag)
    client.create_cluster(ClusterCreate(slug="another", recipe="local"))
    assert [one.slug for one in client.clusters(sort="created_at")] == ["demo", "another"]


def variables_are_read_and_written(client: NotedClient) -> None:
    seen = client.variable("demo", "n")
    changed = client.put_variable("demo", "n", VariablePut(value=[1]), etag=seen.etag)
    client.put_variable("demo", "m", VariablePut(value=None))
    assert [one.name for one in client.variables("demo")] == ["m", "n"]
    found = client.all_variables()
    assert [(one.cluster, one.name, one.managed_by) for one in found] == [
        ("demo", "m", ""), ("demo", "n", ""),
    ]  # fmt: skip
    assert found[1].etag == changed.etag
    client.delete_variable("demo", "n", etag=changed.etag)
    assert [one.name for one in client.variables("demo")] == ["m"]


def probers_are_read_and_written(client: NotedClient) -> None:
    seen = client.prober("ping")
    changed = client.change_prober("ping", ProberUpdate(owner="me"), etag=seen.etag)
    new = RevisionCreate(files=[FileUpload.of("ping", b"# 2")])
    added = client.add_prober_revision("ping", new, etag=changed.etag)
    client.upload_prober_revision("ping", tar(ping="# 3"), etag=added.etag)
    assert [one.number for one in client.prober_revisions("ping")] == [3, 2, 1]
    assert client.prober_revision("ping", 2).content_hash == added.content_hash
    assert client.prober_file("ping", 3, "ping") == b"# 3"
    config = client.put_config("ping", "all", ProberConfigPut(clusters=["*"]))
    client.put_config("ping", "few", ProberConfigPut(clusters=["x"]))
    assert client.config("ping", "all") == config
    client.delete_config("ping", "all", etag=config.etag)
    assert [one.slug for one in client.configs("ping")] == ["few"]
    assert client.stop_prober("ping", ProberStop(reason="r", revision=3)).stopped is None
    assert client.prober_revision("ping", 3).stopped
    client.start_prober("ping", ProberStart(revision=3))
    assert client.prober_revision("ping", 3).stopped is None
    assert client.stop_prober("ping", ProberStop(reason="r")).stopped
    assert client.start_prober("ping").stopped is None
    gone = client.create_prober(ProberCreate(slug="gone", command=["x"]))
    client.delete_prober("gone", etag=gone.etag)
    assert [one.slug for one in client.probers(sort="updated_at")] == ["ping"]


def evidence_is_uploaded_and_read(client: NotedClient, context: Context) -> None:
    cluster = client.cluster("demo")
    token = agent_token(context.server_key, cluster.id, version=cluster.agent_token_version)
    agent = AgentApiClient(AgentTransport(client.url, token), "demo")
    announcement = EvidenceAnnouncement(
        host="a", prober="ping", content_type=EvidenceType.TEXT, size=4,
        sha256=hashlib.sha256(b"said").hexdigest(),
    )  # fmt: skip
    evidence_id = agent.upload(announcement, b"said")
    assert [one.id for one in client.evidence("demo", host="a", prober="ping")] == [evidence_id]
    assert client.evidence("demo", host="b") == []
    assert client.one_evidence("demo", evidence_id).size == 4
    assert client.evidence_content("demo", evidence_id) == b"said"
    with pytest.raises(
        ApiUnreachableError, match=r"127\.0\.0\.1:\d+ cannot be reached: refused"
    ) as raised:
        agent.upload(announcement, b"lies")
    assert "signature" not in str(raised.value)


def keys_and_the_installation_are_read_and_written(client: NotedClient) -> None:
    made = client.create_key(ApiKeyCreate(name="k", role=Role.EDITOR))
    changed = client.change_key(made.id, ApiKeyUpdate(clusters=["demo"]), etag=made.etag)
    assert client.key(made.id) == changed
    client.revoke_key(made.id, etag=changed.etag)
    assert [one.name for one in client.keys(sort="name")] == ["admin"]
    assert client.set_installation(InstallationPut(applies_stopped=True)).applies_stopped
    assert client.installation().changed_by == "admin"
    entries = client.audit_log(kind="key", sort="at")
    assert [one.action for one in entries] == ["create", "change", "delete"]


def deployments_are_read_and_judged(client: NotedClient, context: Context) -> None:
    ids = [_deployment(client, context) for _ in range(2)]
    assert [one.id for one in client.deployments("demo")] == ids[::-1]
    assert [one.id for one in client.deployments("demo", sort="started_at")] == ids
    assert client.planned_changes("demo", ids[0]).resources == []
    assert client.plan_text("demo", ids[0]) == ""
    assert client.deployment_log("demo", ids[0]) == "said"
    assert list(client.tail_deployment_log("demo", ids[0])) == ["said"]
    assert client.approve_deployment("demo", ids[0]).approved
    rejected = client.reject_deployment("demo", ids[1], Rejection(reason="r"))
    assert rejected.state is DeploymentState.SUPERSEDED
    assert client.deployments("demo", state=DeploymentState.SUPERSEDED) == [rejected]
    assert client.deployment("demo", ids[1]).decided_by == "admin"


def _deployment(client: NotedClient, context: Context) -> UUID:
    with context.database.writing() as session:
        row = models.Deployment(
            cluster_id=client.cluster("demo").id, cause="c", fingerprint="f", log="said",
            state=DeploymentState.WAITING_FOR_APPROVAL,
            recipe_revision_id=session.scalars(select(models.RecipeRevision.id).limit(1)).one(),
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.id


def agents_are_found(client: NotedClient, context: Context) -> None:
    cluster_id = client.cluster("demo").id
    now = context.clock()
    with context.database.writing() as session:
        session.get_one(models.Cluster, cluster_id).hosts = {"a": {}, "b": {}}
        for host, age in (("a", timedelta()), ("c", timedelta(hours=1))):
            report = AgentReport(instance=uuid4(), boot=1, host=host, version="1", clock=now)
            session.add(
                models.Agent(
                    cluster_id=cluster_id, instance=report.instance, host=host, boot=1, version="1",
                    report=report.model_dump(mode="json"), clock_skew_seconds=0.0, reported_at=now - age,
                )
            )  # fmt: skip
    assert [one.host for one in client.fleet(AgentQuery(sort="-host"))] == ["c", "a"]
    silent = AgentQuery(presence=ChosenPresence.SILENT, version="1", sort="host")
    assert [one.host for one in client.fleet(silent)] == ["c"]
    assert [one.host for one in client.agents("demo", silent)] == ["c"]
    assert [(one.cluster, one.host) for one in client.missing_hosts()] == [("demo", "b")]
    assert client.host_configuration("demo", "a").host == "a"
    assert [one.name for one in client.grid("demo").hosts] == ["a", "b", "c"]


@pytest.mark.usefixtures("described")
def test_each_call_of_the_client_is_answered_by_the_api(
    client: NotedClient, context: Context
) -> None:
    CALLED.clear()
    recipes_are_read_and_written(client)
    clusters_are_read_and_written(client)
    variables_are_read_and_written(client)
    probers_are_read_and_written(client)
    deployments_are_read_and_judged(client, context)
    agents_are_found(client, context)
    evidence_is_uploaded_and_read(client, context)
    keys_and_the_installation_are_read_and_written(client)
    assert PUBLIC == CALLED
