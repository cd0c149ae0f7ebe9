"""Who works where: one place for the states of terraform, or the later Creator does not start."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from creator.errors import OtherStatesError
from creator.register import GONE_AFTER, Place, Register
from database import models
from database.session import Database

HERE = Place("vm-1", "machine-1", "file:/data")
IN_S3 = Place("vm-1", "machine-1", "s3://states")


def test_creators_of_one_machine_share_its_files(database: Database) -> None:
    Register(database, HERE).enter()
    Register(database, HERE).enter()


def test_creators_of_many_machines_share_a_bucket(database: Database) -> None:
    Register(database, IN_S3).enter()
    Register(database, Place("vm-2", "machine-2", "s3://states")).enter()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (HERE, Place("vm-2", "machine-2", "file:/data")),
        (HERE, Place("vm-1", "machine-1", "file:/other")),
        (HERE, IN_S3),
        (IN_S3, HERE),
        (IN_S3, Place("vm-2", "machine-2", "s3://other")),
    ],
)
def test_whoever_would_keep_other_states_is_refused_and_leaves_no_trace(
    database: Database, first: Place, second: Place
) -> None:
    Register(database, first).enter()

    with pytest.raises(OtherStatesError) as refused:
        Register(database, second).enter()

    assert f"a Creator on {first.host} works with terraform's states in" in str(refused.value)
    with database.reading() as session:
        (row,) = session.scalars(select(models.Creator)).all()
    assert (row.machine, row.state_store) == (first.machine, first.state_store)


def test_who_left_or_was_not_seen_for_long_is_in_nobodys_way(database: Database) -> None:
    other = Place("vm-2", "machine-2", "file:/data")
    left = Register(database, HERE)
    left.enter()
    left.leave()
    dead = Register(database, other)
    dead.enter()
    with database.writing() as session:
        session.get_one(models.Creator, dead.id).seen_at -= GONE_AFTER + timedelta(seconds=1)

    here = Register(database, HERE)
    here.enter()

    # Back from the dead: it only says that it is seen, and works on under its leases.
    dead.beat()
    with pytest.raises(OtherStatesError):
        Register(database, Place("vm-3", "machine-3", "file:/data")).enter()
