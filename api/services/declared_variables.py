"""Which variables a recipe declares: asked of a bounded child process, whose failure is never a refusal."""

import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter, ValidationError

from common import processes
from common.contracts.files import FileUpload
from common.contracts.recipes import DeclaredVariable

log = logging.getLogger(__name__)

_PROGRAM = Path(__file__).resolve().parent.parent / "hcl_variables.py"
_TIME_LIMIT_SECONDS = 15.0
_MAX_ANSWER_BYTES = 128 * 1024
_MODULE_FILES = (".tf", ".tf.json")
_VALUE_FILES = (".tfvars", ".tfvars.json")
_ANSWER = TypeAdapter(list[DeclaredVariable])


def declared_variables(
    files: Sequence[FileUpload], *, time_limit_seconds: float = _TIME_LIMIT_SECONDS
) -> list[DeclaredVariable] | None:
    """The declared variables of the root module, by name; None = nobody could find out.

    Blocks for up to the time limit, so it is called outside of transactions.
    """
    module = [file for file in files if "/" not in file.path]
    if not any(
        file.path.endswith(_MODULE_FILES) and b"variable" in file.content for file in module
    ):
        return []
    try:
        with tempfile.TemporaryDirectory(prefix="mr-prober-recipe-") as name:
            folder = Path(name)
            for file in module:
                if file.path.endswith(_MODULE_FILES + _VALUE_FILES):
                    (folder / file.path).write_bytes(file.content)
            return _asked(folder, time_limit_seconds)
    except (OSError, ValidationError) as error:
        log.warning("cannot look for declared variables: %s", error)
        return None


def _asked(folder: Path, time_limit_seconds: float) -> list[DeclaredVariable] | None:
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as complaint:
        process = processes.start(
            # Isolated: the recipe's folder is no place to import from.
            [sys.executable, "-I", str(_PROGRAM), str(folder)],
            environment={"LANG": "C.UTF-8"},
            cwd=folder,
            stdout=answer,
            stderr=complaint,
        )
        try:
            exit_code = process.wait(time_limit_seconds)
        except processes.TimeLimitError:
            log.warning("looking for declared variables took too long")
            return None
        finally:
            # Killing what has ended does nothing.
            process.kill()
            process.wait()
        if exit_code != 0:
            log.info("declared variables stay unknown: %s", _beginning(complaint, 500))
            return None
        return _ANSWER.validate_json(_beginning(answer, _MAX_ANSWER_BYTES))


def _beginning(file: IO[bytes], size: int) -> str:
    file.seek(0)
    return file.read(size).decode(errors="replace")
