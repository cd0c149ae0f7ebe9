"""Send random bytes to the TCP echo of another host, expect them back. Exit 0: they came, 1: not, 3: broken prober.

The host is VAR_TARGET, its address VAR_TARGET_ADDRESS, the port VAR_MACHINE_PORT.
"""

import argparse
import os
import socket
import sys
import time
import traceback

MESSAGE_BYTES = 32


def broken(*error):
    """Our own bug must not blame the target: exit 3 instead of Python's 1."""
    traceback.print_exception(*error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(3)


sys.excepthook = broken


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(3, f"{self.prog}: {message}\n")


def port_number(text):
    port = int(text)
    if not 0 < port < 65536:
        raise ValueError
    return port


def positive_seconds(text):
    seconds = float(text)
    if not 0 < seconds < 86400:
        raise ValueError
    return seconds


def options():
    parser = Parser(description=__doc__)
    parser.add_argument("--address", default=os.environ.get("VAR_TARGET_ADDRESS"))
    parser.add_argument("--port", type=port_number, default=os.environ.get("VAR_MACHINE_PORT"))
    parser.add_argument(
        "--timeout-seconds",
        type=positive_seconds,
        default=os.environ.get("VAR_TIMEOUT_SECONDS", "2"),
    )
    given = parser.parse_args()
    if not given.address:
        host = os.environ.get("VAR_TARGET", "the target")
        parser.error(f"no address of {host}: the recipe's output mr_prober_hosts gives it")
    if not given.port:
        parser.error("no port: set VAR_MACHINE_PORT or --port")
    return given


def echo(connection, message, deadline):
    """As many bytes as were sent, or fewer if the other side closes; TimeoutError after the deadline."""
    connection.settimeout(max(deadline - time.monotonic(), 0.001))
    connection.sendall(message)
    received = b""
    while len(received) < len(message):
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        chunk = connection.recv(len(message) - len(received))
        if not chunk:
            break
        received += chunk
    return received


def main():
    given = options()
    place = f"{given.address}:{given.port}"
    message = os.urandom(MESSAGE_BYTES)
    started = time.monotonic()
    deadline = started + given.timeout_seconds
    step = "connection to"
    try:
        with socket.create_connection(
            (given.address, given.port), given.timeout_seconds
        ) as connection:
            connected = time.monotonic()
            step = "echo from"
            received = echo(connection, message, deadline)
    except TimeoutError:
        sys.exit(f"no {step} {place} within {given.timeout_seconds} s")
    except OSError as error:
        sys.exit(f"no {step} {place}: {error.strerror or error}")
    if received != message:
        sys.exit(f"{place} sent back {len(received)} bytes that are not the {MESSAGE_BYTES} sent")
    print("# TYPE mesh_tcp_connect_seconds gauge")
    print(f"mesh_tcp_connect_seconds {connected - started:.6f}")
    print("# TYPE mesh_tcp_echo_seconds gauge")
    print(f"mesh_tcp_echo_seconds {time.monotonic() - connected:.6f}")


if __name__ == "__main__":
    main()
