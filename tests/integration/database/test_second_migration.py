"""The second migration finds rows of the first version, keeps them, and can be taken back."""

from collections.abc import Callable
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from common.contracts.identifiers import new_id
from database import models
from database.session import Database

NOW = "2026-01-01 00:00:00+00:00"
_LIVING = {"managed_by": "", "created_at": NOW, "updated_at": NOW}


@pytest.fixture
def old(empty_database_url: str, migrate: Callable[..., None]) -> str:
    """A database of the first version with a recipe, a cluster with two variables, and a key."""
    migrate(empty_database_url, "0001")
    database = Database(empty_database_url)
    recipe, cluster, key = (_bound(database, new_id()) for _ in range(3))
    rows: dict[str, list[dict[str, object]]] = {
        "recipes": [{"id": recipe, "slug": "local", "description": "", **_LIVING}],
        "clusters": [
            {
                "id": cluster, "slug": "demo", "recipe_id": recipe, "deploy_policy": "automatic",
                "state": "active", "hosts": "{}", "agent_token_version": 1,
                "configuration_change": 1, "deployed_fingerprint": "", **_LIVING,
            }
        ],
        "cluster_variables": [
            {"cluster_id": cluster, "name": name, "value": value, "managed_by": "", "updated_at": NOW}
            for name, value in (("a", "1"), ("b", "null"))
        ],
        "api_keys": [{"id": key, "name": "k", "role": "editor", "digest": "0", "created_at": NOW}],
    }  # fmt: skip
    with database.writing() as session:
        for table, values in rows.items():
            for one in values:
                columns, names = ", ".join(one), ", ".join(f":{name}" for name in one)
                session.execute(
                    sa.text(f"INSERT INTO {table} ({columns}) VALUES ({names})"),  # noqa: S608 - names of our own
                    one,
                )
    database.dispose()
    return empty_database_url


def test_rows_survive_and_each_gets_an_etag_of_its_own(
    old: str, migrate: Callable[..., None]
) -> None:
    migrate(old)
    database = Database(old)
    with database.reading() as session:
        variables = session.scalars(sa.select(models.ClusterVariable)).all()
        assert {one.name: one.value for one in variables} == {"a": 1, "b": None}
        assert len({one.id for one in variables} - {UUID(int=0)}) == 2
        cluster = session.scalars(sa.select(models.Cluster)).one()
        key = session.scalars(sa.select(models.ApiKey)).one()
        assert {cluster.version, key.version, *(one.version for one in variables)} == {1}
        assert key.clusters is None
    database.dispose()


def test_the_way_back_keeps_the_rows_too(old: str, migrate: Callable[..., None]) -> None:
    migrate(old)
    migrate(old, "0001", down=True)
    database = Database(old)
    with database.reading() as session:
        names = session.execute(sa.text("SELECT name FROM cluster_variables ORDER BY name")).all()
        assert [name for (name,) in names] == ["a", "b"]
    database.dispose()
    migrate(old)


def test_the_audit_log_is_only_ever_added_to(database: Database) -> None:
    with database.writing() as session:
        session.add(
            models.AuditEntry(
                at=models.now(), actor="a", role="admin", action="create", kind="k",
                object_id=new_id(), slug="s",
            )
        )  # fmt: skip
    with pytest.raises(DatabaseError, match="append-only"), database.writing() as session:
        session.execute(sa.update(models.AuditEntry).values(actor="b"))
    with database.reading() as session:
        assert session.scalars(sa.select(models.AuditEntry)).one().actor == "a"


def _bound(database: Database, value: UUID) -> str:
    return value.hex if database.engine.dialect.name == "sqlite" else str(value)
