"""Leases: one holder at a time, by the database's clock, with numbers that only grow."""

from datetime import timedelta

import pytest

from database import models
from database.leases import HeldLease, LeaseLostError, LeaseTerms
from database.session import Database


class FakeMonotonic:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def held(database: Database, holder: str, clock: FakeMonotonic) -> HeldLease:
    terms = LeaseTerms("job", holder, timedelta(seconds=90))
    return HeldLease(database, terms, clock_seconds=clock)


def run_out(database: Database) -> None:
    with database.writing() as session:
        row = session.get_one(models.Lease, "job")
        row.expires_at -= timedelta(seconds=200)


def test_only_one_holds_it_until_it_is_given_up(database: Database) -> None:
    clock = FakeMonotonic()
    one, other = held(database, "one", clock), held(database, "other", clock)
    assert one.keep()
    assert not other.keep()
    one.require()
    with pytest.raises(LeaseLostError):
        other.require()
    one.give_up()
    assert other.keep()
    assert not one.keep()


def test_is_renewed_at_a_third_and_not_before(database: Database) -> None:
    clock = FakeMonotonic()
    one = held(database, "one", clock)
    assert one.keep()
    run_out(database)
    clock.now = 29
    assert one.keep()
    with database.reading() as session:
        before = session.get_one(models.Lease, "job").expires_at
    clock.now = 31
    assert one.keep()
    with database.reading() as session:
        assert session.get_one(models.Lease, "job").expires_at > before


def test_its_holder_stops_at_two_thirds_by_its_own_clock(database: Database) -> None:
    clock = FakeMonotonic()
    one = held(database, "one", clock)
    assert one.keep()
    clock.now = 59
    one.require()
    clock.now = 61
    with pytest.raises(LeaseLostError):
        one.require()


def test_whoever_comes_too_late_writes_nothing(database: Database) -> None:
    clock = FakeMonotonic()
    one, other = held(database, "one", clock), held(database, "other", clock)
    assert one.keep()
    run_out(database)
    assert other.keep()
    with database.writing() as session:
        one.require()  # it does not know yet
        with pytest.raises(LeaseLostError):
            one.require(session)
        other.require(session)
    clock.now = 31
    assert not one.keep()
