"""The socket itself: made so that there is no moment in which others may connect: *act*."""

import contextlib
import os
import socket
import tempfile
from pathlib import Path

from agent.folders import remove_folder
from common.contracts.control import SOCKET_NAME

_MODE = 0o660
_DRAFT = ".control."
_BACKLOG = 16


def listener_in(folder: Path) -> socket.socket:
    """Listen at `control.sock` in the folder, in place of whatever is there; OSError.

    For owner and group only.
    It is made in a folder that nobody else can enter and moved when its permissions are right.
    Addresses of sockets have at most 107 bytes, so it is named by a descriptor of that folder.
    """
    # What an agent left that was killed in the middle of this.
    for old in folder.glob(f"{_DRAFT}*"):
        remove_folder(old)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=folder))
    try:
        descriptor = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            listener.bind(f"/proc/self/fd/{descriptor}/{SOCKET_NAME}")
        finally:
            os.close(descriptor)
        (draft / SOCKET_NAME).chmod(_MODE)
        listener.listen(_BACKLOG)
        (draft / SOCKET_NAME).replace(folder / SOCKET_NAME)
    except BaseException:
        listener.close()
        raise
    finally:
        with contextlib.suppress(OSError):
            (draft / SOCKET_NAME).unlink(missing_ok=True)
            draft.rmdir()
    return listener


def connected_to(folder: Path, *, time_limit_seconds: float) -> socket.socket:
    """A connection to the agent of this folder; OSError if there is none."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(time_limit_seconds)
        connection.connect(f"/proc/self/fd/{descriptor}/{SOCKET_NAME}")
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(descriptor)
    return connection
