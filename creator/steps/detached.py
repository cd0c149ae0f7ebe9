"""Act: start a wrapper by way of the starter, a small process that is there before it is needed."""

import contextlib
import os
import select
import socket
import sys
from pathlib import Path
from threading import Lock

from common import processes
from creator.errors import TerraformNotStartedError
from creator.steps.launches import Launch
from creator.steps.run_folder import RunFolder
from creator.steps.starter import STARTED

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from creator.steps.starter import serve; serve()"
)
# The wrapper only looks at its folder and forks: longer means that it is stuck on a dead disk.
_LONGEST_START_SECONDS = 30
_BUFFER_BYTES = 1 << 20
_NO_ANSWER = "its wrapper was killed, or is stuck"


class Launcher:
    """Starts wrappers, which then belong to nobody; for any number of threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._socket: socket.socket | None = None
        self._starter: processes.Process | None = None

    def start(self, launch: Launch) -> None:
        """Return when terraform runs, or when the folder says that somebody else decided.

        TerraformNotStartedError: it never will. OSError: nobody can tell, as nothing can be written into the folder.
        """
        complaint = _NO_ANSWER
        # Asked twice because the starter may have been killed: in one folder only one wrapper claims the step.
        for _ in range(2):
            try:
                answer = self._ask(launch)
            except OSError as error:
                complaint = str(error)
                continue
            if answer == STARTED:
                return
            if answer:
                complaint = answer.decode(errors="replace")
                break
        # An earlier one, whose answer nobody heard, may have claimed it nevertheless.
        if _never_starts(RunFolder(Path(launch.folder))):
            raise TerraformNotStartedError(complaint)

    def close(self) -> None:
        """End the starter; what it started goes on."""
        with self._lock:
            self._forget()

    def _ask(self, launch: Launch) -> bytes:
        """What the wrapper answers; nothing if it died, or if it is stuck. OSError."""
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as answers:
            try:
                self._send(launch.to_json(), writing)
            finally:
                os.close(writing)
            readable, _, _ = select.select([answers], [], [], _LONGEST_START_SECONDS)
            return answers.read() if readable else b""

    def _send(self, message: bytes, descriptor: int) -> None:
        with self._lock:
            with contextlib.suppress(ConnectionError):
                socket.send_fds(self._connected(), [message], [descriptor])
                return
            self._forget()  # it was killed since the last time
            socket.send_fds(self._connected(), [message], [descriptor])

    def _connected(self) -> socket.socket:
        if self._socket is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            with theirs:
                self._starter = processes.start(
                    [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM, str(_ROOT)],
                    environment={},
                    cwd=_ROOT,
                    stdin=theirs.fileno(),
                )
            self._socket = ours
        return self._socket

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._starter is not None:
            self._starter.wait()  # it ends when the socket does
        self._socket = self._starter = None


def _never_starts(folder: RunFolder) -> bool:
    """Whether nobody has claimed the step, who then never can, or who did has failed to start terraform. OSError."""
    if folder.abandon():
        return True
    end = folder.exit()
    return end is not None and end.exit_code is None and bool(end.error)
