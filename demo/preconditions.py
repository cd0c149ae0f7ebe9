"""What must hold before the demo starts: one demo per folder, and its ports free."""

import fcntl
import os
import socket
from pathlib import Path

from demo.errors import DemoError
from demo.services import LOOPBACK, Ports


def only_demo_in(folder: Path) -> int:
    """Lock the folder for this process; the descriptor holds the lock until it is closed. DemoError if taken."""
    lock = os.open(folder / "demo.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise DemoError(
            f"another demo runs in {folder}; MR_PROBER_DEMO_DIR names another folder"
        ) from None
    return lock


def refuse_taken_ports(ports: Ports) -> None:
    """DemoError with the port and its setting, if something listens there already."""
    settings = {
        "MR_PROBER_API_PORT": ports.api,
        "MR_PROBER_SOLOMON_STAND_IN_PORT": ports.solomon,
        "MR_PROBER_DEMO_TCP_PORT": ports.tcp_target,
        "MR_PROBER_DEMO_HTTP_PORT": ports.http_target,
        "MR_PROBER_DEMO_DNS_PORT": ports.dns_target,
    }
    for setting, port in settings.items():
        kind = socket.SOCK_DGRAM if port == ports.dns_target else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                raise DemoError(
                    f"port {port} is taken ({error.strerror}); {setting} names another one"
                ) from error
