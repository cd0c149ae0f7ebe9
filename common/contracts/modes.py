"""How a prober's program is run, and what each way asks of its command. Pure.

The word in the settings is free text: an agent that does not know it makes that prober broken, and the API lets it pass,
since agents may be newer.
"""

import re
from collections.abc import Sequence

RUN = "run"  # started for each run
WARM = (
    "warm"  # a Python file: each run is a fork of a process that has imported what the file imports
)
SERVER = "server"  # one process for many runs, which speaks cloudprober's protocol for external probe servers
MODES = (RUN, WARM, SERVER)

_PYTHON = re.compile(r"(?:.*/)?python3?(?:\.[0-9]+)?")
# Those without a value of their own, or with it attached.
_FLAG = re.compile(r"-(?:[IEsSuBOPbdqv]+|[XW].+)")


def script_position(command: Sequence[str]) -> int:
    """Which argument of `python3 [flags] FILE [arguments]` is the file; 0 if it is another kind of command."""
    if not command or not _PYTHON.fullmatch(command[0]):
        return 0
    for position, argument in enumerate(command[1:], start=1):
        if not argument.startswith("-"):
            return position if argument else 0
        if not _FLAG.fullmatch(argument):
            return 0
    return 0


def mode_problem(mode: str, *, command: Sequence[str], output: str) -> str:
    """Why a prober with this command and output cannot run in this mode; empty if it can, or nobody here knows."""
    if mode == WARM and not script_position(command):
        return (
            "mode 'warm' needs a command like [python3, FILE, …]: use mode 'run' for other programs"
        )
    if mode == SERVER and output == "nagios":
        return "output 'nagios' needs an exit status for each run, which mode 'server' has not"
    return ""
