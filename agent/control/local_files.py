"""The files of an author's folder, unpacked for one run and removed after it: *act*."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from agent.folders import remove_folder
from common.contracts.files import FileUpload

_FOLDER = "trials"


class LocalFiles:
    """Folders with names that nobody guesses, below one that nobody lists: for the prober's user to enter by name."""

    def __init__(self, agent_folder: Path) -> None:
        self._folder = agent_folder / _FOLDER

    def wipe(self) -> None:
        """Remove what an agent left that was killed; OSError."""
        if self._folder.exists():
            remove_folder(self._folder)

    def unpack(self, files: Sequence[FileUpload]) -> Path:
        """A read-only folder with exactly these files; OSError."""
        self._folder.mkdir(mode=0o711, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            for file in files:
                path = folder / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.content)
                path.chmod(0o555 if file.mode == "0755" else 0o444)
            for inner, _, _ in os.walk(folder):
                Path(inner).chmod(0o555)
        except BaseException:
            remove_folder(folder)
            raise
        return folder

    def remove(self, folder: Path) -> None:
        """Nobody runs in it any more."""
        remove_folder(folder)
