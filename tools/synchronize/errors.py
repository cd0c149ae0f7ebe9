"""Foreseen mishaps of synchronize.

MrProberError
├── ConfigMistakesError   the config repository holds mistakes; nothing was applied
├── UnusablePlanError     the file of a saved plan cannot be used
├── MovedWorldError       what is to be done now is not what was reviewed
├── ScaffoldError         a new prober, cluster or recipe cannot be written there
└── ExportError           the API cannot be written into files
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import MrProberError

_SHOWN = 20


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


class UnusablePlanError(MrProberError):
    """The file of a plan cannot be read or written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"plan file {path} {reason}")


class MovedWorldError(MrProberError):
    """Between the review of a plan and its application, the files or the API changed."""

    def __init__(self, moved: Sequence[str]) -> None:
        more = [f"and {len(moved) - _SHOWN} more"] if len(moved) > _SHOWN else []
        lines = "\n".join([*moved[:_SHOWN], *more])
        super().__init__(f"{lines}\nThe world moved since the plan was made: make a new plan.")


class ScaffoldError(MrProberError):
    """A scaffold would overwrite something, or has no place."""


class ExportError(MrProberError):
    """The API cannot be written into files: the text says what, and where."""
