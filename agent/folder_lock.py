"""One agent per folder: *act*."""

import fcntl
import os
from pathlib import Path

from agent.errors import AgentAlreadyRunningError

_FILE = "lock"


def lock_folder(folder: Path) -> int:
    """Make the folder and lock it for as long as the returned descriptor is open; it ends with the process.

    AgentAlreadyRunningError if another agent has it; OSError if it cannot be made.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise AgentAlreadyRunningError(folder) from error
    return descriptor
