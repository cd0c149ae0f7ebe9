"""The agent's side of the launchers, one for each sandbox that is in use: *act*.

`Launchers` is how a run is started: whoever starts runs in another way speaks the same messages (`wire.py`).
"""

import contextlib
import errno
import logging
import os
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.clocks import boot_ns
from agent.plan import Sandbox
from agent.running import wire
from agent.running.users import Users, identity_of
from agent.running.wiper import Wiper
from common import processes

log = logging.getLogger(__name__)

_PROGRAM = f"import sys; sys.path.append({str(Path(__file__).parents[2])!r}); from agent.running.launcher import main; main()"
# Not `-E`, which is part of it: nothing of the agent's environment or site reaches a launcher.
_PYTHON = (sys.executable, "-I", "-S", "-c", _PROGRAM)
_SEND_BUFFER_BYTES = 1024 * 1024
_PACKETS_PER_EVENT = 64
# What is planned goes in packets of this size; one request may be larger, and then goes by itself.
_MAX_LATER_BYTES = 32 * 1024
# It kills what it has started and ends; only one that was stopped or hangs takes longer.
_END_NS = 6 * 1_000_000_000
_UNKILLABLE_NS = 2 * 1_000_000_000
_END_PAUSE_SECONDS = 0.005
_IDLE_NS = 600 * 1_000_000_000


class Listener(Protocol):
    """Who is told about runs, by their number."""

    def ended(self, end: wire.RunEnd) -> None:
        """The process has ended and was waited for."""

    def refused(self, number: int, error: OSError) -> None:
        """The program could not be started."""

    def begun(self, number: int, pid: int) -> None:
        """A program with an input has been started as this process."""

    def warmed(self, number: int) -> None:
        """This run is the first one that its warm parent has forked."""

    def cold(self, number: int, reason: str) -> None:
        """This run and those like it are started as in mode `run`, since no warm parent can be had."""

    def lost(self, numbers: Sequence[int]) -> None:
        """The launcher of these runs has ended before them; what is left of them becomes the agent's."""


