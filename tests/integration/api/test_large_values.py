"""Values that are too large for documents travel as files: fetched by agents, published, explained, kept as long as they are used."""

import hashlib
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from api.context import Context
from api.services.retention import unnamed_files
from common.contracts.configuration import MAX_INLINE_BYTES
from common.contracts.values import canonical_json
from common.object_storage import file_key
from database import models
from tests.integration.api.conftest import Callers, Described

ADDRESS = "/api/v1/clusters/demo/variables"
NODES = [f"node-{number:05}" for number in range(2_000)]
CONTENT = canonical_json([*NODES])
SHA256 = hashlib.sha256(CONTENT).hexdigest()
BIGGEST_INLINE = "x" * (MAX_INLINE_BYTES - 2)


@pytest.fixture
def cluster(described: Described) -> dict[str, Any]:
    """A cluster with a large variable that its prober checks one by one, and one that nobody uses."""
    values = {"nodes": NODES, "unused": NODES[:-1], "inline": BIGGEST_INLINE}
    made = described.cluster("demo", variables=values)
    matrix = {"target": {"values": "${cluster.variables.nodes}", "deliver": "batch"}}
    variables = {"inline": "${cluster.variables.inline}"}
    described.prober("ping", defaults={"matrix": matrix, "variables": variables})
    described.config("ping")
    return made


def document(api: TestClient) -> dict[str, Any]:
    answer = api.get("/api/v1/clusters/demo/configuration")
    read: dict[str, Any] = answer.json()
    return read


def is_kept(context: Context, sha256: str) -> bool:
    with context.database.reading() as session:
        return unnamed_files(session, [sha256]) == []


def test_a_document_names_the_file_and_agents_of_the_cluster_alone_get_it(
    api: TestClient, cluster: dict[str, Any], callers: Callers, described: Described
) -> None:
    read = document(api)
    assert read["variable_files"] == {"nodes": {"sha256": SHA256, "size": len(CONTENT)}}
    assert read["variables"] == {"inline": BIGGEST_INLINE}
    assert callers.agent(cluster["id"]).get(f"/api/v1/files/{SHA256}").content == CONTENT
    assert api.get(f"/api/v1/files/{SHA256}").content == CONTENT
    stranger = callers.agent(described.cluster("other")["id"])
    assert stranger.get(f"/api/v1/files/{SHA256}").status_code == 403
    unused = hashlib.sha256(canonical_json([*NODES[:-1]])).hexdigest()
    assert callers.agent(cluster["id"]).get(f"/api/v1/files/{unused}").status_code == 403


def test_a_new_value_is_another_file_and_a_small_one_is_none(
    api: TestClient, cluster: dict[str, Any], context: Context
) -> None:
    before = document(api)
    other = [*NODES, "one-more"]
    assert api.put(f"{ADDRESS}/nodes", json={"value": other}).status_code == 200
    changed = document(api)
    content = canonical_json([*other])
    sha256 = hashlib.sha256(content).hexdigest()
    assert changed["variable_files"]["nodes"]["sha256"] == sha256
    assert changed["revision"] > before["revision"]
    assert api.get(f"/api/v1/files/{sha256}").content == content
    assert is_kept(context, sha256)
    assert not is_kept(context, SHA256)
    api.put(f"{ADDRESS}/nodes", json={"value": ["few"]})
    small = document(api)
    assert (small["variable_files"], small["variables"]["nodes"]) == ({}, ["few"])
    assert not is_kept(context, sha256)
    assert api.get(f"{ADDRESS}/nodes").json()["value"] == ["few"]


def test_people_see_values_where_they_are_used(
    api: TestClient, cluster: dict[str, Any], context: Context
) -> None:
    with context.database.writing() as session:
        row = session.get_one(models.Cluster, UUID(cluster["id"]))
        row.hosts = {"demo-1": {"address": "10.0.0.1"}}
        row.configuration_change += 1
    assert api.get(ADDRESS).json()["items"][1]["value"] == NODES
    (explained,) = api.get("/api/v1/clusters/demo/hosts/demo-1/configuration").json()["probers"]
    assert (explained["problem"], explained["combinations"]) == ("", len(NODES))
    (host,) = api.get("/api/v1/clusters/demo/grid").json()["hosts"]
    assert len(host["cells"]["ping"]["states"]) == len(NODES)


def test_a_sensitive_value_never_becomes_a_file(
    api: TestClient, cluster: dict[str, Any], context: Context
) -> None:
    first, second = ["secret", *NODES], ["more secret", *NODES]
    for body in ({"value": first, "sensitive": True}, {"value": second}):
        assert api.put(f"{ADDRESS}/password", json=body).status_code == 200
    assert api.put(f"{ADDRESS}/nodes", json={"value": first, "sensitive": True}).status_code == 200
    for value in (first, second):
        sha256 = hashlib.sha256(canonical_json([*value])).hexdigest()
        assert not context.storage.exists(file_key(sha256))
        assert not is_kept(context, sha256)
    assert document(api)["variable_files"] == {}


def test_a_value_that_an_older_version_of_the_api_wrote_stays_in_the_document(
    api: TestClient, cluster: dict[str, Any], context: Context
) -> None:
    old_way = [*NODES, "written by another version"]
    with context.database.writing() as session:
        session.get_one(models.ClusterVariable, (UUID(cluster["id"]), "nodes")).value = old_way
        session.get_one(models.Cluster, UUID(cluster["id"])).configuration_change += 1
    read = document(api)
    assert (read["variable_files"], read["variables"]["nodes"]) == ({}, old_way)


def test_nobodys_value_is_taken_for_a_file(
    api: TestClient, cluster: dict[str, Any], callers: Callers
) -> None:
    imitation = {"sha256": "0" * 64, "size": 1}
    api.put(f"{ADDRESS}/inline", json={"value": imitation})
    read = document(api)
    assert read["variables"]["inline"] == imitation
    assert list(read["variable_files"]) == ["nodes"]
