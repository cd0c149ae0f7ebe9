"""Act, in a small process beside Creator: forks a wrapper for every message, and ends with Creator.

A new Python for every wrapper would cost 14 ms of CPU, a fork of this one costs less than one.
Standard library only: docs/decisions/0010-terraform-outlives-creator.md.
"""

import array
import contextlib
import gc
import os
import signal
import socket
import traceback

from creator.steps.launches import launch_of_json
from creator.steps.wrapper import end_wrapper, wrap

MESSAGE_LENGTH = 1 << 20
STARTED = b"\0"
_DESCRIPTOR_BYTES = array.array("i").itemsize


def serve() -> None:
    """Take launches from the socket that is our stdin, each with a pipe for the answer, until Creator is gone."""
    creator = socket.socket(fileno=os.dup(0))
    _forget_stdin()
    gc.disable()  # it would write to each page that a wrapper shares with us
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks for the wrappers' exit status
    while True:
        # Closed by exec: Creator reads the answer to its end, and terraform must not hold the pipe until then.
        message, controls, _, _ = creator.recvmsg(
            MESSAGE_LENGTH, socket.CMSG_SPACE(_DESCRIPTOR_BYTES), socket.MSG_CMSG_CLOEXEC
        )
        if not message:
            return
        answer = array.array("i")
        for _, _, content in controls:
            answer.frombytes(content)
        if os.fork() == 0:
            creator.close()
            _run(message, answer[0])
        os.close(answer[0])


def _run(message: bytes, answer: int) -> None:
    def report(error: str) -> None:
        # A Creator that is gone reads no answers.
        with contextlib.suppress(BrokenPipeError):
            os.write(answer, error.encode()[:2000] or STARTED)
        os.close(answer)

    try:
        wrap(launch_of_json(message), report)
    except BaseException:  # noqa: BLE001 - an edge: this process must not go on as a second starter
        traceback.print_exc()
        end_wrapper(1)
    end_wrapper()


def _forget_stdin() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
