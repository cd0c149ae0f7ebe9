"""Does the database have the tables that this program knows? Services ask before they start."""

from pathlib import Path

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from common.errors import MrProberError
from database.session import Database

_CONFIGURATION = Path(__file__).parents[1] / "alembic.ini"


class SchemaError(MrProberError):
    """The database cannot be used as it is."""


def require_schema(database: Database) -> None:
    """SchemaError if the database cannot be reached or is older than this program; a newer one is fine.

    Migrations only add while an older version may run, so that services are upgraded without a gap.
    """
    scripts = ScriptDirectory.from_config(Config(_CONFIGURATION))
    found = _current_revision(database)
    try:
        known = scripts.get_revision(found) if found else None
    except CommandError:
        return  # made by a newer version
    newest = scripts.get_current_head()
    if known is None or known.revision != newest:
        raise SchemaError(
            f"the database is at revision {found or 'none'}, this program needs {newest}:"
            " run `PYTHONPATH=. alembic upgrade head`"
        )


def _current_revision(database: Database) -> str | None:
    try:
        with database.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise SchemaError(f"the database does not answer: {reason}") from error
