"""What Creator's command line takes, and what its exit codes mean."""

import argparse
import sys
from enum import IntEnum
from typing import NoReturn

_EXAMPLES = """\
examples:
  creator/main.py                     keep all clusters as they are described, for ever
  creator/main.py --once              do what is due now and exit
  creator/main.py --plan-only         what would be done about each cluster now, and why; changes nothing
  creator/main.py --plan-only --json  the same for programs

exit codes:
  0   all is well; with --plan-only: nothing is due
  1   Creator cannot start, or (--once) something went wrong with a cluster: the log says what
  2   --plan-only: something is due
  64  wrong usage

SIGTERM and SIGINT end it: nothing new begins, running terraforms go on by themselves, or are waited for with
MR_PROBER_CREATOR_DRAIN=wait; a second signal leaves them, too. Settings: creator/README.md.
"""


class ExitCode(IntEnum):
    """What a caller is told."""

    DONE = 0
    WENT_WRONG = 1
    IS_DUE = 2
    USAGE = 64


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ExitCode.USAGE, f"{self.prog}: error: {message}\n")


def options_of(arguments: list[str]) -> argparse.Namespace:
    """`once`, `plan_only` and `json`; ends the program with 64 for wrong usage."""
    parser = _Parser(
        prog="creator/main.py",
        description="Keeps every cluster equal to its description by terraform.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--once", action="store_true", help="make one pass over what is due, exit")
    modes.add_argument(
        "--plan-only", action="store_true", help="show what is due, and why; change nothing"
    )
    parser.add_argument("--json", action="store_true", help="with --plan-only: as JSON")
    options = parser.parse_args(arguments)
    if options.json and not options.plan_only:
        parser.error("--json goes with --plan-only")
    return options
