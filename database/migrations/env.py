"""Entry of alembic: which database, which tables, how batches work on SQLite."""

from typing import Literal

from alembic import context

from database.models import Model, Moment
from database.session import Database
from settings import DatabaseSettings


def _plain_moment(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Migrations name types of SQLAlchemy only: they outlive our classes."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Moment) else False


def run_migrations() -> None:
    """Run on the connection that a caller gave, or on the database of the settings."""
    if context.is_offline_mode():
        url = DatabaseSettings().database_url.get_secret_value()
        context.configure(url=url, target_metadata=Model.metadata, literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
        return
    given: str | None = context.config.attributes.get("database_url")
    database = Database(given or DatabaseSettings().database_url.get_secret_value())
    with database.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Model.metadata,
            render_as_batch=True,
            compare_type=True,
            render_item=_plain_moment,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    database.dispose()


run_migrations()
