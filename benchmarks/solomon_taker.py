"""A Solomon that takes everything and keeps nothing, as cheap as Python permits: `python -m benchmarks.solomon_taker PORT_FILE`."""

import socket
import sys
from pathlib import Path

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


def main() -> None:
    """One connection after another, for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    file = Path(sys.argv[1])
    file.with_suffix(".new").write_text(str(listener.getsockname()[1]))
    file.with_suffix(".new").rename(file)
    while True:
        connection, _ = listener.accept()
        with connection:
            _serve(connection)


def _serve(connection: socket.socket) -> None:
    content = b""
    while True:
        head, separator, rest = content.partition(b"\r\n\r\n")
        if separator:
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            if len(rest) >= length:
                taken = rest.count(b'"value":') + rest.count(b'"hist":')
                key = b"sensorsProcessed" if b'"sensors":' in rest else b"writtenMetricsCount"
                body = b'{"%s":%d}' % (key, taken)
                connection.sendall(_ANSWER % (len(body), body))
                content = rest[length:]
                continue
        received = connection.recv(1 << 20)
        if not received:
            return
        content += received


if __name__ == "__main__":
    main()
