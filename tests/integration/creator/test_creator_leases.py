"""Leases of Creators: one holder at a time, nobody waits, all renewed at once, who lost one writes nothing more."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from sqlalchemy import event, exc, update
from sqlalchemy.orm import Session

from creator.leases import Leases
from database import models
from database.leases import LeaseLostError
from database.session import Database


class FakeMonotonic:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeMonotonic:
    return FakeMonotonic()


def leases_of(database: Database, holder: str, clock: FakeMonotonic) -> Leases:
    return Leases(database, holder, duration=timedelta(seconds=30), clock_seconds=clock)


def run_out(database: Database, name: str = "cluster:1") -> None:
    with database.writing() as session:
        session.get_one(models.Lease, name).expires_at -= timedelta(seconds=60)


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def count(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", count)
    yield statements
    event.remove(database.engine, "before_cursor_execute", count)


def test_one_creator_holds_a_cluster_until_it_gives_it_up(
    database: Database, clock: FakeMonotonic
) -> None:
    one, other = leases_of(database, "one", clock), leases_of(database, "other", clock)
    lease = one.claim("cluster:1")
    assert lease is not None
    assert other.claim("cluster:1") is None
    assert other.claim("cluster:2") is not None

    one.give_up(lease)

    assert not lease.is_held
    taken = other.claim("cluster:1")
    assert taken is not None
    assert taken.fencing > lease.fencing


def test_who_comes_too_late_writes_nothing(database: Database, clock: FakeMonotonic) -> None:
    one, other = leases_of(database, "one", clock), leases_of(database, "other", clock)
    late = one.claim("cluster:1")
    assert late is not None
    run_out(database)
    taken = other.claim("cluster:1")
    assert taken is not None
    late.require()  # it cannot know yet

    with database.writing() as session, pytest.raises(LeaseLostError):
        late.require(session)

    assert not late.is_held
    with database.writing() as session:
        taken.require(session)
    one.give_up(late)  # takes nothing from the other one
    with database.writing() as session:
        taken.require(session)


def test_its_holder_stops_at_two_thirds_by_its_own_clock(
    database: Database, clock: FakeMonotonic
) -> None:
    lease = leases_of(database, "one", clock).claim("cluster:1")
    assert lease is not None
    clock.now = 19.9
    lease.require()
    clock.now = 20
    with pytest.raises(LeaseLostError):
        lease.require()


def test_all_are_renewed_at_a_third_with_one_statement(
    database: Database, clock: FakeMonotonic
) -> None:
    leases = leases_of(database, "one", clock)
    held = [leases.claim(f"cluster:{number}") for number in range(20)]
    clock.now = 9.9
    with counted(database) as statements:
        leases.renew()
    assert statements == []
    clock.now = 10
    with counted(database) as statements:
        leases.renew()
    assert len([one for one in statements if one.startswith("UPDATE")]) == 1
    clock.now = 29
    assert all(lease and lease.is_held for lease in held)


def test_what_another_one_took_is_not_renewed(database: Database, clock: FakeMonotonic) -> None:
    one, other = leases_of(database, "one", clock), leases_of(database, "other", clock)
    lost, kept = one.claim("cluster:1"), one.claim("cluster:2")
    assert lost is not None
    assert kept is not None
    run_out(database)
    assert other.claim("cluster:1") is not None
    clock.now = 10
    one.renew()
    clock.now = 20
    assert not lost.is_held
    assert kept.is_held


def test_a_renewal_brings_nothing_back_that_was_given_up(
    database: Database, clock: FakeMonotonic
) -> None:
    one = leases_of(database, "one", clock)
    lease = one.claim("cluster:1")
    assert lease is not None
    one.give_up(lease)
    one._held["cluster:1"] = lease  # a renewal that looked before
    lease.renewed(0.0)
    clock.now = 10

    one.renew()

    assert leases_of(database, "other", clock).claim("cluster:1") is not None


def test_a_machine_with_another_clock_takes_nobodys_lease(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database's clock decides; on SQLite there is but one machine."""
    database = Database(postgresql_url)
    assert Leases(database, "one").claim("cluster:1")
    for wrong in (timedelta(days=1), timedelta(days=-1)):
        monkeypatch.setattr("database.leases.now", lambda wrong=wrong: datetime.now(UTC) + wrong)
        assert Leases(database, "other").claim("cluster:1") is None
    run_out(database)
    lease = Leases(database, "other").claim("cluster:1")
    assert lease
    assert lease.fencing == 2
    assert Leases(database, "one").claim("cluster:1") is None
    database.dispose()


class Stumbling(Database):
    """Answers the first write with an error that no absence of the database explains."""

    has_stumbled = False

    @contextmanager
    def writing(self) -> Iterator[Session]:
        if not self.has_stumbled:
            self.has_stumbled = True
            raise exc.TimeoutError("no connection is free")
        with super().writing() as session:
            yield session


def test_whatever_goes_wrong_once_renewing_goes_on(
    database_url: str, database: Database, eventually: Callable[[Callable[[], object]], None]
) -> None:
    lease = Leases(database, "one").claim("cluster:1")
    assert lease
    stumbling, stop = Stumbling(database_url), Event()
    leases = Leases(stumbling, "one", duration=timedelta(seconds=3))
    stumbling.has_stumbled = True
    lease = leases.claim("cluster:1")
    assert lease
    stumbling.has_stumbled = False
    before = _expires_at(database)
    thread = leases.keep_renewing(stop)
    eventually(lambda: stumbling.has_stumbled and _expires_at(database) > before)
    stop.set()
    thread.join()
    stumbling.dispose()


def _expires_at(database: Database) -> datetime:
    with database.reading() as session:
        return session.get_one(models.Lease, "cluster:1").expires_at


def test_nobody_waits_for_a_row_that_another_one_claims(
    postgresql_url: str, clock: FakeMonotonic
) -> None:
    database = Database(postgresql_url)
    one, other = leases_of(database, "one", clock), leases_of(database, "other", clock)
    lease = one.claim("cluster:1")
    assert lease is not None
    run_out(database)
    held = one.claim("cluster:2")
    assert held is not None
    clock.now = 10
    with database.writing() as session:
        # Its lock is held to the end of the transaction.
        session.execute(
            update(models.Lease).where(models.Lease.name == "cluster:1").values(holder="one")
        )
        assert other.claim("cluster:1") is None
        one.renew()  # neither does a renewal
    clock.now = 29
    assert held.is_held
    assert not lease.is_held
    database.dispose()
