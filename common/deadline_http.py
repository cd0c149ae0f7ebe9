"""HTTP calls under one deadline for everything: connecting, sending, and an answer that comes byte by byte.

The limits of `requests` hold for each read; a server that drips would keep a caller for hours.
See docs/decisions/0030-one-deadline-per-push.md.
"""

import contextlib
import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from common.version import VERSION

MAX_ANSWER_BYTES = 64 * 1024
_CONNECT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """The answer to a call; headers by their names in small letters, the beginning of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    max_answer_bytes: int


class CallFailedError(Exception):
    """No answer; whether the call had an effect is not known."""


def is_http_address(url: str) -> bool:
    """Whether it is `http://host[:port][/path]` or the same with https."""
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


class DeadlineHttp:
    """One connection to one server, kept open between calls; not for several threads at once.

    It uses neither proxies nor anything else from the environment, and follows no redirect.
    """

    def __init__(self, url: str, *, authorities: Path | None = None) -> None:
        """ValueError if `is_http_address` says no; OSError if there is no such PEM file of `authorities`."""
        if not is_http_address(url):
            raise ValueError(f"{url!r} is not the address of an HTTP server")
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._path = parts.path.rstrip("/")
        self._tls = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context(cafile=authorities)
        self._connection: http.client.HTTPConnection | None = None
        self._socket: _DeadlineSocket | None = None
        self._interrupted = False

    def call(
        self,
        method: str,
        path: str,
        *,
        time_limit: timedelta,
        headers: Mapping[str, str],
        body: bytes = b"",
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> HttpAnswer:
        """The answer, whatever its status; CallFailedError without one in time. A longer body is cut at `max_answer_bytes`.

        A call over a connection that the server has closed meanwhile is sent once more over a new one:
        only for calls that may be repeated.
        """
        self._interrupted = False
        deadline = time.monotonic() + time_limit.total_seconds()
        request = _Request(method, f"{self._path}{path}", dict(headers), body, max_answer_bytes)
        request.headers.setdefault("User-Agent", f"mr-prober/{VERSION}")
        reused = self._connection is not None
        try:
            try:
                return self._exchange(request, deadline)
            except (ConnectionError, http.client.RemoteDisconnected):
                self.close()
                if not reused or self._interrupted:
                    raise
                return self._exchange(request, deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise CallFailedError(_reason(error)) from error

    def interrupt(self) -> None:
        """Let the call that is going on in another thread fail now; while it connects, within seconds."""
        self._interrupted = True
        timed = self._socket
        if timed is not None:
            with contextlib.suppress(OSError):
                timed.interrupt()

    def __del__(self) -> None:
        """Whoever forgets it leaves no connection behind."""
        if getattr(self, "_socket", None) is not None:
            self.close()

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.hang_up()
        self._connection = self._socket = None

    def _exchange(self, request: _Request, deadline: float) -> HttpAnswer:
        connection, timed = self._connected(deadline)
        if self._interrupted:
            raise ConnectionAbortedError("interrupted")
        timed.deadline = deadline
        connection.request(
            request.method, request.path, body=request.body or None, headers=request.headers
        )
        response = connection.getresponse()
        content = response.read(request.max_answer_bytes)
        if response.length and len(content) < request.max_answer_bytes:
            raise http.client.IncompleteRead(content, response.length)
        if not response.isclosed() or response.will_close:
            self.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        return HttpAnswer(response.status, found, content)

    def _connected(self, deadline: float) -> tuple[http.client.HTTPConnection, "_DeadlineSocket"]:
        if self._connection is None or self._socket is None:
            timed = _DeadlineSocket(self._opened(deadline), deadline)
            connection = http.client.HTTPConnection(self._host, self._port)
            connection.sock = timed  # it has all that http.client uses
            self._connection, self._socket = connection, timed
        return self._connection, self._socket

    def _opened(self, deadline: float) -> socket.socket:
        plain = _connected_socket(self._host, self._port, deadline)
        if self._tls is None:
            return plain
        try:
            plain.settimeout(_seconds_left(deadline))
            return self._tls.wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise


class _DeadlineSocket:
    """As much of a socket as `http.client` uses; each operation gets only the time that is left."""

    def __init__(self, real: socket.socket, deadline: float) -> None:
        self._real = real
        self.deadline = deadline

    def sendall(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            self._real.settimeout(_seconds_left(self.deadline))
            left = left[self._real.send(left) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode  # always "rb"
        return io.BufferedReader(_DeadlineReader(self))

    def receive_into(self, buffer: memoryview) -> int:
        self._real.settimeout(_seconds_left(self.deadline))
        return self._real.recv_into(buffer)

    def close(self) -> None:
        """http.client closes early, with the answer still to be read."""

    def interrupt(self) -> None:
        self._real.shutdown(socket.SHUT_RDWR)

    def hang_up(self) -> None:
        self._real.close()


class _DeadlineReader(io.RawIOBase):
    def __init__(self, source: _DeadlineSocket) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # all that is ever given
        return self._source.receive_into(buffer)


def _connected_socket(host: str, port: int, deadline: float) -> socket.socket:
    """The first of the host's addresses that answers; looking the name up is the resolver's time, not ours."""
    last: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        opened = socket.socket(family, kind, protocol)
        try:
            opened.settimeout(min(_CONNECT_SECONDS, _seconds_left(deadline)))
            opened.connect(address)
        except OSError as error:
            opened.close()
            last = error
        else:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return opened
    raise last


def _seconds_left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    return left


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
