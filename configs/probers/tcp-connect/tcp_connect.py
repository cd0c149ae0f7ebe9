"""Open a TCP connection to VAR_TARGET (host:port). Exit 0: opened, 1: not, 3: the prober itself is broken."""

import argparse
import os
import socket
import sys
import time
import traceback


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


def host_and_port(text):
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"expected host:port, not {text!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def positive_seconds(text):
    seconds = float(text)
    if not 0 < seconds < 86400:
        raise ValueError
    return seconds


def options():
    parser = Parser(description=__doc__)
    parser.add_argument("--target", type=host_and_port, default=os.environ.get("VAR_TARGET"))
    parser.add_argument(
        "--timeout-seconds",
        type=positive_seconds,
        default=os.environ.get("VAR_TIMEOUT_SECONDS", "2"),
    )
    given = parser.parse_args()
    if not given.target:
        parser.error("no target: set VAR_TARGET or --target to host:port")
    return given


def connected(host, port, deadline):
    """A connection to the first address of the host that answers before the deadline; OSError if none does."""
    reason = OSError("the name has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            reason = error
        else:
            return connection
    raise reason


def main():
    given = options()
    host, port = given.target
    started = time.monotonic()
    try:
        connected(host, port, started + given.timeout_seconds).close()
    except TimeoutError:
        sys.exit(f"no connection to {host}:{port} within {given.timeout_seconds} s")
    except OSError as error:
        sys.exit(f"cannot connect to {host}:{port}: {error.strerror or error}")
    print("# TYPE tcp_connect_seconds gauge")
    print(f"tcp_connect_seconds {time.monotonic() - started:.6f}")


if __name__ == "__main__":
    main()
