"""Foreseen mishaps of `yc-mr-prober-agent`.

MrProberError (beside those of `agent/control/client.py`)
├── NothingKnownError     there is not even a dead agent's configuration
├── UnknownProberError    neither the agent nor its disk knows the prober
├── LocalFolderError      the author's folder cannot be run as it is
├── RunRefusedError       the agent did not make the run that was asked for
└── BundleError           the archive cannot be written
"""

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path

from agent.errors import AgentNotRunningError
from common.errors import MrProberError


class NothingKnownError(MrProberError):
    """The folder holds no configuration."""

    def __init__(self, folder: Path, problem: str) -> None:
        super().__init__(f"{folder} holds no configuration{f': {problem}' if problem else ''}")
        self.folder = folder


class UnknownProberError(MrProberError):
    """There is no such prober on this host."""

    def __init__(self, slug: str, known: Collection[str]) -> None:
        near = get_close_matches(slug, known, n=1)
        hint = f", did you mean {near[0]}?" if near else f": {', '.join(sorted(known)) or 'none'}"
        super().__init__(f"no prober {slug} runs on this host{hint}")
        self.slug = slug


class LocalFolderError(MrProberError):
    """What was found in the folder, all at once."""

    def __init__(self, folder: Path, mistakes: Sequence[object]) -> None:
        super().__init__(
            f"{folder} cannot be run: " + "\n".join(str(mistake) for mistake in mistakes)
        )
        self.folder = folder


class RunRefusedError(MrProberError):
    """The agent says why."""

    def __init__(self, prober: str, problem: str) -> None:
        super().__init__(f"{prober} was not run: {problem}")


class BundleError(MrProberError):
    """A folder that is not there, no right to write, no space."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be written: {reason}")


def with_neighbours(error: AgentNotRunningError, folders: Sequence[Path]) -> str:
    """The error, and where agents do answer on this machine. Pure."""
    others = [f"--dir {folder}" for folder in folders if folder != error.folder]
    return f"{error}; agents work in {', '.join(others)}" if others else str(error)
