"""Evidence of runs: announced by the cluster's own agents, put at signed addresses, read by people, bounded in every way."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from starlette.requests import Request
from starlette.types import Message

from api.context import Context
from api.evidence_body import Announced, EvidenceBody
from api.services.errors import InvalidError
from api.services.evidence import EvidenceLimits
from common.contracts.evidence import MAX_EVIDENCE_BYTES
from common.contracts.keys import Role
from common.object_storage import FileSystemObjectStorage
from database import models
from tests.integration.api.conftest import Callers, Described, FakeClock
from tests.integration.api.evidence_uploads import ADDRESS, CONTENT, announced, announcement, put


@pytest.fixture
def agent(callers: Callers, described: Described) -> TestClient:
    """An agent of the cluster `demo`."""
    return callers.agent(described.cluster("demo")["id"])


@pytest.fixture
def nobody(callers: Callers) -> TestClient:
    """Somebody without a key."""
    return callers.nobody()


def listed(api: TestClient, **query: str) -> list[dict[str, Any]]:
    answer = api.get(ADDRESS, params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_what_an_agent_uploads_is_read_by_people(
    api: TestClient, agent: TestClient, nobody: TestClient, callers: Callers, clock: FakeClock
) -> None:
    given = announced(agent)
    assert put(nobody, given).status_code == 204
    (shown,) = listed(api)
    assert shown == {
        **announcement(),
        "id": given["id"],
        "created_at": clock.now.isoformat().replace("+00:00", "Z"),
    }
    assert api.get(f"{ADDRESS}/{given['id']}").json() == shown
    viewer = callers.role(Role.VIEWER)
    assert viewer.get(f"{ADDRESS}/{given['id']}/content").content == CONTENT


def test_no_browser_takes_a_content_for_a_page(
    api: TestClient, agent: TestClient, nobody: TestClient
) -> None:
    for content_type, sent_as, ending in (
        ("text/plain", "text/plain; charset=utf-8", "txt"),
        ("application/json", "text/plain; charset=utf-8", "json"),
        ("application/gzip", "application/octet-stream", "gz"),
        ("application/octet-stream", "application/octet-stream", "bin"),
    ):
        given = announced(agent, content_type=content_type)
        put(nobody, given)
        headers = api.get(f"{ADDRESS}/{given['id']}/content").headers
        assert headers["content-type"] == sent_as
        assert headers["content-disposition"] == (
            f'attachment; filename="ping-demo-1-{given["id"]}.{ending}"'
        )
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")


def test_what_never_came_is_not_there(api: TestClient, agent: TestClient) -> None:
    given = announced(agent)
    assert listed(api) == []
    for address in (f"{ADDRESS}/{given['id']}", f"{ADDRESS}/{given['id']}/content"):
        assert api.get(address).status_code == 404


def test_a_content_that_was_written_before_a_crash_is_there(
    api: TestClient, agent: TestClient, context: Context
) -> None:
    given = announced(agent)
    with context.database.reading() as session:
        cluster_id = session.scalar(select(models.Cluster.id))
    context.evidence_storage.write(f"evidence/{cluster_id}/{given['id']}", CONTENT)
    assert [one["id"] for one in listed(api)] == [given["id"]]


def test_an_address_is_good_once(api: TestClient, agent: TestClient, nobody: TestClient) -> None:
    given = announced(agent)
    assert put(nobody, given).status_code == 204
    assert put(nobody, given).status_code == 409
    assert api.get(f"{ADDRESS}/{given['id']}/content").content == CONTENT


@pytest.mark.parametrize("other", [CONTENT[:-1], CONTENT + b"!", CONTENT.swapcase(), b""])
def test_another_content_than_the_announced_one_is_refused_and_may_be_put_right(
    api: TestClient, agent: TestClient, nobody: TestClient, other: bytes
) -> None:
    given = announced(agent)
    refused = nobody.put(given["url"], content=other)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "body"
    assert listed(api) == []
    assert put(nobody, given).status_code == 204


def test_a_flood_is_not_read_to_its_end(agent: TestClient, context: Context) -> None:
    given = announced(agent)
    body = EvidenceBody(context, UUID(given["id"]))
    parts = 0

    async def endless() -> Message:
        nonlocal parts
        parts += 1
        assert parts < 10
        return {"type": "http.request", "body": CONTENT, "more_body": True}

    expected = Announced(UUID(int=1), len(CONTENT), "0" * 64)
    with pytest.raises(InvalidError):
        asyncio.run(body.read(Request({"type": "http"}, endless), expected))
    assert parts == 2


def test_nothing_but_the_address_opens_it(
    agent: TestClient, nobody: TestClient, clock: FakeClock, api: TestClient
) -> None:
    given = announced(agent)
    other = announced(agent, CONTENT * 2)
    path, _, query = given["url"].partition("?")
    signature = query.rpartition("=")[2]
    expires = query.partition("&")[0].partition("=")[2]
    forged = [
        f"{path}?expires={expires}&signature={'0' * 64}",
        f"{path}?expires={int(expires) + 1}&signature={signature}",
        f"{other['url'].partition('?')[0]}?{query}",
        f"/api/v1/uploads/{UUID(int=9)}?{query}",
    ]
    for address in forged:
        for client in (nobody, agent, api):
            assert client.put(address, content=CONTENT).status_code == 404, address
    for address in (path, f"{path}?expires={expires}", f"{path}?signature={signature}&expires=x"):
        assert nobody.put(address, content=CONTENT).status_code == 422
    clock.forward(minutes=5)
    assert put(nobody, given).status_code == 404
    assert listed(api) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 0), ("size", MAX_EVIDENCE_BYTES + 1), ("content_type", "text/html"),
        ("host", "../x"), ("prober", "Ping"), ("sha256", "A" * 64),
    ],
)  # fmt: skip
def test_a_bad_announcement_is_refused_by_its_field(
    agent: TestClient, field: str, value: Any
) -> None:
    answer = agent.post(ADDRESS, json=announcement(**{field: value}))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_the_largest_content_that_may_be_announced_comes_in(
    api: TestClient, agent: TestClient, nobody: TestClient
) -> None:
    content = b"x" * MAX_EVIDENCE_BYTES
    given = announced(agent, content)
    assert put(nobody, given, content).status_code == 204
    assert api.get(f"{ADDRESS}/{given['id']}/content").content == content


def test_uploads_are_listed_newest_first_by_host_and_prober_in_pages(
    api: TestClient, agent: TestClient, nobody: TestClient
) -> None:
    ids = {}
    for host, prober in (("a", "ping"), ("b", "ping"), ("b", "dns"), ("a", "dns")):
        given = announced(agent, host=host, prober=prober)
        put(nobody, given)
        ids[host, prober] = given["id"]
    assert [one["id"] for one in listed(api)] == list(ids.values())[::-1]
    assert [one["id"] for one in listed(api, host="a")] == [ids["a", "dns"], ids["a", "ping"]]
    assert [one["id"] for one in listed(api, host="b", prober="dns")] == [ids["b", "dns"]]
    seen, token = [], ""
    for _ in range(3):
        page = api.get(ADDRESS, params={"page_size": "2", "page_token": token}).json()
        seen += [one["id"] for one in page["items"]]
        token = page["next_page_token"]
        if not token:
            break
    assert seen == list(ids.values())[::-1]


def test_one_cluster_does_not_show_what_belongs_to_another(
    api: TestClient, agent: TestClient, nobody: TestClient, described: Described, callers: Callers
) -> None:
    other = callers.agent(described.cluster("other")["id"])
    assert other.post(ADDRESS, json=announcement()).status_code == 403
    given = announced(agent)
    put(nobody, given)
    elsewhere = f"/api/v1/clusters/other/uploads/{given['id']}"
    assert api.get("/api/v1/clusters/other/uploads").json()["items"] == []
    assert api.get(elsewhere).status_code == api.get(f"{elsewhere}/content").status_code == 404


class Limited:
    """A cluster with narrow limits."""

    def __init__(self, context: Context, **limits: int) -> None:
        object.__setattr__(context, "evidence_limits", EvidenceLimits(**limits))
        self.context = context

    def count(self) -> int:
        with self.context.database.reading() as session:
            return session.scalar(select(func.count()).select_from(models.Evidence)) or 0

    def contents(self) -> list[str]:
        storage = self.context.logs
        assert isinstance(storage, FileSystemObjectStorage)
        return sorted(path.name for path in storage._root.rglob("*") if path.is_file())


def test_too_many_in_a_minute_are_refused_with_the_rate_and_the_time_to_wait(
    agent: TestClient, context: Context, clock: FakeClock
) -> None:
    limited = Limited(context, per_minute=3)
    for _ in range(3):
        announced(agent)
        clock.forward(seconds=10)
    refused = agent.post(ADDRESS, json=announcement())
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "30"
    assert "3 in a minute" in refused.json()["detail"]
    assert limited.count() == 3
    clock.forward(seconds=29)
    assert agent.post(ADDRESS, json=announcement()).status_code == 429
    clock.forward(seconds=1)
    announced(agent)
    assert agent.post(ADDRESS, json=announcement()).headers["retry-after"] == "10"


def test_beyond_its_number_a_new_upload_takes_the_place_of_the_oldest(
    api: TestClient, agent: TestClient, nobody: TestClient, context: Context, clock: FakeClock
) -> None:
    limited = Limited(context, per_cluster=2)
    ids = []
    for _ in range(2):
        ids.append(announced(agent))
        put(nobody, ids[-1])
    # Somebody may still put there what nobody would know of any more.
    refused = agent.post(ADDRESS, json=announcement())
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "300")
    clock.forward(minutes=6)
    ids.append(announced(agent))
    put(nobody, ids[-1])
    assert [one["id"] for one in listed(api)] == [ids[2]["id"], ids[1]["id"]]
    assert limited.contents() == sorted(one["id"] for one in ids[1:])
    assert limited.count() == 2


def test_a_clock_that_was_put_back_locks_nobody_out(
    agent: TestClient, context: Context, clock: FakeClock
) -> None:
    Limited(context, per_minute=1)
    announced(agent)
    clock.forward(minutes=-30)
    announced(agent)
