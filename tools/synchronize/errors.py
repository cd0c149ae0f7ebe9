"""Foreseen mishaps of synchronize.

MrProberError
└── ConfigMistakesError   the config repository holds mistakes; nothing was applied
"""

from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import MrProberError


@dataclass(frozen=True, order=True)
class Mistake:
    """One mistake of the config repository: `line` counts from 1, 0 is the file or folder as a whole."""

    file: str
    line: int
    field: str
    text: str

    def __str__(self) -> str:
        """One line that editors know how to jump to."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        line = ": ".join(part for part in (place, self.field, self.text) if part)
        # Names of files are bytes and need not be texts.
        return line.encode(errors="replace").decode()


class ConfigMistakesError(MrProberError):
    """Every mistake of the repository at once, by file and line."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))
