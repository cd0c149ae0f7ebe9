"""A road to a server on loopback that a test can close and open."""

import contextlib
import socket
from threading import Lock, Thread


class Relay:
    """Passes bytes on; while it is closed, connections end at once, also those that were open."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = Lock()
        self._open: set[socket.socket] = set()
        self._is_open = True
        self._thread = Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close_road(self) -> None:
        """From now on nobody gets through."""
        with self._lock:
            self._is_open = False
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def open_road(self) -> None:
        """Everybody gets through again."""
        with self._lock:
            self._is_open = True

    def end(self) -> None:
        """Free the port."""
        self.close_road()
        # An accept that is going on does not notice a close.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if not self._is_open:
                    caller.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open |= {caller, server}
            for source, target in ((caller, server), (server, caller)):
                Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                target.sendall(part)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._open.discard(one)
            one.close()
