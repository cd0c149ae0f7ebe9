"""Read: whether Creator can work here at all: terraform and its configuration file."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from threading import Event

from common.atomic_files import write_atomically
from creator.deployment.deployer import Engine
from creator.deployment.terraform import error_in
from creator.errors import TerraformMissingError
from creator.terraform_process import Command, TerraformProcess

_VERSION_TIME_LIMIT = timedelta(minutes=1)
_CLI_CONFIGURATION = b"""\
# terraform's own settings for Creator, made once and then yours, for instance for a mirror of providers:
# https://developer.hashicorp.com/terraform/cli/config/config-file
disable_checkpoint = true
"""


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
