"""Who gets in: every route, without a key, as an agent, and as each role."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from starlette.routing import Mount, Route

from api.application import application_of
from common.agent_tokens import agent_token
from common.contracts.keys import Role
from database.session import Database

OPEN = {"/health/live", "/health/ready", "/sign-in"}
AGENTS_OWN = {
    ("GET", "/api/v1/clusters/{slug}/configuration"),
    ("POST", "/api/v1/clusters/{slug}/reports"),
    ("GET", "/api/v1/files/{sha256}"),
}
BODIES: dict[str, Any] = {"json": {}}


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """One kind of database is enough to ask who gets in."""
    opened = Database(sqlite_url)
    yield opened
    opened.dispose()


def routes_of(application: FastAPI) -> list[tuple[str, str]]:
    """Every method and path, also those of mounts and of FastAPI's own."""
    found = [("GET", f"{one.path}/any") for one in application.routes if isinstance(one, Mount)]
    found += [("GET", "/openapi.json"), ("GET", "/unknown"), ("GET", "/api/v1/unknown")]
    pages = [one for one in application.routes if isinstance(one, Route)]
    found += [(method, one.path) for one in pages for method in one.methods or ()]
    document = application.openapi()["paths"]
    found += [(method.upper(), path) for path, methods in document.items() for method in methods]
    found += [("GET", path) for path in ("/", "/clusters/{slug}", "/docs")]
    return sorted(set(found))


def filled(path: str) -> str:
    values = {
        "slug": "demo", "name": "a", "number": "1", "config": "all", "sha256": "0" * 64,
        "deployment_id": str(UUID(int=1)), "key_id": str(UUID(int=1)),
    }  # fmt: skip
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], path)


def test_the_walk_covers_the_whole_api(callers: Any) -> None:
    assert len(routes_of(callers.application)) > 45


def test_nobody_gets_in_without_a_key(callers: Any) -> None:
    nobody = callers.nobody()
    for method, path in routes_of(callers.application):
        if path in OPEN:
            continue
        answer = nobody.request(method, filled(path))
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"] == "Bearer"
        browser = nobody.request(method, filled(path), headers={"Accept": "text/html"})
        expected = 303 if method in {"GET", "HEAD"} else 401
        assert browser.status_code == expected, (method, path)


@pytest.mark.parametrize(
    "credential",
    [
        "Bearer mrp_wrong",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer 1.x.y",
        "Bearer \u00e4",
        f"Bearer {agent_token(b'another server key', UUID(int=1), version=1)}",
    ],
)
def test_a_wrong_credential_is_no_credential(callers: Any, credential: str) -> None:
    headers = {"Authorization": credential.encode("latin-1")}
    assert callers.nobody().get("/api/v1/clusters", headers=headers).status_code == 401


def test_an_agent_reaches_its_three_routes_only(callers: Any, described: Any) -> None:
    agent = callers.agent(described.cluster("demo")["id"])
    for method, path in routes_of(callers.application):
        if path in OPEN:
            continue
        answer = agent.request(method, filled(path), json={})
        if (method, path) in AGENTS_OWN:
            # Valid or not, it is the route that answers; a hash outside of the document is a 403.
            assert answer.status_code in {200, 422, 403 if "files" in path else 200}, path
        else:
            assert answer.status_code == 403, (method, path)


@pytest.mark.parametrize("host", ["x/api/v1/files/x?", "x/sign-in#", "[", "x\u00e4"])
def test_no_host_header_opens_another_door(callers: Any, described: Any, host: str) -> None:
    headers = {"Host": host.encode("latin-1")}
    agent = callers.agent(described.cluster("demo")["id"])
    assert agent.get("/api/v1/clusters", headers=headers).status_code == 403
    assert callers.nobody().get("/api/v1/clusters", headers=headers).status_code == 401
    assert callers.nobody().get("/sign-in", headers=headers).status_code == 200


@pytest.mark.parametrize("role", [Role.VIEWER, Role.APPROVER, Role.EDITOR])
def test_roles_do_what_they_may_and_no_more(callers: Any, described: Any, role: Role) -> None:
    described.cluster("demo")
    described.prober("ping")
    client = callers.role(role)
    for method, path in routes_of(callers.application):
        if path in OPEN:
            continue
        forbidden = "/keys" in path or "/audit" in path or path.endswith("/reports")
        forbidden = forbidden or (role is not Role.EDITOR and method not in {"GET", "HEAD"})
        answer = client.request(method, filled(path), json={} if method != "GET" else None)
        assert (answer.status_code == 403) == forbidden, (method, path, answer.status_code)
        assert answer.status_code < 500, (method, path)


@pytest.mark.parametrize(
    "cookie", ["", "x", "a.b.c", f"{UUID(int=1).hex}.9999999999.{'0' * 64}", "a.b.\u00e4"]
)
def test_a_forged_cookie_is_no_cookie(callers: Any, cookie: str) -> None:
    headers = {"Cookie": f"mr_prober={cookie}".encode("latin-1")}
    assert callers.nobody().get("/", headers=headers).status_code == 401


def test_a_bug_is_answered_and_logged(callers: Any, caplog: pytest.LogCaptureFixture) -> None:
    def break_down() -> None:
        raise RuntimeError("a bug")

    application = application_of(callers.context)
    application.add_api_route("/api/v1/broken", break_down)
    client = type(callers)(application, callers.context).role(Role.VIEWER)
    answer = client.get("/api/v1/broken")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "a bug" not in answer.text
    assert "RuntimeError: a bug" in caplog.text


def test_pages_load_nothing_from_outside(callers: Any, described: Any) -> None:
    described.cluster("demo")
    viewer = callers.role(Role.VIEWER)
    for path in ("/", "/clusters/demo", "/docs", "/sign-in"):
        answer = viewer.get(path)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not re.search(r"(src|href)=\"(https?:)?//", answer.text)
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\bstyle=", answer.text)
        for asset in re.findall(r"(?:src|href)=\"(/(?:static|docs/assets)/[^\"]+)", answer.text):
            assert viewer.get(asset).status_code == 200
