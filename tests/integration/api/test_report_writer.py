"""Batches of reports: what is written, in which order, and what is not lost."""

import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event

from api.report_writer import Bounds, ReportWriter, TooManyReportsError
from api.services.reports import ReceivedReport
from common.contracts.reports import AgentReport
from database import models
from database.session import Database

CLUSTER = UUID(int=7)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG = timedelta(hours=1)


def received(instance: int = 1, boot: int = 1, **fields: Any) -> ReceivedReport:
    report = AgentReport(
        instance=UUID(int=instance), boot=boot, host="h", version=f"{boot}", clock=NOW
    )
    return replace(ReceivedReport.of(report, CLUSTER, NOW, token_version=1), **fields)


@pytest.fixture
def cluster(database: Database) -> UUID:
    with database.writing() as session:
        recipe = models.Recipe(slug="local")
        session.add(recipe)
        session.flush()
        session.add(models.Cluster(id=CLUSTER, slug="demo", recipe_id=recipe.id, hosts={}))
    return CLUSTER


def stored(database: Database) -> dict[int, str]:
    with database.reading() as session:
        return {row.instance.int: row.version for row in session.query(models.Agent)}


def test_many_reports_are_one_transaction(database: Database, cluster: UUID) -> None:
    commits: list[object] = []
    event.listen(database.engine, "commit", commits.append)
    writer = ReportWriter(database, period=LONG)
    for number in range(50):
        writer.add(received(number))
    assert stored(database) == {}
    assert (writer.waiting, writer.written) == (50, 0)
    assert writer.flush()
    assert (writer.waiting, writer.written, writer.lost) == (0, 50, 0)
    assert len(stored(database)) == 50
    assert len(commits) == 1


def test_the_newest_boot_wins_in_a_batch_and_between_batches(
    database: Database, cluster: UUID
) -> None:
    writer = ReportWriter(database, period=LONG)
    for batch in ((2, 1), (1,), (3, 2, 3)):
        for boot in batch:
            writer.add(received(boot=boot))
        assert writer.flush()
        assert stored(database) == {1: "3" if 3 in batch else "2"}


def test_one_that_cannot_be_stored_costs_only_itself(
    database: Database, cluster: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    writer = ReportWriter(database, period=LONG)
    writer.add(received(1))
    # On SQLite, as on PostgreSQL, foreign keys are on.
    writer.add(received(2, cluster_id=uuid4()))
    writer.add(received(3))
    with caplog.at_level(logging.WARNING):
        assert writer.flush()
    assert set(stored(database)) == {1, 3}
    assert (writer.written, writer.lost) == (2, 1)
    assert "cannot be stored" in caplog.text


def test_no_more_are_held_than_there_is_room_for(database: Database, cluster: UUID) -> None:
    writer = ReportWriter(database, period=LONG, bounds=Bounds(agents=2, characters=10_000))
    writer.add(received(1))
    writer.add(received(2))
    with pytest.raises(TooManyReportsError):
        writer.add(received(3))
    writer.add(received(2, boot=5))
    with pytest.raises(TooManyReportsError):
        writer.add(received(1, text="x" * 9_950))
    assert writer.flush()
    writer.add(received(3))


def test_a_database_that_is_away_ends_nothing(
    database: Database, cluster: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    writer = ReportWriter(database, period=LONG)
    with database.writing() as session:
        session.connection().exec_driver_sql("ALTER TABLE agents RENAME TO elsewhere")
    writer.add(received(1))
    with caplog.at_level(logging.ERROR):
        assert writer.flush()
    assert "is lost" in caplog.text
    with database.writing() as session:
        session.connection().exec_driver_sql("ALTER TABLE elsewhere RENAME TO agents")
    writer.add(received(2))
    assert writer.flush()
    assert set(stored(database)) == {2}
    assert (writer.written, writer.lost) == (1, 1)


def test_during_a_rotation_it_tells_whose_agents_have_the_new_token(
    database: Database, cluster: UUID
) -> None:
    told: list[set[UUID]] = []
    writer = ReportWriter(database, period=LONG, after_batch=told.append)
    writer.add(received(1))
    writer.add(received(2, may_retire_token=True))
    assert writer.flush()
    writer.add(received(1))
    assert writer.flush()
    assert told == [{CLUSTER}]


def test_all_are_written_without_being_asked(database: Database, cluster: UUID) -> None:
    written = threading.Event()
    event.listen(database.engine, "commit", lambda _: written.set())
    writer = ReportWriter(database, period=timedelta(milliseconds=1))
    writer.add(received(1))
    assert written.wait(20)
    assert writer.flush()
    assert set(stored(database)) == {1}
