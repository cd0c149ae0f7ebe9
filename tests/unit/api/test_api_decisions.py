"""Small decisions of the API: entity tags, body limits, permissions, page tokens, revisions of documents."""

import math
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import ValidationError

from api.body_limit import MAX_BODY_BYTES, MAX_UPLOAD_BYTES, limit_of
from api.entity_tags import Precondition, etag_of, none_match
from api.errors import field_problem
from api.permissions import AgentOf, KeyHolder, is_permitted
from api.services.documents import next_revision
from api.services.errors import ChangedMeanwhileError, PreconditionMissingError
from api.services.grid import combination_name
from api.services.sign_in import claim_of_cookie, cookie_of
from common.contracts.keys import Role
from common.contracts.probers import ProberSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AGENT = AgentOf(UUID(int=1), 1)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, True),
        ("", True),
        ('"a"', False),
        ('W/"a"', False),
        ('"b", "a"', False),
        ('"b",W/"a"', False),
        (" * ", False),
        ('"b"', True),
        ("a", True),
        ('"a,b"', True),
    ],
)
def test_if_none_match_is_a_list_of_tags(header: str | None, expected: bool) -> None:
    assert none_match(header, '"a"') is expected


def test_only_uploads_may_be_large() -> None:
    for path in ("/api/v1/recipes", "/api/v1/probers/ping/revisions"):
        assert limit_of(path) == MAX_UPLOAD_BYTES
    for path in ("/api/v1/clusters/demo/reports", "/sign-in", "/api/v1/recipes/a/b/revisions"):
        assert limit_of(path) == MAX_BODY_BYTES


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/v1/clusters/demo/configuration", True),
        ("POST", "/api/v1/clusters/demo/reports", True),
        ("GET", "/api/v1/files/abc", True),
        ("POST", "/api/v1/clusters/demo/configuration", False),
        ("GET", "/api/v1/clusters/demo/configuration/more", False),
        ("GET", "/api/v1/clusters/a/b/configuration", False),
        ("GET", "/api/v1/clusters/demo/configuration\n", False),
        ("GET", "/api/v1/clusters/demo", False),
        ("GET", "/", False),
    ],
)
def test_agents_have_three_routes(method: str, path: str, allowed: bool) -> None:
    assert is_permitted(AGENT, method, path) is allowed


@pytest.mark.parametrize("path", ["/api/v1/keys", "/api/v1/keys/1"])
def test_keys_are_for_admins(path: str) -> None:
    for role in Role:
        for method in ("GET", "POST", "DELETE"):
            holder = KeyHolder(UUID(int=1), role)
            assert is_permitted(holder, method, path) is (role is Role.ADMIN)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/clusters/demo", True),
        ("/api/v1/clusters/demo/variables/a", True),
        ("/api/v1/clusters/demo2", False),
        ("/api/v1/clusters/other/variables/demo", False),
        ("/api/v1/clusters", False),
        ("/api/v1/clusters/", False),
        ("/api/v1/recipes/demo", False),
        ("/api/v1/probers/demo", False),
        ("/api/v1/clusters/demo\n/x", False),
        ("/api/v1/clusters/demo/reports", False),
        ("/api/v1/installation", False),
    ],
)
def test_a_scope_is_judged_by_the_whole_slug(path: str, allowed: bool) -> None:
    editor = KeyHolder(UUID(int=1), Role.EDITOR, clusters=frozenset({"demo"}))
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert is_permitted(editor, method, path) is allowed


@pytest.mark.parametrize("role", Role)
def test_who_describes_does_not_rule_on_plans(role: Role) -> None:
    holder = KeyHolder(UUID(int=1), role)
    plan = "/api/v1/clusters/demo/deployments/1"
    assert is_permitted(holder, "POST", f"{plan}/approve") is (role in {Role.APPROVER, Role.ADMIN})
    assert is_permitted(holder, "PATCH", plan) is (role in {Role.EDITOR, Role.ADMIN})
    elsewhere = KeyHolder(UUID(int=1), role, clusters=frozenset({"other"}))
    assert not is_permitted(elsewhere, "POST", f"{plan}/reject")


