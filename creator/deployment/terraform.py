"""terraform's words: argument lists, its environment, what its answers mean. Pure; `creator/steps/` runs it.

python-terraform is used for one thing only, the spelling of options: docs/decisions/0002-terraform-process-is-ours.md.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from python_terraform import IsFlagged, Terraform

from common.contracts.clusters import HostDescription
from common.contracts.identifiers import HostName
from creator.errors import HostsOutputError

VALUES_FILE = "terraform.tfvars.json"
HOSTS_OUTPUT = "mr_prober_hosts"
EXIT_CODE_WITH_CHANGES = 2
MAX_ERROR_LENGTH = 4096
MAX_LOG_LENGTH = 1024 * 1024

_HOSTS = TypeAdapter(dict[HostName, HostDescription])
_MISTAKES_SHOWN = 5


class Kind(StrEnum):
    """The commands that make up a deployment, each a step of it."""

    INIT = "init"
    PLAN = "plan"
    APPLY = "apply"
    DESTROY = "destroy"
    UNLOCK = "unlock"  # after one that met the lock of a dead step
    # These change nothing: what a person reads, values that the stream does not tell, what is left.
    SHOW = "show"
    OUTPUT = "output"
    LIST = "list"


@dataclass(frozen=True)
class Arguments:
    """Builds the argument list of each command."""

    executable: str
    lock_time_limit: timedelta = timedelta(minutes=1)

    def version(self) -> list[str]:
        """Print the version as JSON."""
        return self._command("version", json=IsFlagged)

    def init(self, *, lock_is_given: bool = False) -> list[str]:
        """Prepare the workspace; whatever backend it was prepared for before, nothing is migrated.

        With a given dependency lock file other providers than those in it are a mistake.
        """
        return self._command(
            "init",
            input=False,
            no_color=IsFlagged,
            reconfigure=IsFlagged,
            lockfile="readonly" if lock_is_given else None,
        )

    def init_without_backend(self) -> list[str]:
        """Fetch modules and providers, and touch no state."""
        return self._command("init", backend=False, input=False, no_color=IsFlagged)

    def validate(self) -> list[str]:
        """Print as JSON what is wrong with the recipe."""
        return self._command("validate", json=IsFlagged, no_color=IsFlagged)

    def plan(self, saved: Path, *, destroy: bool = False, replace: Sequence[str] = ()) -> list[str]:
        """Save a plan; exit code 0 = no changes, 2 = changes. Resources in `replace` are made anew.

        The values are named once more, since a recipe's own `*.auto.tfvars` would win otherwise.
        """
        return self._command(
            "plan",
            destroy=IsFlagged if destroy else None,
            detailed_exitcode=IsFlagged,
            json=IsFlagged,
            out=saved,
            replace=list(replace) or None,
            var_file=VALUES_FILE,
            **self._careful(),
        )

    def apply(self, saved: Path) -> list[str]:
        """Do exactly what the saved plan says (also if it destroys)."""
        return self._command("apply", str(saved), json=IsFlagged, **self._careful())

    def show(self, saved: Path) -> list[str]:
        """Print the saved plan for people, without what is marked as sensitive."""
        return self._command("show", str(saved), no_color=IsFlagged)

    def state_list(self) -> list[str]:
        """Print the addresses of all resources in the state."""
        return [self.executable, "state", "list"]

    def output(self) -> list[str]:
        """Print all outputs as JSON, secrets included."""
        return self._command("output", json=IsFlagged, no_color=IsFlagged)

    def force_unlock(self, lock_id: str) -> list[str]:
        """Free the lock of that id, and no other one."""
        return [self.executable, "force-unlock", "-force", lock_id]

    def _careful(self) -> dict[str, Any]:
        seconds = int(self.lock_time_limit.total_seconds())
        return {"input": False, "no_color": IsFlagged, "lock_timeout": f"{seconds}s"}

    def _command(self, command: str, *arguments: str, **options: Any) -> list[str]:
        # Without a working directory it would read whatever state lies in ours.
        builder = Terraform(working_dir=os.devnull, terraform_bin_path=self.executable)
        words: list[str] = builder.generate_cmd_string(command, *arguments, **options)
        return words


def environment(
    *,
    path: str,
    home: str,
    language: str,
    cli_configuration: Path,
) -> dict[str, str]:
    """The whole environment of terraform, nothing inherited: a stray TF_… or AWS_… variable decides nothing."""
    return {
        "PATH": path,
        "HOME": home,
        "LANG": language,
        "TF_CLI_CONFIG_FILE": str(cli_configuration),
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
        "TF_INPUT": "0",
    }


def outputs_in(answer: bytes) -> dict[str, Any]:
    """Name → value of `terraform output -json`."""
    return {name: output["value"] for name, output in json.loads(answer).items()}


def hosts_in(outputs: Mapping[str, Any]) -> dict[str, HostDescription]:
    """The hosts that the outputs name, none without such an output; HostsOutputError."""
    given = outputs.get(HOSTS_OUTPUT)
    if given is None:
        return {}
    try:
        return _HOSTS.validate_python(given)
    except ValidationError as error:
        mistakes = [
            f"{'.'.join(str(part) for part in mistake['loc']) or HOSTS_OUTPUT}: {mistake['msg']}"
            for mistake in error.errors()
        ]
        raise HostsOutputError(mistakes[:_MISTAKES_SHOWN]) from error


def error_in(log: str) -> str:
    """terraform's own error blocks at the end of its output: what, file, line."""
    lines = log.splitlines()
    begin = next((n for n, line in enumerate(lines) if line.startswith("Error: ")), None)
    if begin is None:
        return ""
    message = "\n".join(lines[begin:]).strip()
    return shortened(message, MAX_ERROR_LENGTH)


def shortened(text: str, limit: int) -> str:
    """Beginning and end of a long text, with a mark where it was cut."""
    if len(text) <= limit:
        return text
    mark = f"\n… {len(text) - limit} characters are left out …\n"
    kept = limit - len(mark)
    return text[: kept // 2] + mark + text[-(kept - kept // 2) :]
