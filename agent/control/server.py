"""Serves the control socket: a thread that accepts, one for each of a few callers, and a bound on everything: *act*.

No caller reaches the loop but through the desk; whoever is slow, huge or many holds up other callers at most.
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from agent.control.callers import Caller, caller_of, refuse_probers
from agent.control.listener import listener_in
from agent.control.messages import (
    MAX_HEAD_BYTES,
    Head,
    RefusedError,
    answer_bytes,
    parsed_head,
    problem_bytes,
)
from common.contracts.control import SOCKET_NAME

log = logging.getLogger(__name__)

MAX_CALLERS = 8
MAX_BODY_BYTES = 64 * 1024
_CHUNK_BYTES = 64 * 1024
_PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Request:
    """One question with its body; nothing of it is checked yet."""

    head: Head
    body: bytes
    caller: Caller


@dataclass(frozen=True)
class Answer:
    """What the caller gets."""

    content: BaseModel
    status: int = 200


@dataclass(frozen=True)
class Patience:
    """Seconds that a caller may take in all for each part of the conversation."""

    head: float = 5.0
    body: float = 10.0
    answer: float = 10.0


@dataclass(frozen=True)
class Service:
    """What is behind the socket: RefusedError from either becomes the caller's answer."""

    answer: Callable[[Request], Answer]
    longest_body: Callable[[Head], int] = lambda _: MAX_BODY_BYTES


class ControlServer:
    """Listens in the agent's folder until it is closed."""

    def __init__(self, folder: Path, service: Service, *, patience: Patience | None = None) -> None:
        """OSError if the socket cannot be made."""
        self._patience = patience or Patience()
        self._path = folder / SOCKET_NAME
        self._service = service
        self._listener = listener_in(folder)
        self._room = threading.Semaphore(MAX_CALLERS)
        # Large bodies come one at a time, so that callers cannot fill the memory together.
        self._large = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._accept_all, name="control", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer nobody any more."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # ends `accept`
        if self._thread.is_alive():
            self._thread.join(1.0)
        self._listener.close()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _accept_all(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if not self._closing:
                    time.sleep(
                        _PAUSE_SECONDS
                    )  # no descriptor is to be had, and the caller still knocks
                continue
            self._hand_over(connection)

    def _hand_over(self, connection: socket.socket) -> None:
        if not self._room.acquire(blocking=False):
            _hang_up(connection, RefusedError(503, f"{MAX_CALLERS} others are being answered"))
            return
        worker = threading.Thread(
            target=self._serve, args=(connection,), name="control-caller", daemon=True
        )
        try:
            worker.start()
        except RuntimeError:  # no thread is to be had
            self._room.release()
            connection.close()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                answer = self._answered(connection)
                _send(connection, answer, self._patience.answer)
        except OSError:
            pass  # a caller that hangs up is no news
        finally:
            self._room.release()

    def _answered(self, connection: socket.socket) -> bytes:
        try:
            caller = caller_of(connection)
            refuse_probers(caller)
            head, beginning = _received_head(connection, self._patience.head)
            body = self._body(connection, head, beginning)
            answer = self._service.answer(Request(head, body, caller))
            return answer_bytes(answer.status, answer.content)
        except RefusedError as refused:
            return problem_bytes(refused)
        except OSError:
            raise
        # A bug of ours is told to the caller and to the log; the agent goes on.
        except Exception:
            log.exception("a request at the control socket failed")
            return problem_bytes(RefusedError(500, "a bug of the agent; its log says more"))

    def _body(self, connection: socket.socket, head: Head, beginning: bytes) -> bytes:
        if head.length > self._service.longest_body(head):
            raise RefusedError(413, f"{head.length} bytes are too many")
        if head.length <= MAX_BODY_BYTES:
            return _received_body(connection, head.length, beginning, self._patience.body)
        with self._large:
            return _received_body(connection, head.length, beginning, self._patience.body)


def _received_head(connection: socket.socket, seconds: float) -> tuple[Head, bytes]:
    """The head, and what came of the body along with it."""
    deadline = time.monotonic() + seconds
    content = bytearray()
    while (end := content.find(b"\r\n\r\n")) < 0:
        if len(content) > MAX_HEAD_BYTES:
            raise RefusedError(431, f"more than {MAX_HEAD_BYTES} bytes before the body")
        content += _received(connection, _CHUNK_BYTES // 16, deadline)
    return parsed_head(bytes(content[:end])), bytes(content[end + 4 :])


def _received_body(
    connection: socket.socket, length: int, beginning: bytes, seconds: float
) -> bytes:
    deadline = time.monotonic() + seconds
    content = bytearray(beginning[:length])
    while len(content) < length:
        content += _received(connection, min(_CHUNK_BYTES, length - len(content)), deadline)
    return bytes(content)


def _received(connection: socket.socket, most: int, deadline: float) -> bytes:
    """Some bytes; RefusedError once the deadline is over, OSError if the caller has hung up."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise RefusedError(408, "the request came too slowly")
    connection.settimeout(left)
    try:
        chunk = connection.recv(most)
    except TimeoutError as error:
        raise RefusedError(408, "the request came too slowly") from error
    if not chunk:
        raise ConnectionAbortedError
    return chunk


def _send(connection: socket.socket, content: bytes, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    left = memoryview(content)
    while left:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        left = left[connection.send(left[:_CHUNK_BYTES]) :]


def _hang_up(connection: socket.socket, refused: RefusedError) -> None:
    with contextlib.suppress(OSError), connection:
        connection.setblocking(False)
        connection.send(problem_bytes(refused))
