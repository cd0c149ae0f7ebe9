"""A proxy through which builds reach the index of packages: it listens in the network of the private daemon, and connects in ours.

    python -m tests.containers.index_relay PID    PID is a process in that network; prints the port on its loopback

So nothing of this machine's network has to be changed for the daemon.
"""

import socket
import sys
import threading
import time
from functools import lru_cache

from tests.containers.namespaces import inside_network

_ASKING = threading.Lock()


def main() -> None:
    with inside_network(int(sys.argv[1])):
        listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_serve, args=(client,), daemon=True).start()


def _serve(client: socket.socket) -> None:
    with client:
        head = b""
        while b"\r\n\r\n" not in head and len(head) < 65536:
            if not (chunk := client.recv(4096)):
                return
            head += chunk
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        host, _, port = target.rpartition(":")
        if method != "CONNECT":
            client.sendall(b"HTTP/1.1 405 only CONNECT\r\n\r\n")
            return
        try:
            server = socket.create_connection((_address_of(host), int(port)), timeout=30)
        except OSError as error:
            client.sendall(f"HTTP/1.1 502 {error}\r\n\r\n".encode())
            return
        with server:
            server.settimeout(None)
            client.sendall(b"HTTP/1.1 200 connected\r\n\r\n")
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join()


@lru_cache
def _address_of(host: str) -> str:
    """Asked once: builds ask for the same few names, dozens at a time, which is more than some name servers bear."""
    with _ASKING:
        for pause in (0.5, 1.0, 2.0, 4.0):
            try:
                return socket.gethostbyname(host)
            except socket.gaierror:
                time.sleep(pause)
        return socket.gethostbyname(host)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while chunk := source.recv(65536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


if __name__ == "__main__":
    main()