@pytest.mark.parametrize(
    ("header", "fits"),
    [
        ('"a"', True), (' "b" , "a"', True), ("*", True), (" * ", True), ('W/"a"', False),
        ('"b"', False), ("a", False), ("", False), ('"a,b"', False), ('"b", W/"a"', False),
    ],
)  # fmt: skip
def test_if_match_takes_strong_tags_only(header: str, fits: bool) -> None:
    if fits:
        Precondition(if_match=header).require("recipe", "local", '"a"')
        return
    with pytest.raises(ChangedMeanwhileError) as refused:
        Precondition(if_match=header).require("recipe", "local", '"a"')
    assert refused.value.etag == '"a"'


def test_whoever_names_no_version_changes_nothing() -> None:
    with pytest.raises(PreconditionMissingError):
        Precondition().require("recipe", "local", '"a"')
    with pytest.raises(ChangedMeanwhileError):
        Precondition(if_match="*").require_absent("recipe", "local")
    Precondition(if_none_match="*").require_absent("recipe", "local")


def test_versions_and_ids_make_the_etag() -> None:
    assert etag_of(UUID(int=1), 2) == f'"{UUID(int=1).hex}.2"'
    assert len({etag_of(UUID(int=one), two) for one in range(3) for two in range(3)}) == 9


def test_a_document_never_goes_back() -> None:
    milliseconds = int(NOW.timestamp() * 1000)
    assert next_revision(0, NOW) == milliseconds
    assert next_revision(milliseconds, NOW) == milliseconds + 1
    assert next_revision(milliseconds + 5000, NOW) == milliseconds + 5001


def test_a_cookie_is_ours_or_nothing() -> None:
    end = datetime(2026, 1, 2, tzinfo=UTC)
    cookie = cookie_of(UUID(int=3), expires_at=end, server_key=b"k")
    claim = claim_of_cookie(cookie, server_key=b"k", now=NOW)
    assert claim
    assert (claim.key_id, claim.expires_at) == (UUID(int=3), end)
    assert claim_of_cookie(cookie, server_key=b"other", now=NOW) is None
    assert claim_of_cookie(cookie, server_key=b"k", now=end) is None
    longer = cookie.replace(str(int(end.timestamp())), "9999999999")
    assert claim_of_cookie(longer, server_key=b"k", now=NOW) is None


def test_combinations_read_like_assignments() -> None:
    assert combination_name({"port": 80, "target": "demo-2"}) == "port=80, target=demo-2"


@pytest.mark.parametrize("field", ["variables", "value", "content", "key"])
def test_values_that_may_be_secret_are_not_repeated(field: str) -> None:
    error = {"type": "string_type", "loc": ("body", field, "a"), "msg": "Input should be a valid string", "input": "swordfish"}  # fmt: skip
    problem = field_problem(error)
    assert (problem.field, problem.given, problem.expected) == (
        f"{field}.a",
        None,
        "a valid string",
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"variables": {"aa": {"list": [0, math.nan]}}}, "variables.aa.list.1"),
        ({"variables": {"1": 0}}, "variables.1"),
        ({"matrix": {"target": {"values": 5}}}, "matrix.target.values"),
        ({"interval_seconds": "soon"}, "interval_seconds"),
        ({"unknown": 1}, "unknown"),
        ([], "body"),
    ],
)
def test_a_field_is_named_by_its_path_in_the_body(body: object, field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ProberSettings.model_validate(body)
    errors = [{**one, "loc": ("body", *one["loc"])} for one in refused.value.errors()]
    assert {field_problem(one, body).field for one in errors} == {field}


def test_what_was_given_is_shortened_and_always_json() -> None:
    def given(value: object) -> object:
        error = {"type": "x", "loc": ("body", "slug"), "msg": "y", "input": value}
        return field_problem(error).given

    assert given("a" * 500) == "a" * 200
    assert given(float("nan")) == "nan"
    assert given({"a": 1}) is None
    assert given(True) is True
