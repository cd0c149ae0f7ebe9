"""The migrations make exactly the models' tables, and can be taken back, on both databases."""

from collections.abc import Callable

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from database.models import Model
from database.session import Database


def test_go_up_down_and_up_again(empty_database_url: str, migrate: Callable[..., None]) -> None:
    migrate(empty_database_url)
    migrate(empty_database_url, "base")
    assert _tables(empty_database_url) <= {"alembic_version"}
    migrate(empty_database_url)
    assert _tables(empty_database_url) == {*Model.metadata.tables, "alembic_version"}


def test_make_exactly_the_tables_of_the_models(database_url: str) -> None:
    database = Database(database_url)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Model.metadata) == []
    database.dispose()


def _tables(url: str) -> set[str]:
    database = Database(url)
    names = set(inspect(database.engine).get_table_names())
    database.dispose()
    return names
