"""The edge of every tool: runs its click command, turns foreseen mishaps into one line and an exit code."""

import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper

import click
from pydantic import ValidationError

from common.errors import MrProberError
from tools.console import console_of, visible
from tools.exit_codes import ExitCode


def run(
    command: click.Command,
    name: str,
    arguments: Sequence[str],
    *,
    text_of: Callable[[MrProberError], str] = str,
    interrupted: str = "Interrupted.",
) -> int:
    """The exit code that the command returned (none is 0), or that of what went wrong, which is told on stderr.

    Whatever is raised besides MrProberError is a bug, and shows its traceback.
    """
    try:
        return int(command.main(list(arguments), name, standalone_mode=False) or 0)
    except click.UsageError as error:
        error.show()
        return ExitCode.USAGE
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        _tell(error.format_message())
    except click.Abort:
        _tell(interrupted)
    except ValidationError as error:  # of the settings: tools check everything else themselves
        _tell(_mistakes_of_settings(error))
    except MrProberError as error:
        _tell(text_of(error))
    return ExitCode.ERROR


def main(run_with: Callable[[list[str]], int]) -> None:
    """The entry point of a tool: runs it with the arguments of the process, and ends the process."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that knows no → gets its escape: half a plan and a traceback would help nobody.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = run_with(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader had enough (`| head`); Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = ExitCode.ERROR
    sys.exit(status)


def _tell(text: str) -> None:
    console_of(sys.stderr).print(visible(text), style="red")


def _mistakes_of_settings(error: ValidationError) -> str:
    return "\n".join(
        f"MR_PROBER_{'.'.join(str(part) for part in one['loc']).upper()}: {one['msg']}"
        for one in error.errors()
    )
