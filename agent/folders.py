"""Removes folders whatever their permissions and however deep they are: *act*.

Programs leave read-only folders behind, and thousands of them one in the other; the latter would be too much for
the library's way: it goes down by calling itself, with a descriptor for each level.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it; what cannot be removed stays, without an error."""
    with contextlib.suppress(OSError):
        _open_up(folder)
        with _opened(folder) as top:
            _empty(top)
        folder.rmdir()


def _empty(top: int) -> None:
    """Bring each inner folder to the top before it is looked into: so nothing is ever more than two levels deep.

    Nothing is named by a path: whose folder this is could exchange a part of it for a link while we look.
    """
    mark = uuid4().hex
    waiting = _emptied_of_files(top)
    number = 0
    while waiting:
        name = waiting.pop()
        with contextlib.suppress(OSError):
            with _opened(name, inside=top) as folder:
                for inner in _emptied_of_files(folder):
                    number += 1
                    _open_up(inner, inside=folder)
                    with contextlib.suppress(OSError):
                        os.rename(inner, f"{mark}{number}", src_dir_fd=folder, dst_dir_fd=top)
                        waiting.append(f"{mark}{number}")
            os.rmdir(name, dir_fd=top)


def _emptied_of_files(folder: int) -> list[str]:
    """The folders in it; all else is removed."""
    inner = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _open_up(entry.name, inside=folder)
                inner.append(entry.name)
            else:
                with contextlib.suppress(OSError):
                    os.unlink(entry.name, dir_fd=folder)
    return inner


@contextlib.contextmanager
def _opened(name: str | Path, *, inside: int | None = None) -> Iterator[int]:
    descriptor = os.open(name, _FLAGS, dir_fd=inside)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_up(name: str | Path, *, inside: int | None = None) -> None:
    """Permit its owner everything; a link is left alone, since the folder behind it is somebody else's."""
    if os.geteuid() == 0:
        return  # needs no permission, and would follow a link that was put there just now
    with contextlib.suppress(OSError):
        if not stat.S_ISLNK(os.lstat(name, dir_fd=inside).st_mode):
            os.chmod(name, stat.S_IRWXU, dir_fd=inside)
