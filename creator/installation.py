"""Read: whether Creator can work here at all: the database's tables, terraform and its configuration file."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from threading import Event

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine as DatabaseEngine
from sqlalchemy.exc import SQLAlchemyError

from common.atomic_files import write_atomically
from creator.deployer import Engine
from creator.errors import DatabaseNotReadyError, TerraformMissingError
from creator.terraform import error_in
from creator.terraform_process import Command, TerraformProcess

_VERSION_TIME_LIMIT = timedelta(minutes=1)
_CLI_CONFIGURATION = b"""\
# terraform's own settings for Creator, made once and then yours, for instance for a mirror of providers:
# https://developer.hashicorp.com/terraform/cli/config/config-file
disable_checkpoint = true
"""


def check_database(engine: DatabaseEngine, alembic_configuration: Path) -> None:
    """DatabaseNotReadyError if it cannot be reached or is older than this program; a newer one is fine."""
    scripts = ScriptDirectory.from_config(Config(alembic_configuration))
    try:
        with engine.connect() as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise DatabaseNotReadyError(f"it cannot be read: {reason}") from error
    try:
        known = scripts.get_revision(revision) if revision else None
    except CommandError:
        return  # made by a newer version, which keeps our columns until we are gone
    if known is None or known.revision != scripts.get_current_head():
        raise DatabaseNotReadyError(
            "its tables are missing or old: run PYTHONPATH=. alembic upgrade head"
        )


def cli_configuration(data_folder: Path) -> Path:
    """terraform's configuration file, so that it does not read the one of whoever starts Creator."""
    path = data_folder / "terraform.rc"
    if not path.exists():
        write_atomically(path, _CLI_CONFIGURATION)
    return path


def terraform_executable(name: str, path: str) -> str:
    """The absolute path of terraform; TerraformMissingError."""
    found = shutil.which(name, path=path)
    if found is None:
        raise TerraformMissingError(name, "there is no such program")
    return str(Path(found).absolute())


def terraform_version(engine: Engine, data_folder: Path) -> str:
    """What terraform calls itself; TerraformMissingError if it does not run."""
    executable = engine.arguments.executable
    answer, said = data_folder / ".terraform-version", data_folder / ".terraform-version.log"
    for path in (answer, said):
        path.unlink(missing_ok=True)
    try:
        command = Command(engine.arguments.version(), data_folder, said, answer=answer)
        process = TerraformProcess(command, engine.environment)
        ended = process.wait(_VERSION_TIME_LIMIT, stop=Event(), meanwhile=lambda: None)
        if ended.exit_code != 0:
            complaint = said.read_text(errors="replace")
            reason = error_in(complaint) or complaint.strip() or f"exit code {ended.exit_code}"
            raise TerraformMissingError(executable, reason)
        return str(json.loads(answer.read_bytes())["terraform_version"])
    except (OSError, ValueError, KeyError) as error:
        raise TerraformMissingError(executable, error) from error
    finally:
        for path in (answer, said):
            path.unlink(missing_ok=True)
