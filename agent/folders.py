"""Removes folders whatever their permissions: *act*. Programs leave read-only folders behind, and we make such ourselves."""

import contextlib
import os
import shutil
import stat
from pathlib import Path


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it; what cannot be removed stays, without an error."""
    shutil.rmtree(folder, ignore_errors=True)
    # Root needs no permission, and whose folder this is could exchange one for a link while we look.
    if not folder.exists() or os.geteuid() == 0:
        return
    _open_up(folder)
    # From the top: a folder that may not be read shows its subfolders only once it has been opened.
    for parent, names, _ in os.walk(folder):
        for name in names:
            _open_up(Path(parent, name))
    shutil.rmtree(folder, ignore_errors=True)


def _open_up(folder: Path) -> None:
    """Permit its owner everything; a link is left alone, since the folder behind it is somebody else's."""
    with contextlib.suppress(OSError):
        if not folder.is_symlink():
            folder.chmod(stat.S_IRWXU)
