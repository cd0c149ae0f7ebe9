"""How tools print: colours on a terminal, plain text in a pipe, and nothing of others that could steer a terminal."""

import re
from typing import IO

from rich.console import Console

# What would move the cursor, change colours or name the window; tabs and line ends stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def console_of(file: IO[str], *, width: int | None = None) -> Console:
    """A console that prints what it is given: no markup, no broken lines; colours only on a terminal."""
    return Console(
        file=file, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True
    )


def visible(text: str) -> str:
    """The text with control characters as escapes: names and contents of others reach the terminal."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)
