"""Who gets in: credentials, cookies, hosts; who may what is in test_api_who_may_what.py."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from api.application import application_of
from common.agent_tokens import agent_token
from common.contracts.keys import Role
from database.session import Database
from tests.integration.api.route_table import filled, routes_of

OPEN = {"/health/live", "/health/ready", "/sign-in", "/api/v1/uploads/{evidence_id}"}


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    """One kind of database is enough to ask who gets in."""
    opened = Database(sqlite_url)
    yield opened
    opened.dispose()


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


@pytest.mark.parametrize("host", ["x/api/v1/files/x?", "x/sign-in#", "[", "x\u00e4"])
def test_no_host_header_opens_another_door(callers: Any, described: Any, host: str) -> None:
    headers = {"Host": host.encode("latin-1")}
    agent = callers.agent(described.cluster("demo")["id"])
    assert agent.get("/api/v1/clusters", headers=headers).status_code == 403
    assert callers.nobody().get("/api/v1/clusters", headers=headers).status_code == 401
    assert callers.nobody().get("/sign-in", headers=headers).status_code == 200


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


@pytest.mark.parametrize("host", ["evil.example", "", "localhost.evil.example", "localhost/x"])
def test_whoever_calls_the_api_by_another_name_is_sent_away(
    callers: Any, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    allowed = replace(callers.context, allowed_hosts=frozenset({"localhost", "api.example"}))
    monkeypatch.setattr(callers.application.state, "context", allowed)
    admin = callers.role(Role.ADMIN)
    for path in ("/api/v1/clusters", "/sign-in", "/"):
        answer = admin.get(path, headers={"Host": host})
        assert answer.status_code == 421
        assert answer.headers["content-type"] == "application/problem+json"
    assert admin.get("/health/live", headers={"Host": host}).status_code == 200
    for own in ("localhost:8080", "API.example"):
        assert admin.get("/api/v1/clusters", headers={"Host": own}).status_code == 200


def test_every_answer_names_its_request(callers: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "api.edge")
    answers = [callers.nobody().get("/health/live") for _ in range(2)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == 2
    lines = [record.getMessage() for record in caplog.records if record.name == "api.edge"]
    assert all(f"id={one} " in line for one, line in zip(ids, lines, strict=True))