class Launcher:
    """One launcher process and the runs that it has started."""

    def __init__(self, process: processes.Process, agent_end: socket.socket, folder: Path) -> None:
        """`folder` is where its runs have their TMPDIR."""
        self.process = process
        self.socket = agent_end
        self.folder = folder
        self.runs: set[int] = set()
        self.used_at_ns = 0
        # Once it was told to end: until when it may take.
        self.end_by_ns = 0
        # What starts later than now, to be sent at once: (message, descriptors, which are ours).
        self._later: list[tuple[bytes, tuple[int, ...]]] = []
        self._later_bytes = 0

    def start(
        self, number: int, program: bytes, descriptors: tuple[int, ...], *, script: int = 0
    ) -> None:
        """Start a program (`wire.encoded_program`); OSError if that cannot even be tried.

        Its output goes to the last two descriptors, one before them is its input. `script`: see `wire.start_request`.
        """
        request = wire.start_request(number, program, script=script, descriptors=len(descriptors))
        packet = wire.packet_of([request])
        self.runs.add(number)
        try:
            if len(packet) < wire.MAX_PACKET_BYTES:
                self._send(packet, descriptors)
            else:
                self._send_in_file(packet, descriptors)
        except OSError as error:
            self.runs.discard(number)
            # It has not read its requests for very long, or has ended.
            self.kill()
            raise OSError(
                errno.EAGAIN, "the launcher does not answer, a new one follows"
            ) from error

    def plan(
        self, number: int, program: bytes, descriptors: tuple[int, ...], *, script: int, at_ns: int
    ) -> None:
        """Start a program at a moment of CLOCK_BOOTTIME; the launcher is told by the next `send`.

        The descriptors are ours from now on. If it cannot be told, its runs are lost.
        """
        request = wire.start_request(number, program, script=script, at_ns=at_ns)
        size = self._later_bytes + len(request)
        if self._later and (size > _MAX_LATER_BYTES or len(self._later) >= wire.MAX_STARTS):
            self.send()
        self.runs.add(number)
        self._later.append((request, descriptors))
        self._later_bytes += len(request)

    def send(self) -> None:
        """Tell the launcher what was planned."""
        if not self._later:
            return
        later, self._later, self._later_bytes = self._later, [], 0
        packet = wire.packet_of(request for request, _ in later)
        descriptors = [one for _, theirs in later for one in theirs]
        try:
            if len(packet) < wire.MAX_PACKET_BYTES:
                self._send(packet, descriptors)
            else:
                self._send_in_file(packet, descriptors)
        except OSError:
            # Its end is heard like any other, and then all of its runs are lost.
            self.kill()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def close(self) -> None:
        """Let it end with all that it has started; what was planned and not sent is not started."""
        self.socket.close()
        for _, descriptors in self._later:
            for descriptor in descriptors:
                os.close(descriptor)
        self._later = []

    def _send_in_file(self, packet: bytes, descriptors: Sequence[int]) -> None:
        file = os.memfd_create("request", os.MFD_CLOEXEC)
        try:
            with open(file, "wb", closefd=False) as writer:
                writer.write(packet)
            self._send(wire.IN_FILE, (*descriptors, file))
        finally:
            os.close(file)

    def _send(self, packet: bytes, descriptors: Sequence[int]) -> None:
        # Not `socket.send_fds`, which imports and makes an array each time.
        content = struct.pack(f"{len(descriptors)}i", *descriptors)
        self.socket.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, content)])

    def signal(self, number: int, which: signal.Signals) -> None:
        """Send a signal to the process group of a run; nothing happens if it has just ended."""
        self.send()
        try:
            self.socket.send(wire.packet_of([wire.signal_request(number, which)]))
        except OSError:
            self.kill()

    def forget(self, folder: str, command: Sequence[str]) -> None:
        """Nobody runs this any more: its warm parent may go."""
        try:
            self.socket.send(wire.packet_of([wire.forget_request(folder, command)]))
        except OSError:
            self.kill()

    def is_stopped(self) -> bool:
        """Whether somebody has stopped it with a signal: a program of the same user can."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        with contextlib.suppress(OSError):
            return stat.read_bytes().rpartition(b")")[2].split()[0] in (b"T", b"t")
        return False

    def kill(self) -> None:
        """End it at once; its runs are lost."""
        self.process.kill()


@dataclass(frozen=True)
class Workplace:
    """Where runs happen, and with whose rights."""

    temporary: Path  # absolute; each launcher has a folder in it, and in that each run its TMPDIR
    path: str  # PATH of the programs
    users: Users
    wiper: Wiper
    group: Path | None = None  # the cgroup of all launchers
    warm_parents: int = 16  # at most


class Launchers:
    """All launchers of one agent; used by one thread only."""

    def __init__(
        self, selector: selectors.BaseSelector, place: Workplace, listener: Listener
    ) -> None:
        self._selector = selector
        self._place = place
        self._listener = listener
        self._launchers: dict[Sandbox, Launcher] = {}
        # Told to end, and not waited for yet.
        self._ending: list[Launcher] = []
        self._number = 0

    @property
    def pids(self) -> set[int]:
        """The launchers themselves."""
        return {one.process.pid for one in (*self._launchers.values(), *self._ending)}

    def launcher_for(self, sandbox: Sandbox, now_ns: int) -> Launcher:
        """The launcher of a sandbox, started if need be; OSError if this host does not permit or know the user."""
        launcher = self._launchers.get(sandbox)
        if launcher is None:
            launcher = self._started(sandbox)
            self._launchers[sandbox] = launcher
        launcher.used_at_ns = now_ns
        return launcher

    def forget(self, sandbox: Sandbox, folder: str, command: Sequence[str]) -> None:
        """Nobody runs this command any more: its warm parent may go."""
        if launcher := self._launchers.get(sandbox):
            launcher.forget(folder, command)

    def send(self) -> None:
        """Tell the launchers what was planned."""
        for launcher in list(self._launchers.values()):
            launcher.send()

    def look_after(self, now_ns: int) -> None:
        """Have those end that nobody has used for ten minutes, and wait for nobody: who hangs is killed later."""
        for sandbox, launcher in list(self._launchers.items()):
            if not launcher.runs and now_ns - launcher.used_at_ns > _IDLE_NS:
                self._remove(sandbox, launcher)
        for launcher in list(self._ending):
            self._bury(launcher, now_ns)

    def close(self) -> None:
        """End all of them, and wait for that; whatever still runs is killed."""
        for sandbox, launcher in list(self._launchers.items()):
            self._remove(sandbox, launcher)
        limit_ns = boot_ns() + _END_NS + _UNKILLABLE_NS
        for launcher in self._ending:
            launcher.end_by_ns = limit_ns - _UNKILLABLE_NS
        while self._ending and boot_ns() < limit_ns:
            self.look_after(boot_ns())
            time.sleep(_END_PAUSE_SECONDS if self._ending else 0.0)

    def _bury(self, launcher: Launcher, now_ns: int) -> None:
        if launcher.process.poll() is not None:
            self._ending.remove(launcher)
            self._place.wiper.wipe(launcher.folder)
        elif not launcher.end_by_ns:
            launcher.end_by_ns = now_ns + _END_NS
        elif now_ns >= launcher.end_by_ns:
            launcher.kill()

    def _started(self, sandbox: Sandbox) -> Launcher:
        identity = identity_of(self._place.users.chosen(sandbox.user))
        self._number += 1
        folder = self._place.temporary / str(self._number)
        folder.mkdir(mode=0o700)
        if identity.uid >= 0:
            os.chown(folder, identity.uid, identity.gid)
        agent_end, its_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        agent_end.setblocking(False)
        # Both: a launcher must not stand still, and so see ends too late, while we do.
        for end in (agent_end, its_end):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        arguments = (
            str(identity.uid), str(identity.gid), ",".join(map(str, identity.groups)),
            str(sandbox.memory_bytes), str(sandbox.processes), str(sandbox.open_files), str(folder),
            str(self._place.group or ""),
        )  # fmt: skip
        with its_end:
            process = processes.start(
                [*_PYTHON, *arguments],
                # Its TMPDIR is a mark: should we both be killed, the next agent finds it.
                environment={"PATH": self._place.path, "TMPDIR": str(folder / "launcher")},
                cwd=Path("/"),
                stdin=its_end.fileno(),
                stderr=sys.__stderr__.fileno() if sys.__stderr__ else processes.NOTHING,
            )
        launcher = Launcher(process, agent_end, folder)
        self._selector.register(
            agent_end, selectors.EVENT_READ, lambda _: self._hear(sandbox, launcher)
        )
        return launcher

    def _hear(self, sandbox: Sandbox, launcher: Launcher) -> None:
        """Take what the launcher has said; at the end of its file it is gone."""
        for _ in range(_PACKETS_PER_EVENT):
            try:
                packet = launcher.socket.recv(wire.MAX_PACKET_BYTES)
            except BlockingIOError:
                return
            except ConnectionError:
                packet = b""
            if not packet:
                log.warning(
                    "a launcher was killed user=%s pid=%d", sandbox.user, launcher.process.pid
                )
                self._remove(sandbox, launcher)
                return
            for message in wire.messages_in(packet):
                self._told(launcher, wire.fields_of(message))

    def _told(self, launcher: Launcher, fields: Sequence[bytes]) -> None:
        if fields[0] == wire.LITTER:
            self._place.wiper.wipe(launcher.folder / fields[1].decode())
            return
        number = int(fields[1])
        if fields[0] == wire.BEGUN:
            self._listener.begun(number, int(fields[2]))
        elif fields[0] == wire.WARMED:
            self._listener.warmed(number)
        elif fields[0] == wire.COLD:
            self._listener.cold(number, fields[2].decode(errors="replace"))
        else:
            launcher.runs.discard(number)
            if fields[0] == wire.ENDED:
                self._listener.ended(wire.parsed_end(fields))
            else:
                self._listener.refused(number, OSError(int(fields[2]), fields[3].decode()))

    def _remove(self, sandbox: Sandbox, launcher: Launcher) -> None:
        if self._launchers.get(sandbox) is launcher:
            del self._launchers[sandbox]
        self._selector.unregister(launcher.socket)
        launcher.close()
        self._ending.append(launcher)
        self._listener.lost(sorted(launcher.runs))
