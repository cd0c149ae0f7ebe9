"""Read: whether Creator can work here at all: terraform and its configuration file."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

from sqlalchemy import make_url

from common.atomic_files import write_atomically
from common.contracts.identifiers import new_id
from creator.deployment.running import Engine
from creator.deployment.terraform import error_in
from creator.errors import DatabaseMissingError, TerraformMissingError, TerraformNotStartedError
from creator.steps.commands import Commands
from creator.steps.launches import User
from creator.steps.orders import StepOrder
from creator.steps.users import let_read, open_the_way

_VERSION_TIME_LIMIT = timedelta(minutes=1)
_CLI_CONFIGURATION = b"""\
# terraform's own settings for Creator, made once and then yours, for instance for a mirror of providers:
# https://developer.hashicorp.com/terraform/cli/config/config-file
disable_checkpoint = true
"""


def require_database_file(url: str) -> None:
    """DatabaseMissingError for a database in a file that is not there: whoever opens it makes it."""
    address = make_url(url)
    if address.get_backend_name() != "sqlite" or not address.database:
        return
    path = Path(address.database)
    if not path.exists():
        raise DatabaseMissingError(path)


def cli_configuration(
    data_folder: Path, user: User | None = None, *, mirror: Path | None = None
) -> Path:
    """terraform's configuration file, so that it does not read the one of whoever starts Creator; for its user, too.

    Providers come from the mirror alone, if there is one. terraform links them from there into each workspace, so nobody
    writes to a folder that others read: a shared cache is not safe for two `init` at once.
    """
    if mirror is not None:
        path = data_folder / "terraform.mirror.rc"
        write_atomically(path, _with_mirror(mirror).encode())
    else:
        path = data_folder / "terraform.rc"
        if not path.exists():
            write_atomically(path, _CLI_CONFIGURATION)
    let_read(path, user)
    open_the_way(data_folder, data_folder, user)
    return path


def _with_mirror(mirror: Path) -> str:
    return (
        "disable_checkpoint = true\n"
        "provider_installation {\n"
        "  filesystem_mirror {\n"
        f"    path = {json.dumps(str(mirror.resolve()))}\n"
        "  }\n"
        "}\n"
    )


def terraform_executable(name: str, path: str) -> str:
    """The absolute path of terraform; TerraformMissingError."""
    found = shutil.which(name, path=path)
    if found is None:
        raise TerraformMissingError(name, "there is no such program")
    return str(Path(found).absolute())


def terraform_version(engine: Engine, commands: Commands, data_folder: Path) -> str:
    """What terraform calls itself; TerraformMissingError if it does not run."""
    executable = engine.arguments.executable
    # Of its own: several Creators may start in this folder at the same time.
    folder = data_folder / f".terraform-version-{new_id()}"
    order = StepOrder(
        kind="version",
        arguments=tuple(engine.arguments.version()),
        folder=folder,
        working_directory=Path("/"),
        environment=engine.environment,
        time_limit=_VERSION_TIME_LIMIT,
    )
    try:
        end = commands.run(order, stop=lambda: False)
        if end.exit_code != 0:
            complaint = (end.output / "stderr").read_text(errors="replace")
            reason = error_in(complaint) or complaint.strip() or f"exit code {end.exit_code}"
            raise TerraformMissingError(executable, reason)
        return str(json.loads((end.output / "stdout").read_bytes())["terraform_version"])
    except (OSError, ValueError, KeyError, TerraformNotStartedError) as error:
        raise TerraformMissingError(executable, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
