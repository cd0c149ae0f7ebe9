"""API keys, the admin key of the first start, sign-in links and cookies."""

import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.context import Context
from api.services.keys import ensure_admin_key
from api.services.sign_in import make_link_token
from common.contracts.keys import Role
from database import models


def test_a_revoked_or_expired_key_opens_nothing(api: TestClient, callers: Any, clock: Any) -> None:
    new = {
        "name": "k",
        "role": "viewer",
        "expires_at": (clock.now + timedelta(hours=1)).isoformat(),
    }
    created = api.post("/api/v1/keys", json=new).json()
    client = callers.with_token(created["key"])
    assert client.get("/api/v1/clusters").status_code == 200
    clock.forward(hours=1)
    assert client.get("/api/v1/clusters").status_code == 401
    created = api.post("/api/v1/keys", json={"name": "k", "role": "viewer"}).json()
    client = callers.with_token(created["key"])
    assert client.get("/api/v1/clusters").status_code == 200
    assert api.delete(f"/api/v1/keys/{created['id']}").status_code == 204
    assert api.delete(f"/api/v1/keys/{created['id']}").status_code == 404
    assert client.get("/api/v1/clusters").status_code == 401


def test_keys_show_their_text_once(api: TestClient, context: Context) -> None:
    created = api.post("/api/v1/keys", json={"name": "k", "role": "editor"})
    assert created.status_code == 201
    text = created.json()["key"]
    assert re.fullmatch(r"mrp_[A-Za-z0-9_-]{43}", text)
    listed = api.get("/api/v1/keys")
    assert [key["name"] for key in listed.json()["items"]] == ["admin", "k"]
    assert text not in listed.text
    with context.database.reading() as session:
        assert text not in [key.digest for key in session.query(models.ApiKey)]


def test_keys_must_end_in_the_future(api: TestClient) -> None:
    for moment in ("2020-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "2027-01-01T00:00:00"):
        answer = api.post(
            "/api/v1/keys", json={"name": "k", "role": "viewer", "expires_at": moment}
        )
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "expires_at"


def test_use_of_a_key_is_noted(api: TestClient, clock: Any) -> None:
    clock.forward(hours=1)
    api.get("/api/v1/clusters")
    (key,) = api.get("/api/v1/keys").json()["items"]
    assert datetime.fromisoformat(key["last_used_at"]) == clock.now


def test_a_link_signs_a_browser_in_once(callers: Any, context: Context, clock: Any) -> None:
    link = _link(callers, context)
    browser = callers.nobody()
    answer = browser.get(link)
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    for page in ("/", "/docs", "/api/v1/clusters", "/docs/assets/swagger-ui.css"):
        assert browser.get(page).status_code == 200
    assert browser.get(link).status_code == 200  # the same browser clicked twice
    assert callers.nobody().get(link).status_code == 403
    late = _link(callers, context)
    clock.forward(hours=1)
    assert callers.nobody().get(late).status_code == 403
    assert callers.nobody().get("/sign-in?token=wrong").status_code == 403


def test_a_key_signs_a_browser_in_for_reading_only(callers: Any, described: Any) -> None:
    described.recipe()
    browser = callers.nobody()
    assert browser.post("/sign-in", data={"key": "mrp_wrong"}).status_code == 403
    assert browser.get("/").status_code == 401
    assert browser.post("/sign-in", data={"key": callers.key(Role.ADMIN)}).status_code == 200
    assert browser.get("/api/v1/keys").status_code == 200
    assert browser.delete("/api/v1/recipes/local").status_code == 401


def test_a_cookie_dies_with_its_key_and_with_time(
    api: TestClient, callers: Any, clock: Any
) -> None:
    for death in ("revoked", "expired", "late"):
        expires_at = (clock.now + timedelta(days=2 if death == "expired" else 90)).isoformat()
        new = {"name": death, "role": "viewer", "expires_at": expires_at}
        created = api.post("/api/v1/keys", json=new).json()
        browser = callers.nobody()
        answer = browser.post("/sign-in", data={"key": created["key"]})
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        assert callers.nobody().get("/", headers=cookie).status_code == 200
        if death == "revoked":
            api.delete(f"/api/v1/keys/{created['id']}")
        else:
            clock.forward(days=2 if death == "expired" else 7)
        assert callers.nobody().get("/", headers=cookie).status_code == 401, death


def test_no_key_or_token_reaches_the_log(
    callers: Any, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = callers.key(Role.ADMIN)
    link = _link(callers, context)
    callers.with_token(key).get("/api/v1/clusters")
    callers.nobody().get(link)
    callers.nobody().post("/sign-in", data={"key": key})
    callers.with_token(f"{key}x").get(f"/api/v1/clusters?key={key}")
    assert "path=/sign-in" in caplog.text
    # Records of httpx2 are the test's own client speaking.
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]
    for secret in (key, link.partition("token=")[2]):
        assert not [line for line in ours if secret in line]


def _link(callers: Any, context: Context) -> str:
    with context.database.writing() as session:
        key = session.query(models.ApiKey).filter_by(role=Role.ADMIN).first()
        if key is None:
            key = models.ApiKey(name="a", role=Role.ADMIN, digest="0" * 64)
            session.add(key)
            session.flush()
        return f"/sign-in?token={make_link_token(session, key.id, now=context.clock())}"


def test_a_day_of_use_starts_with_the_admin_key(context: Context, tmp_path: Any) -> None:
    path = tmp_path / "admin.key"
    first = ensure_admin_key(context.database, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert ensure_admin_key(context.database, path) == first
    with context.database.writing() as session:
        session.delete(session.get_one(models.ApiKey, first))
    healed = ensure_admin_key(context.database, path)  # crashed between file and row
    assert healed != first
    path.unlink()
    other = ensure_admin_key(context.database, path)  # the file was lost
    assert other != healed
    with context.database.writing() as session:
        session.get_one(models.ApiKey, other).revoked_at = datetime.now(UTC)
    assert ensure_admin_key(context.database, path) == other  # revoked stays revoked
