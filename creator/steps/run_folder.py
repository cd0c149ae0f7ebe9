"""Read and record: the folder of one step, by which its wrapper and whichever Creator comes later understand each other.

| file | who writes it, when |
| --- | --- |
| `stdout`, `stderr` | terraform |
| `alive` | the wrapper and all that it starts hold a lock on it: with the lock free, nobody of them lives on this kernel |
| `wrapper.json` | the wrapper before anything else: who it is. Or whoever gave the step up before that: then it never starts |
| `terraform.json` | terraform's process, just before it becomes terraform: who it is |
| `interrupted` | whoever sends the one SIGINT, before that |
| `exit.json` | the wrapper at the very end |

Standard library only. Files appear whole. A machine that loses its power loses the steps, too: only the last file is worth a flush to disk.
"""

import contextlib
import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from creator.steps.process_table import ProcessIdentity

STDOUT = "stdout"
STDERR = "stderr"
_ALIVE = "alive"
_WRAPPER = "wrapper.json"
_TERRAFORM = "terraform.json"
_INTERRUPTED = "interrupted"
_EXIT = "exit.json"
_EXIT_DRAFT = ".exit.json"
# Room that is taken before terraform starts: its end can be recorded on a full disk, too.
_EXIT_LENGTH = 4096


@dataclass(frozen=True)
class Exit:
    """How terraform ended; negative exit codes are signals, None with an `error`: it did not even start."""

    exit_code: int | None
    interrupted: bool = False
    killed: bool = False
    at_seconds: float = 0.0  # since the epoch
    error: str = ""


class RunFolder:
    """The folder of one step; all of it may raise OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def stdout(self) -> Path:
        """What terraform prints: its events, or its answer."""
        return self.path / STDOUT

    @property
    def stderr(self) -> Path:
        """What terraform complains about."""
        return self.path / STDERR

    def make(self) -> None:
        """Make the folder, for its owner alone."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def exists(self) -> bool:
        """Whether the step ran on this machine, and nobody has cleaned up."""
        return self.path.is_dir()

    def claim(self, wrapper: ProcessIdentity) -> bool:
        """Whether the step is this wrapper's from now on; of several who claim or abandon it, one succeeds."""
        return self._write_first(_WRAPPER, wrapper._asdict())

    def abandon(self) -> bool:
        """Whether the step will never start from now on; not so if a wrapper has claimed it."""
        return self._write_first(_WRAPPER, {"abandoned": True})

    def wrapper(self) -> ProcessIdentity | None:
        """Who looks after terraform; None if the step was abandoned."""
        return self._process(_WRAPPER)

    def terraform_starts(self, process: ProcessIdentity) -> None:
        """Who is about to become terraform."""
        self._write(_TERRAFORM, process._asdict())

    def terraform(self) -> ProcessIdentity | None:
        """terraform itself."""
        return self._process(_TERRAFORM)

    def mark_interrupted(self) -> bool:
        """Whether the one SIGINT is ours to send: a second one would make terraform drop what it did."""
        return self._write_first(_INTERRUPTED, {})

    def interrupted_at_seconds(self) -> float | None:
        """When terraform was asked to end, since the epoch."""
        with contextlib.suppress(FileNotFoundError):
            return (self.path / _INTERRUPTED).stat().st_mtime
        return None

    def reserve_exit(self) -> None:
        """Take the room for the record of the end."""
        (self.path / _EXIT_DRAFT).write_bytes(b" " * _EXIT_LENGTH)

    def record_exit(self, end: Exit) -> None:
        """Record the end in the room that was reserved; the last thing that happens to a step."""
        draft = self.path / _EXIT_DRAFT
        content = json.dumps(asdict(end)).encode()[:_EXIT_LENGTH].ljust(_EXIT_LENGTH)
        descriptor = os.open(draft, os.O_WRONLY)
        try:
            os.pwrite(descriptor, content, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.rename(self.path / _EXIT)

    def exit(self) -> Exit | None:
        """How terraform ended, if it has, and if anybody could write it down."""
        with contextlib.suppress(TypeError):
            return Exit(**self._read(_EXIT))
        return None

    def hold_alive(self) -> int:
        """A descriptor whose every heir counts as alive."""
        descriptor = os.open(self.path / _ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return descriptor

    def is_surely_dead(self) -> bool:
        """Whether nobody of the step lives on this kernel, in whatever namespace; it was claimed before."""
        try:
            descriptor = os.open(self.path / _ALIVE, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def _process(self, name: str) -> ProcessIdentity | None:
        content = self._read(name)
        if "pid" not in content:
            return None
        return ProcessIdentity(int(content["pid"]), int(content["start_ticks"]))

    def _read(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads((self.path / name).read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _write(self, name: str, content: dict[str, Any]) -> None:
        self._draft(name, content).rename(self.path / name)

    def _write_first(self, name: str, content: dict[str, Any]) -> bool:
        """Whether nobody was faster."""
        draft = self._draft(name, content)
        try:
            os.link(draft, self.path / name)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def _draft(self, name: str, content: dict[str, Any]) -> Path:
        draft = self.path / f".{name}.{os.getpid()}.{time.monotonic_ns()}"
        draft.write_text(json.dumps(content))
        return draft
