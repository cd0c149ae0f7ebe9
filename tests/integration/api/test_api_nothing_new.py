"""The short way of «nothing new»: it says what the long way says, and nothing at all where that might say something else."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event
from starlette.types import Message, Scope

from api.context import Context
from api.nothing_new import said_nothing_new
from common.agent_tokens import agent_token
from common.contracts.keys import Role
from database import models
from database.session import Database
from tests.integration.api.conftest import SERVER_KEY

ADDRESS = "/api/v1/clusters/demo/configuration"


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """No query is made on the short way: one kind of database is enough."""
    opened = Database(sqlite_url)
    yield opened
    opened.dispose()


@pytest.fixture
def demo(described: Any) -> dict[str, Any]:
    cluster: dict[str, Any] = described.cluster("demo")
    return cluster


@pytest.fixture
def agent(callers: Any, demo: Any) -> TestClient:
    client: TestClient = callers.agent(demo["id"])
    return client


@pytest.fixture
def etag(agent: TestClient) -> str:
    """What the agent knows after its first question; from then on the process knows the agent."""
    tag: str = agent.get(ADDRESS).headers["etag"]
    return tag


def question(cluster_id: str, etag: str, *, version: int = 1, **scope: Any) -> Scope:
    """What uvicorn hands to the application when an agent asks."""
    token = agent_token(SERVER_KEY, UUID(cluster_id), version=version)
    headers = [
        (b"host", b"testserver"),
        (b"authorization", b"Bearer " + token.encode()),
        (b"if-none-match", etag.encode()),
    ]
    more = scope.pop("headers", [])
    kept = [one for one in headers if one[0] not in {name for name, _ in more}]
    return {
        "type": "http",
        "method": "GET",
        "path": ADDRESS,
        "query_string": b"",
        "headers": [*kept, *more],
        **scope,
    }


async def short_answer(context: Context, scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    assert await said_nothing_new(context, scope, send) is bool(sent)
    return sent


def run(coroutine: Any) -> Any:
    """To its end, without a loop: nothing on the short way waits."""
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    return ended.value.value


def test_is_the_same_answer_as_on_the_long_way(agent: TestClient, etag: str) -> None:
    caller = {"X-Request-Id": "request-of-an-agent"}
    short = agent.get(ADDRESS, headers={"If-None-Match": etag, **caller})
    long = agent.get(ADDRESS, headers={"If-None-Match": f"W/{etag}", **caller})
    assert (short.status_code, short.content) == (304, b"")
    assert short.headers == long.headers
    assert short.headers["x-request-id"] == "request-of-an-agent"
    odd = agent.get(ADDRESS, headers={"If-None-Match": etag, "X-Request-Id": "a b"})
    assert odd.headers["x-request-id"] != "a b"


def test_is_counted_and_logged_like_every_other(
    agent: TestClient, etag: str, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "api.edge")
    for known in (etag, f"W/{etag}"):
        agent.get(ADDRESS, headers={"If-None-Match": known})
    counted = f'requests_total{{method="GET",route="{ADDRESS.replace("demo", "{slug}")}",status="304"}} 2.0'
    assert counted in context.metrics.text().decode()
    assert sum(f"path={ADDRESS} status=304" in line for line in caplog.messages) == 2
    caplog.clear()
    caplog.set_level("INFO", "api.edge")
    agent.get(ADDRESS, headers={"If-None-Match": etag})
    assert caplog.messages == []


def test_is_given_to_the_usual_question(context: Context, demo: Any, etag: str) -> None:
    start, body = run(short_answer(context, question(demo["id"], etag)))
    assert start["status"] == 304
    assert dict(start["headers"])[b"etag"] == etag.encode()
    assert body == {"type": "http.response.body"}


@pytest.mark.parametrize(
    "unusual",
    [
        {"type": "websocket"},
        {"method": "HEAD"},
        {"method": "POST"},
        {"query_string": b"wait=25"},
        {"path": "/api/v1/clusters/demo/configuration/"},
        {"path": "/api/v1/clusters/other/configuration"},
        {"path": "/api/v1/clusters/none/configuration"},
        {"path": "/api/v1/clusters/configuration"},
        {"path": "/api/v1/clusters/demo/secrets"},
        {"version": 2},
        {"etag": '"old"'},
        {"etag": "*"},
        {"headers": [(b"authorization", b"")]},
        {"headers": [(b"authorization", b"Bearer 1.x.y")]},
        {"headers": [(b"x-request-id", b"a"), (b"x-request-id", b"b")]},
    ],
    ids=str,
)
def test_is_not_given_to_anything_unusual(
    context: Context, callers: Any, described: Any, demo: Any, etag: str, unusual: dict[str, Any]
) -> None:
    other = described.cluster("other")
    for cluster in (demo, other):  # both are known, and so are their documents
        callers.agent(cluster["id"]).get(f"/api/v1/clusters/{cluster['slug']}/configuration")
    assert run(short_answer(context, question(demo["id"], etag)))
    scope = question(demo["id"], **{"etag": etag, **unusual})
    assert run(short_answer(context, scope)) == []


def test_is_not_given_without_the_scheme_or_to_a_person(
    context: Context, callers: Any, demo: Any, etag: str
) -> None:
    token = agent_token(SERVER_KEY, UUID(demo["id"]), version=1)
    key = callers.key(Role.ADMIN)
    callers.with_token(key).get(ADDRESS)
    for text in (token, f"Basic {token}", f"bearer-{token}", f"Bearer {key}"):
        scope = question(demo["id"], etag, headers=[(b"authorization", text.encode())])
        assert run(short_answer(context, scope)) == [], text


def test_is_not_given_under_a_foreign_name(context: Context, demo: Any, etag: str) -> None:
    strict = replace(context, allowed_hosts=frozenset({"api.example"}))
    for part in ("doorkeeper", "configurations"):
        strict.__dict__[part] = getattr(context, part)
    for host, is_ours in ((b"api.example:8080", True), (b"evil.example", False), (b"", False)):
        scope = question(demo["id"], etag, headers=[(b"host", host)])
        assert bool(run(short_answer(strict, scope))) is is_ours


def test_waits_for_a_look_at_the_database_that_is_due(
    context: Context, agent: TestClient, demo: Any, etag: str, clock: Any
) -> None:
    usual = question(demo["id"], etag)
    clock.now += timedelta(seconds=1)
    assert run(short_answer(context, usual)) == []
    agent.get(ADDRESS)
    assert run(short_answer(context, usual))
    context.configurations.expire()  # this process wrote something
    assert run(short_answer(context, usual)) == []


def test_waits_for_a_look_that_goes_on(context: Context, agent: TestClient, etag: str) -> None:
    fresh_meanwhile: list[bool] = []
    event.listen(
        context.database.engine,
        "before_cursor_execute",
        lambda *_: fresh_meanwhile.append(context.configurations.is_fresh),
    )
    context.configurations.expire()
    agent.get(ADDRESS, headers={"If-None-Match": etag})
    assert fresh_meanwhile
    assert not any(fresh_meanwhile)
    assert context.configurations.is_fresh


def test_is_not_given_once_the_token_was_taken_back(
    context: Context, agent: TestClient, demo: Any, etag: str, clock: Any
) -> None:
    with context.database.writing() as session:
        session.query(models.Cluster).one().agent_token_version = 3
    clock.forward(seconds=1)
    for _ in range(3):
        assert agent.get(ADDRESS, headers={"If-None-Match": etag}).status_code == 403
    assert run(short_answer(context, question(demo["id"], etag))) == []
