"""Who calls at the control socket, by the kernel's word, and whether they may: *decide*; and the look at /proc."""

import os
import pwd
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from agent.control.messages import RefusedError
from agent.running.kernel import process_stat

_CREDENTIALS = struct.Struct("3i")
_MOST_ANCESTORS = 1000


@dataclass(frozen=True, slots=True)
class Caller:
    """The process that connected."""

    pid: int
    uid: int
    gid: int

    @property
    def name(self) -> str:
        """Of its user."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"user {self.uid}"

    @property
    def is_owner(self) -> bool:
        """Whether it may do all that the agent may; members of the socket's group may less."""
        return self.uid in (0, os.geteuid())


def caller_of(connection: socket.socket) -> Caller:
    """Who is at the other end."""
    content = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Caller(*_CREDENTIALS.unpack(content))


def refuse_probers(caller: Caller, *, parent_of: Callable[[int], int | None] | None = None) -> None:
    """RefusedError if the caller was started by this agent.

    The permissions of the socket keep out every other user; but an agent that is not root has the same user as the
    probers that it runs, and none of them shall pause another one or have it run.
    """
    parent_of = parent_of or _parent_of
    me, pid = os.getpid(), caller.pid
    for _ in range(_MOST_ANCESTORS):
        parent = parent_of(pid)
        if parent is None or parent <= 0:
            return
        if parent == me:
            raise RefusedError(403, "what this agent runs may not ask it anything")
        pid = parent


def _parent_of(pid: int) -> int | None:
    stat = process_stat(pid)
    return stat.parent if stat else None
