"""Removes the temporary folders of finished runs: *act*. A folder with a million files must not hold up the loop."""

import queue
import threading
from pathlib import Path

from agent.folders import remove_folder


class Wiper:
    """Empty folders go at once; what takes longer is done by a thread of its own."""

    def __init__(self) -> None:
        self._folders: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="wiper", daemon=True)
        self._thread.start()

    def wipe(self, folder: Path) -> None:
        """Remove the folder soon; never blocks, never fails."""
        try:
            folder.rmdir()
        except OSError:
            self._folders.put(folder)

    def close(self, *, time_limit_seconds: float) -> None:
        """Finish what was asked for, as far as the time limit permits."""
        self._folders.put(None)
        self._thread.join(time_limit_seconds)

    def _work(self) -> None:
        while folder := self._folders.get():
            remove_folder(folder)
