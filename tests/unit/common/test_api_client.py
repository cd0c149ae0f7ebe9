"""The typed client over a transport that answers from a list."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import pytest
import requests
from pydantic import JsonValue

from common.api_client import ANY_VERSION, AgentQuery, ApiClient
from common.contracts.agents import ChosenPresence
from common.contracts.clusters import (
    ClusterCreate,
    ClusterUpdate,
    DeployPolicy,
    Rejection,
    VariablePut,
)
from common.contracts.installation import InstallationPut
from common.contracts.keys import ApiKeyCreate, Role
from common.contracts.probers import ProberConfigPut, ProberSettings
from common.contracts.recipes import RevisionCreate
from common.contracts.values import Problem
from common.errors import ApiError, ApiRefusedError, ApiUnreachableError

AWAY = ApiUnreachableError("http://api", "connection refused")
VARIABLE = {"value": [1], "managed_by": "", "updated_at": "2026-01-01T00:00:00Z"}


def refused(status: int) -> ApiRefusedError:
    return ApiRefusedError(Problem(title="no", status=status, detail="no"))


class ScriptedTransport:
    """Gives one prepared answer per call, or raises it, and remembers the calls."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, str, JsonValue | bytes]] = []
        self.headers: list[dict[str, str]] = []

    def call(
        self,
        method: str,
        path: str,
        *,
        body: JsonValue | bytes = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        self.calls.append((method, path, body))
        self.headers.append(dict(headers or {}))
        answer = self.answers.pop(0)
        if isinstance(answer, ApiError):
            raise answer
        response = requests.Response()
        response.status_code = 200
        response.url = f"http://api{path}"
        response._content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return response


def deployment(state: str) -> dict[str, Any]:
    return {
        "id": str(UUID(int=1)), "cluster": "demo", "cause": "c", "state": state, "recipe_revision": 1,
        "summary": None, "error": "", "steps": [], "started_at": "2026-01-01T00:00:00Z",
        "finished_at": None,
    }  # fmt: skip


def client_of(transport: ScriptedTransport, pauses: list[float] | None = None) -> ApiClient:
    return ApiClient(transport, sleep=(pauses if pauses is not None else []).append)


def test_a_listing_follows_its_pages() -> None:
    first = {"items": [{"name": "a", **VARIABLE}], "next_page_token": "to/ken&1"}
    second = {"items": [{"name": "b", **VARIABLE}]}
    transport = ScriptedTransport(first, second)
    assert [item.name for item in client_of(transport).variables("demo")] == ["a", "b"]
    assert [path for _, path, _ in transport.calls] == [
        "/api/v1/clusters/demo/variables?page_size=1000",
        "/api/v1/clusters/demo/variables?page_size=1000&page_token=to%2Fken%261",
    ]


def test_only_what_is_set_is_sent() -> None:
    transport = ScriptedTransport(AWAY, AWAY)
    client = client_of(transport)
    with pytest.raises(ApiUnreachableError):
        client.change_cluster("demo", ClusterUpdate(recipe_revision=None), etag=ANY_VERSION)
    settings = ProberSettings(mode=None, interval_seconds=5)
    with pytest.raises(ApiUnreachableError):
        client.put_config("ping", "all", ProberConfigPut(clusters=["*"], settings=settings))
    assert [body for _, _, body in transport.calls] == [
        {"recipe_revision": None},
        {"clusters": ["*"], "settings": {"mode": None, "interval_seconds": 5.0}},
    ]


def test_words_of_enums_travel_as_texts() -> None:
    transport = ScriptedTransport(AWAY)
    with pytest.raises(ApiUnreachableError):
        client_of(transport).change_cluster(
            "demo", ClusterUpdate(deploy_policy=DeployPolicy.APPROVE), etag=ANY_VERSION
        )
    assert transport.calls[0][2] == {"deploy_policy": "approve"}


@pytest.mark.parametrize("passing", [AWAY, refused(503)])
def test_reading_is_repeated_a_few_times(passing: ApiError) -> None:
    pauses: list[float] = []
    transport = ScriptedTransport(passing, passing, {"name": "x", **VARIABLE})
    assert client_of(transport, pauses).variable("demo", "x").value == [1]
    assert pauses == sorted(pauses)
    assert len(pauses) == 2


def test_reading_gives_up_in_the_end() -> None:
    transport = ScriptedTransport(*[AWAY] * 4)
    with pytest.raises(ApiUnreachableError):
        client_of(transport).grid("demo")
    assert transport.answers == []


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_clear_answer_is_not_asked_for_again(status: int) -> None:
    transport = ScriptedTransport(refused(status))
    with pytest.raises(ApiRefusedError):
        client_of(transport).cluster("demo")


@pytest.mark.parametrize(
    "write",
    [
        lambda client: client.put_variable("demo", "x", VariablePut(value=1)),
        lambda client: client.put_variable("demo", "x", VariablePut(value=1), etag=ANY_VERSION),
        lambda client: client.delete_variable("demo", "x", etag=ANY_VERSION),
        lambda client: client.create_cluster(ClusterCreate(slug="demo", recipe="local")),
        lambda client: client.create_key(ApiKeyCreate(name="k", role=Role.VIEWER)),
        lambda client: client.reject_deployment("demo", UUID(int=1), Rejection()),
        lambda client: client.rotate_agent_token("demo"),
    ],
)
def test_a_write_that_would_happen_twice_is_never_repeated(
    write: Callable[[ApiClient], object],
) -> None:
    transport = ScriptedTransport(AWAY)
    with pytest.raises(ApiUnreachableError):
        write(client_of(transport))
    assert len(transport.calls) == 1


def test_a_change_of_one_version_is_repeated_with_all_that_it_said() -> None:
    transport = ScriptedTransport(AWAY, refused(503), {"name": "x", **VARIABLE})
    client_of(transport).put_variable("demo", "x", VariablePut(value=1), etag='"a"')
    assert transport.calls == [transport.calls[0]] * 3
    assert transport.headers == [{"If-Match": '"a"'}] * 3


def test_a_stale_change_after_a_lost_answer_may_be_our_own() -> None:
    body = VariablePut(value=1)
    with pytest.raises(ApiUnreachableError) as raised:
        client_of(ScriptedTransport(AWAY, refused(412))).put_variable("demo", "x", body, etag='"a"')
    assert raised.value is AWAY
    with pytest.raises(ApiRefusedError):
        client_of(ScriptedTransport(refused(412))).put_variable("demo", "x", body, etag='"a"')


@pytest.mark.parametrize("status", [404, 412])
def test_what_is_gone_after_a_lost_answer_may_have_been_deleted_by_us(status: int) -> None:
    with pytest.raises(ApiUnreachableError) as raised:
        client_of(ScriptedTransport(AWAY, refused(status))).delete_variable("demo", "x", etag='"a"')
    assert raised.value is AWAY
    with pytest.raises(ApiRefusedError):
        client_of(ScriptedTransport(refused(status))).delete_variable("demo", "x", etag='"a"')
    with pytest.raises(ApiRefusedError):
        client_of(ScriptedTransport(AWAY, refused(404))).variable("demo", "x")


def test_a_switch_is_turned_until_somebody_hears_it() -> None:
    transport = ScriptedTransport(AWAY, AWAY, {"applies_stopped": True})
    client_of(transport).set_installation(InstallationPut(applies_stopped=True))
    assert [body for _, _, body in transport.calls] == [{"applies_stopped": True}] * 3


def test_only_what_is_wanted_is_asked_for() -> None:
    transport = ScriptedTransport({"items": []}, {"items": []})
    client = client_of(transport)
    wanted = AgentQuery(presence=ChosenPresence.SILENT, stale=True, sort="-host")
    assert client.fleet(wanted) == client.agents("demo") == []
    assert [path for _, path, _ in transport.calls] == [
        "/api/v1/agents?presence=silent&stale=true&sort=-host&page_size=1000",
        "/api/v1/clusters/demo/agents?page_size=1000",
    ]


def test_an_archive_travels_as_it_is() -> None:
    transport = ScriptedTransport(AWAY)
    with pytest.raises(ApiUnreachableError):
        client_of(transport).upload_recipe_revision("local", b"tar", etag=ANY_VERSION, force=True)
    assert transport.calls == [("POST", "/api/v1/recipes/local/revisions?force=true", b"tar")]
    assert transport.headers == [{"Content-Type": "application/x-tar", "If-Match": "*"}]


def test_a_log_is_shown_as_it_grows_until_its_deployment_is_over() -> None:
    pauses: list[float] = []
    transport = ScriptedTransport(
        deployment("planning"), b"one\n", deployment("applying"), b"one\n",
        deployment("applying"), b"one\ntwo\n", deployment("succeeded"), b"cut\n",
    )  # fmt: skip
    parts = client_of(transport, pauses).tail_deployment_log("demo", UUID(int=1))
    assert list(parts) == ["one\n", "two\n", "cut\n"]
    assert pauses == [1.0] * 3
    assert transport.answers == []


def test_a_change_names_the_version_that_it_is_meant_for() -> None:
    transport = ScriptedTransport(*[{"name": "x", **VARIABLE}] * 2, b"")
    client = client_of(transport)
    client.put_variable("demo", "x", VariablePut(value=1))
    client.put_variable("demo", "x", VariablePut(value=1), etag='"a"')
    client.delete_variable("demo", "x", etag='"b"')
    assert transport.headers == [
        {"If-None-Match": "*"}, {"If-Match": '"a"'}, {"If-Match": '"b"'},
    ]  # fmt: skip


def test_names_cannot_leave_their_place_in_the_path() -> None:
    transport = ScriptedTransport(b"")
    client_of(transport).delete_variable("demo", "../../keys?x#y", etag="x")
    assert transport.calls[0][1] == "/api/v1/clusters/demo/variables/..%2F..%2Fkeys%3Fx%23y"


def test_an_answer_that_is_not_the_apis_says_where_it_came_from() -> None:
    transport = ScriptedTransport(b"<html>It works!</html>")
    with pytest.raises(
        ApiUnreachableError, match=r"http://api/api/v1/recipes/x .*unexpected answer"
    ):
        client_of(transport).recipe("x")


def test_what_is_asked_for_in_the_address_is_asked_there() -> None:
    transport = ScriptedTransport(AWAY, {"is_new": True}, b"content", b"content")
    client = client_of(transport)
    files = RevisionCreate(files=[])
    with pytest.raises(ApiUnreachableError):
        client.add_recipe_revision("local", files, etag=ANY_VERSION, force=True)
    assert client.preview_recipe_revision("local", files).is_new
    assert client.recipe_file("local", 3, "bin/run it") == b"content"
    assert client.prober_file("ping", 1, "ping") == b"content"
    assert [(method, path) for method, path, _ in transport.calls] == [
        ("POST", "/api/v1/recipes/local/revisions?force=true"),
        ("POST", "/api/v1/recipes/local/revisions?dry_run=true"),
        ("GET", "/api/v1/recipes/local/revisions/3/files/bin/run%20it"),
        ("GET", "/api/v1/probers/ping/revisions/1/files/ping"),
    ]
