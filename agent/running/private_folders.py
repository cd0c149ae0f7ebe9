"""The folders that the runs of one launcher have as their TMPDIR; for `launcher.py` alone.

The imports of this module are memory of every launcher: it has few.
"""

import contextlib
import os

from agent.running import wire
from agent.running.started import Run

_TARGETS = wire.TARGETS.encode()


class Folders:
    """The folders for TMPDIR: an empty one is used again, since making one costs as much as a tenth of a run.

    Not at once: as long as a process may be left behind that has it as its mark, it is nobody else's.
    """

    def __init__(self, parent: str) -> None:
        self._parent = parent
        self._encoded_parent = os.fsencode(parent)
        self._clean: list[str] = []
        self._used: list[str] = []
        self._littered: list[str] = []
        self._number = 0

    def give(self, run: Run) -> None:
        """An empty folder, and a file in it if the run has targets; OSError if there can be none."""
        run.name = self._clean.pop() if self._clean else self._made()
        path = run.environment[b"TMPDIR"] = b"%s/%s" % (self._encoded_parent, run.name.encode())
        if targets := run.environment.get(_TARGETS):
            run.environment[_TARGETS] = _targets_in(path)
            with open(_targets_in(path), "xb") as file:
                file.write(targets)

    def take_back(self, run: Run) -> None:
        """The run is over; whether something is left in its folder is looked at by `clear`."""
        if not run.name:
            return
        if _TARGETS in run.environment:
            with contextlib.suppress(OSError):
                os.unlink(run.environment[_TARGETS])
        self._used.append(run.name)

    def clear(self) -> list[str]:
        """Nothing is left behind of any run that is over; the folders that are to be removed (again)."""
        written = [name for name in self._used if not self._is_empty(name)]
        self._clean += [name for name in self._used if name not in written]
        self._used = []
        # A process that was left behind may have filled it again while it was being removed.
        self._littered = [name for name in self._littered + written if self._exists(name)]
        return self._littered

    def _made(self) -> str:
        self._number += 1
        os.mkdir(f"{self._parent}/{self._number}", 0o700)
        return str(self._number)

    def _is_empty(self, name: str) -> bool:
        try:
            return not os.listdir(f"{self._parent}/{name}")
        except OSError:
            return False

    def _exists(self, name: str) -> bool:
        return os.access(f"{self._parent}/{name}", os.F_OK)


def _targets_in(folder: bytes) -> bytes:
    return folder + b"/targets.json"
