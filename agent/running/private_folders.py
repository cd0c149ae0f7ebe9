"""The folders that the runs of one launcher have as their TMPDIR; for `launcher.py` alone.

The imports of this module are memory of every launcher: it has few.
"""

import contextlib
import os


class Folders:
    """The folders for TMPDIR: an empty one is used again, since making one costs as much as a tenth of a run.

    Not at once: as long as a process may be left behind that has it as its mark, it is nobody else's.
    """

    def __init__(self, parent: str) -> None:
        self._parent = parent
        self._clean: list[str] = []
        self._used: list[str] = []
        self._littered: list[str] = []
        self._with_targets: set[str] = set()
        self._number = 0

    def take(self) -> str:
        """The name of an empty folder; OSError if there can be none."""
        if self._clean:
            return self._clean.pop()
        self._number += 1
        os.mkdir(f"{self._parent}/{self._number}", 0o700)
        return str(self._number)

    def give_back(self, name: str) -> None:
        """Its run is over; whether something is left in it is looked at by `clear`."""
        if name in self._with_targets:
            self._with_targets.remove(name)
            with contextlib.suppress(OSError):
                os.unlink(self._targets(name))
        self._used.append(name)

    def put_targets(self, name: str, content: str) -> str:
        """The path of a file with this content in the folder; OSError."""
        self._with_targets.add(name)
        path = self._targets(name)
        with open(path, "x", encoding="utf-8") as file:
            file.write(content)
        return path

    def clear(self) -> list[str]:
        """Nothing is left behind of any run that is over; the folders that are to be removed (again)."""
        written = [name for name in self._used if not self._is_empty(name)]
        self._clean += [name for name in self._used if name not in written]
        self._used = []
        # A process that was left behind may have filled it again while it was being removed.
        self._littered = [name for name in self._littered + written if self._exists(name)]
        return self._littered

    def _targets(self, name: str) -> str:
        return f"{self._parent}/{name}/targets.json"

    def _is_empty(self, name: str) -> bool:
        try:
            return not os.listdir(f"{self._parent}/{name}")
        except OSError:
            return False

    def _exists(self, name: str) -> bool:
        return os.access(f"{self._parent}/{name}", os.F_OK)
