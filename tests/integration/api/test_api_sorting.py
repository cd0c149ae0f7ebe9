"""Every listing in every order that it offers: all rows once, from both ends, whatever the size of its pages."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.context import Context
from api.services import fleet
from api.services.paging import Paging
from common.contracts.keys import Role
from common.contracts.reports import AgentReport
from database import models

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = {
    "/api/v1/clusters": ("slug", "created_at", "updated_at", "last_planned_at"),
    "/api/v1/recipes": ("slug", "created_at", "updated_at"),
    "/api/v1/probers": ("slug", "created_at", "updated_at"),
    "/api/v1/probers/c/configs": ("slug", "order"),
    "/api/v1/probers/c/revisions": ("number",),
    "/api/v1/clusters/c/variables": ("name",),
    "/api/v1/clusters/c/deployments": ("started_at",),
    "/api/v1/clusters/c/agents": ("instance", "host", "reported_at", "version", "clock_skew_seconds"),
    "/api/v1/agents": ("instance", "host", "reported_at", "version", "clock_skew_seconds"),
    "/api/v1/keys": ("created_at", "name"),
    "/api/v1/audit": ("at",),
}  # fmt: skip


@pytest.fixture
def furnished(api: TestClient, described: Any, callers: Any, context: Context) -> None:
    """Some of everything, with equal values, so that ties are there; and with clusters that were never planned."""
    for slug in "cadbe":
        described.cluster(slug, variables={"x": 1, "y": 2})
        described.recipe(f"r-{slug}")
        described.prober(slug)
    for number, slug in enumerate("wxyz"):
        config = {"clusters": [slug], "order": number // 2}
        assert api.put(f"/api/v1/probers/c/configs/{slug}", json=config).status_code == 201
    api.post("/api/v1/probers/c/revisions", json={"files": []})
    for role in (Role.VIEWER, Role.VIEWER, Role.EDITOR):
        callers.key(role)
    with context.database.writing() as session:
        _add_rows(session)


def _add_rows(session: Any) -> None:
    clusters = session.query(models.Cluster).order_by(models.Cluster.slug).all()
    revision = session.query(models.RecipeRevision).first().id
    for number, cluster in enumerate(clusters):
        moment = MOMENT + timedelta(days=number // 2)
        values = {"created_at": moment, "updated_at": moment}
        if number % 2:
            values["last_planned_at"] = moment
        session.execute(
            update(models.Cluster).where(models.Cluster.id == cluster.id).values(**values)
        )
        for agent in range(3):
            session.add(_agent(cluster.id, number, agent))
        for _ in range(3):
            session.add(
                models.Deployment(
                    cluster_id=cluster.id, cause="c", fingerprint="f", recipe_revision_id=revision
                )
            )


def _agent(cluster_id: UUID, number: int, agent: int) -> models.Agent:
    report = AgentReport(
        instance=uuid4(), boot=1, host=f"h{agent % 2}", version=f"{number % 2}", clock=MOMENT
    )
    return models.Agent(
        cluster_id=cluster_id, instance=report.instance, host=report.host, boot=1,
        version=report.version, report=report.model_dump(mode="json"),
        clock_skew_seconds=agent / 3 - 0.5, reported_at=MOMENT + timedelta(seconds=agent // 2),
    )  # fmt: skip


def pages(api: TestClient, path: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
    token = ""
    for _ in range(100):
        answer = api.get(path, params={**query, "page_token": token})
        assert answer.status_code == 200, answer.text
        yield answer.json()["items"]
        if not (token := answer.json()["next_page_token"]):
            return
    raise AssertionError


def key_of(item: dict[str, Any]) -> str:
    return str(next(item[name] for name in ("id", "instance", "number", "slug", "name") if name in item))  # fmt: skip


def test_small_pages_hold_what_one_large_page_holds_in_order(
    api: TestClient, furnished: None
) -> None:
    for path, words in ORDERS.items():
        for sort in (sign + word for word in words for sign in ("", "-")):
            (whole,) = pages(api, path, sort=sort, page_size=1000)
            small = [item for page in pages(api, path, sort=sort, page_size=2) for item in page]
            keys = [key_of(item) for item in whole]
            assert [key_of(item) for item in small] == keys, (path, sort)
            assert len(set(keys)) == len(keys) > 1, (path, sort)
            assert_sorted(whole, sort)


def assert_sorted(items: list[dict[str, Any]], sort: str) -> None:
    values = [item[sort.removeprefix("-")] for item in items]
    upwards = values[::-1] if sort.startswith("-") else values
    known = [value for value in upwards if value is not None]
    assert known == sorted(known)
    assert upwards[len(upwards) - len(known) :] == known  # what has no value is less than all else


def test_an_order_that_a_listing_does_not_have_is_refused_with_those_that_it_has(
    api: TestClient, furnished: None
) -> None:
    for path, words in ORDERS.items():
        answer = api.get(path, params={"sort": "colour"})
        assert answer.status_code == 422
        (problem,) = answer.json()["errors"]
        assert problem["field"] == "sort"
        assert problem["given"] == "colour"
        assert all(word in problem["expected"] for word in words)


@pytest.mark.parametrize(
    "other",
    [
        ("/api/v1/agents", {"sort": "-host"}),
        ("/api/v1/agents", {"sort": "version"}),
        ("/api/v1/agents", {"sort": "host", "version": "1"}),
        ("/api/v1/clusters/c/agents", {"sort": "host"}),
    ],
)
def test_a_token_belongs_to_its_order_and_filters(
    api: TestClient, furnished: None, other: tuple[str, dict[str, str]]
) -> None:
    query: dict[str, str | int] = {"sort": "host", "page_size": 1}
    token = api.get("/api/v1/agents", params=query).json()["next_page_token"]
    again = api.get("/api/v1/agents", params={**query, "page_size": 5, "page_token": token})
    assert len(again.json()["items"]) == 5
    path, changed = other
    refused = api.get(path, params={**changed, "page_token": token})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "page_token"


def test_a_filter_that_few_agents_of_many_match_finds_all_of_them_in_several_pages(
    furnished: None, context: Context
) -> None:
    wanted = fleet.AgentFilter(clock_skew_above_seconds=0.4)
    found, token = [], ""
    for _ in range(20):
        with context.database.reading() as session:
            page = fleet.page_of_fleet(
                session, wanted, Paging(2, token, "reported_at"), now=MOMENT, looked_at=4
            )
        found.append([one.clock_skew_seconds for one in page.items])
        if not (token := page.next_page_token):
            break
    assert [skew for page in found for skew in page] == [-0.5] * 5
    assert [] in found
    assert not token
