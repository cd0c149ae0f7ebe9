"""How long a process remembers a key, how it notes its use, and that a revoked one opens nothing anywhere."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event

from api.context import Context
from api.entity_tags import ANY_VERSION
from api.key_ring import KeyRing
from api.services.keys import create_key, revoke_key
from common.contracts.keys import ApiKeyCreate, ApiKeyCreated, Role
from database import models


class Seconds:
    """A monotonic clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def ring(context: Context, seconds: Seconds) -> KeyRing:
    return KeyRing(context.database, context.clock, monotonic_seconds=seconds)


@pytest.fixture
def key(context: Context) -> ApiKeyCreated:
    end = context.clock() + timedelta(hours=1)
    new = ApiKeyCreate(name="k", role=Role.EDITOR, clusters=["b", "a", "a"], expires_at=end)
    with context.database.writing() as session:
        return create_key(session, new, now=context.clock())[1]


def revoke(context: Context, key_id: UUID) -> None:
    with context.database.writing() as session:
        revoke_key(session, key_id, ANY_VERSION, now=context.clock())


def test_a_key_comes_with_its_rights(ring: KeyRing, key: ApiKeyCreated) -> None:
    known = ring.key_of(key.key)
    assert known
    assert (known.id, known.role, known.name) == (key.id, Role.EDITOR, "k")
    assert known.clusters == frozenset({"a", "b"})
    assert ring.key_of(f"{key.key}x") is None


def test_a_remembered_key_costs_no_query_for_a_second(
    ring: KeyRing, key: ApiKeyCreated, context: Context, seconds: Seconds
) -> None:
    ring.key_of(key.key)
    statements: list[str] = []

    def count(*arguments: Any) -> None:
        if arguments[2].startswith("SELECT"):
            statements.append(arguments[2])

    event.listen(context.database.engine, "before_cursor_execute", count)
    for _ in range(3):
        assert ring.key_of(key.key)
        assert ring.remembered(key.key)
    assert statements == []
    seconds.now += 1
    assert ring.remembered(key.key) is None
    assert ring.key_of(key.key)
    assert len(statements) == 1


def test_a_key_that_another_process_revoked_is_dead_within_two_seconds(
    ring: KeyRing, key: ApiKeyCreated, context: Context, seconds: Seconds
) -> None:
    ring.key_of(key.key)
    revoke(context, key.id)
    seconds.now += 1.9
    assert ring.remembered(key.key) is None
    assert ring.key_of(key.key) is None


def test_a_key_that_is_revoked_here_is_dead_at_once(
    ring: KeyRing, key: ApiKeyCreated, context: Context
) -> None:
    ring.key_of(key.key)
    revoke(context, key.id)
    ring.forget()
    assert ring.key_of(key.key) is None


def test_a_key_ends_on_the_moment_though_it_is_remembered(
    ring: KeyRing, key: ApiKeyCreated, clock: Any
) -> None:
    ring.key_of(key.key)
    clock.forward(hours=1)
    assert ring.remembered(key.key) is None
    assert ring.key_of(key.key) is None


def test_use_is_noted_once_a_minute_by_all_processes_together(
    ring: KeyRing, key: ApiKeyCreated, context: Context, clock: Any
) -> None:
    other = KeyRing(context.database, context.clock)
    first = clock.now
    assert ring.is_use_due(key.id)
    ring.note_use(key.id)
    assert not ring.is_use_due(key.id)
    clock.forward(seconds=59)
    assert other.is_use_due(key.id)  # it knows nothing of the first one
    other.note_use(key.id)
    assert last_used_at(context, key.id) == first
    clock.forward(seconds=1)
    assert ring.is_use_due(key.id)
    ring.note_use(key.id)
    assert last_used_at(context, key.id) == clock.now


def last_used_at(context: Context, key_id: UUID) -> Any:
    with context.database.reading() as session:
        return session.get_one(models.ApiKey, key_id).last_used_at
