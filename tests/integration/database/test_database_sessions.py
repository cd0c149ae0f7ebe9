"""The two kinds of sessions, and what columns promise, on both databases."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from common.contracts.identifiers import new_id
from database import models
from database.configuration_changes import mark_changed
from database.session import Database


def _cluster(database: Database, slug: str = "demo") -> models.Cluster:
    with database.writing() as session:
        recipe = models.Recipe(slug=f"for-{slug}")
        cluster = models.Cluster(slug=slug, recipe=recipe)
        session.add(cluster)
    return cluster


def test_a_reading_session_changes_nothing(database: Database) -> None:
    with database.reading() as session:
        session.add(models.Recipe(slug="local"))
        session.flush()
    with database.reading() as session:
        assert session.query(models.Recipe).all() == []


def test_a_writing_session_that_fails_changes_nothing(database: Database) -> None:
    def fail() -> None:
        with database.writing() as session:
            session.add(models.Recipe(slug="local"))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.reading() as session:
        assert session.query(models.Recipe).all() == []


def test_nobody_waits_for_other_writers_without_end(database: Database) -> None:
    is_sqlite = database.engine.dialect.name == "sqlite"
    question = "PRAGMA busy_timeout" if is_sqlite else "SHOW lock_timeout"
    for _ in range(2):  # the second session gets the first one's connection
        with database.reading() as session:
            assert session.scalar(text(question)) == (30_000 if is_sqlite else "30s")


def test_slugs_are_unique_among_the_living_only(database: Database) -> None:
    for _ in range(2):
        with database.writing() as session:
            session.add(models.Recipe(slug="local", deleted_at=models.now()))
    with database.writing() as session:
        session.add(models.Recipe(slug="local"))
    with pytest.raises(IntegrityError), database.writing() as session:
        session.add(models.Recipe(slug="local"))


def test_moments_are_utc_whatever_went_in(database: Database) -> None:
    given = datetime(2026, 1, 1, 15, tzinfo=timezone(timedelta(hours=3)))
    with database.writing() as session:
        session.add(models.Recipe(slug="local", created_at=given))
    with database.reading() as session:
        stored = session.query(models.Recipe).one().created_at
    assert (stored, stored.tzinfo) == (given, UTC)


def test_a_moment_without_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError), database.writing() as session:
        session.add(models.Recipe(slug="local", created_at=datetime(2026, 1, 1)))  # noqa: DTZ001 - the point


def test_errors_hold_no_values(database: Database) -> None:
    cluster_id = new_id()
    with pytest.raises(IntegrityError) as caught, database.writing() as session:
        session.add(models.ClusterVariable(cluster_id=cluster_id, name="a", value="swordfish"))
    assert "swordfish" not in str(caught.value)


def test_marking_changes_counts_and_leaves_the_rest_alone(database: Database) -> None:
    one, other = _cluster(database, "one"), _cluster(database, "other")
    for _ in range(2):
        with database.writing() as session:
            mark_changed(session, [one.id])
    with database.reading() as session:
        changed = session.get_one(models.Cluster, one.id)
        assert (changed.configuration_change, changed.updated_at) == (3, one.updated_at)
        assert session.get_one(models.Cluster, other.id).configuration_change == 1


def test_none_is_a_value_of_a_variable(database: Database) -> None:
    cluster = _cluster(database)
    with database.writing() as session:
        session.add(models.ClusterVariable(cluster_id=cluster.id, name="a", value=None))
    with database.reading() as session:
        assert session.query(models.ClusterVariable).one().value is None


def test_a_transaction_that_cannot_begin_is_an_error_of_the_database_and_the_next_one_begins(
    tmp_path: Path,
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'file.sqlite'}")
    with database.reading() as session:
        driver = session.connection().connection.driver_connection
    assert driver is not None
    driver.close()
    with pytest.raises(DBAPIError), database.writing():
        raise AssertionError("it has begun")
    with database.writing() as session:
        assert session.scalar(select(1)) == 1
    database.dispose()
