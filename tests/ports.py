"""Ports for programs that cannot be told to choose one themselves."""

import errno
import random
import socket

# The kernel gives outgoing connections and port 0 numbers from 32768 up: what is free there now may be taken a moment later.
_NOBODYS = range(10_000, 32_000)


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Ports of an address that were free a moment ago and that the kernel gives to nobody, each another one."""
    taken: dict[int, socket.socket] = {}
    # Other test runs choose at the same time: not all of them the same ones.
    for port in random.SystemRandom().sample(_NOBODYS, len(_NOBODYS)):
        if len(taken) == count:
            break
        try:
            taken[port] = socket.create_server((address, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    for one in taken.values():
        one.close()
    return list(taken)
