"""The edge of every tool: runs its click command, turns foreseen mishaps into one line and an exit code."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path

import click
from pydantic import ValidationError

from common.errors import MrProberError
from tools.console import console_of, visible
from tools.exit_codes import ExitCode

# Where the output goes is full or broken: no bug of ours.
_NOWHERE_TO_WRITE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


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


def examples_of(tool: str, *lines: str) -> str:
    """The end of a command's help: what to type, as it is."""
    return "\n".join(["\b", "Examples:", *(f"  {tool} {line}" for line in lines)])


def main(run_with: Callable[[list[str]], int]) -> None:
    """The entry point of a tool: runs it with the arguments of the process, and ends the process."""
    _prepare()
    try:
        status = run_with(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader had enough (`| head`).
        status = _without_output()
    except OSError as error:
        if error.errno not in _NOWHERE_TO_WRITE:
            raise
        status = _without_output()
        _tell(f"the output cannot be written: {error.strerror}")
    if any(
        one is not threading.current_thread() and not one.daemon for one in threading.enumerate()
    ):
        # After Ctrl-C calls may still wait for answers that nobody wants any more; Python would wait with them.
        sys.stdout.flush()
        os._exit(status)
    sys.exit(status)


def _prepare() -> None:
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    ):  # tools/start.py: modules are loaded by now
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # A closed stdout or stderr (`>&-`) would be None.
    sys.stdout = sys.stdout or _nothing()
    sys.stderr = sys.stderr or _nothing()
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that knows no → gets its escape: half a plan and a traceback would help nobody.
        sys.stdout.reconfigure(errors="backslashreplace")


def _nothing() -> TextIOWrapper:
    return Path(os.devnull).open("w", encoding="utf-8")


def _without_output() -> ExitCode:
    """Python would complain once more when it closes stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.ERROR


def _tell(text: str) -> None:
    console_of(sys.stderr).print(visible(text), style="red")


def _mistakes_of_settings(error: ValidationError) -> str:
    return "\n".join(
        f"MR_PROBER_{'.'.join(str(part) for part in one['loc']).upper()}: {one['msg']}"
        for one in error.errors()
    )
