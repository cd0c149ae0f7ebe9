"""Every route with every kind of caller, against the table of who may what."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from common.contracts.keys import ApiKeyCreate, Role
from database import models
from database.session import Database
from tests.integration.api.route_table import BODIES, EVERYBODY, PROBE, RULES, filled, routes_of


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """One kind of database is enough to ask who gets in."""
    opened = Database(sqlite_url)
    yield opened
    opened.dispose()


@pytest.fixture
def everybody(callers: Any, described: Any, file_upload: Any) -> dict[str, TestClient]:
    """A caller of each kind, and objects of the names that `filled` gives."""
    own, other = described.cluster("demo", variables={"a": 1}), described.cluster("other")
    described.prober("ping", files=[file_upload("ping", PROBE)])
    described.config("ping", clusters=["demo"])
    scoped = ApiKeyCreate(name="scoped", role=Role.EDITOR, clusters=["demo"])
    return {
        "nobody": callers.nobody(),
        "own agent": callers.agent(own["id"]),
        "other agent": callers.agent(other["id"]),
        "scoped editor": callers.with_token(callers.made_key(scoped)),
        **{role.value: callers.role(role) for role in Role},
    }


def test_the_table_knows_every_route_and_no_other(callers: Any) -> None:
    assert set(routes_of(callers.application)) == RULES.keys(), (
        "see the docstring of route_table.py"
    )


def test_everybody_does_what_they_may_and_no_more(
    everybody: dict[str, TestClient],
) -> None:
    assert everybody.keys() == EVERYBODY
    wrong = []
    for (method, path), allowed in RULES.items():
        for who, client in everybody.items():
            # A version that no object has: whoever is let in changes nothing.
            headers = {"If-Match": '"none"'} if method != "GET" else {}
            body = None if method in {"GET", "DELETE"} else BODIES.get(path, {})
            answer = client.request(method, filled(path), json=body, headers=headers)
            refusal = 401 if who == "nobody" else 403
            is_refused = answer.status_code in {401, 403} and path != "/sign-in"
            as_told = answer.status_code == refusal if who not in allowed else not is_refused
            if not as_told or answer.status_code >= 500:
                wrong.append((who, method, path, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("slug", ["other", "demo2", "Demo", "demo/../other", "demo%2f..%2fother"])
def test_a_scope_is_its_clusters_and_nothing_beside_them(
    everybody: dict[str, TestClient], slug: str
) -> None:
    scoped = everybody["scoped editor"]
    for path in (slug, f"{slug}/variables/a"):
        assert scoped.delete(f"/api/v1/clusters/{path}").status_code in {403, 404}
    assert everybody["viewer"].get("/api/v1/clusters/other").json()["state"] == "active"


@pytest.mark.parametrize("is_gone", [False, True])
def test_an_agent_learns_of_no_name_whether_a_cluster_has_it(
    everybody: dict[str, TestClient], is_gone: bool, context: Any, clock: Any
) -> None:
    agent = everybody["other agent"]
    if is_gone:
        with context.database.writing() as session:
            session.query(models.Cluster).filter_by(slug="other").one().deleted_at = clock()
        clock.forward(seconds=1)
    routes = [
        rule for rule, allowed in RULES.items() if "own agent" in allowed and rule[0] != "PUT"
    ]
    for method, path in routes:
        if "{slug}" not in path:
            continue
        addresses = [path.replace("{slug}", slug) for slug in ("demo", "nobody")]
        answers = [agent.request(method, one, json=BODIES.get(path)) for one in addresses]
        assert [answer.status_code for answer in answers] == [403, 403], path
        assert answers[0].json() == answers[1].json()


def test_a_scoped_editor_edits_its_cluster(everybody: dict[str, TestClient]) -> None:
    scoped = everybody["scoped editor"]
    assert scoped.put("/api/v1/clusters/demo/variables/a", json={"value": 2}).status_code == 200
    assert scoped.get("/api/v1/clusters/other").status_code == 200
    assert scoped.delete("/api/v1/clusters/demo").status_code == 202


@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_only_rights_to_change_clusters_can_be_scoped(api: TestClient, role: str) -> None:
    body = {"name": "k", "role": role, "clusters": ["demo"]}
    answer = api.post("/api/v1/keys", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "clusters")
    assert api.post("/api/v1/keys", json={**body, "role": "editor", "clusters": []}).status_code == 422  # fmt: skip
