"""What the end of every tool says; the numbers are a promise to scripts."""

from enum import IntEnum


class ExitCode(IntEnum):
    """0 and 2 are both good news: `plan` of a tool says with 2 that something would change."""

    DONE = 0
    ERROR = 1
    CHANGES = 2
    PARTLY = 4
    USAGE = 64
