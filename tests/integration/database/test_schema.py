"""Which databases a program of this version works on."""

import pytest
from sqlalchemy import text

from database.schema import SchemaError, require_schema
from database.session import Database, DatabaseAddressError


def _set_revision(database: Database, revision: str) -> None:
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})


def test_the_newest_schema_is_fine(database: Database) -> None:
    require_schema(database)


def test_a_newer_schema_is_fine_so_that_services_are_upgraded_without_a_gap(
    database: Database,
) -> None:
    _set_revision(database, "from_the_future")
    require_schema(database)


def test_an_empty_database_is_refused_with_the_command_to_run(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    with pytest.raises(SchemaError, match="alembic upgrade head"):
        require_schema(database)
    database.dispose()


@pytest.mark.parametrize("url", ["nonsense", "mysql://user:planted@127.0.0.1/x"])
def test_an_address_that_we_do_not_understand_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(DatabaseAddressError) as raised:
        Database(url)
    assert "postgresql+psycopg://" in str(raised.value)
    assert "planted" not in str(raised.value)
