"""The process that starts programs for the agent, in one sandbox; a program of its own, see `launchers.py`.

It enters the sandbox once and starts every program by posix_spawn, so that a limit costs nothing per run and
holds from a program's first instruction on.
It is the parent of its runs and, as a sub-reaper, of what they leave behind, and it ends with all of them as soon as
the agent's end of the socket is closed, however the agent ended.
docs/decisions/0020-launchers.md says why.
"""

import contextlib
import gc
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Container

from agent.running import kernel, wire
from agent.running.orphans import Orphans
from agent.running.private_folders import Folders
from agent.running.sandbox import Sandbox
from agent.running.warm_parents import Pending, WarmParents

_MS_NS = 1_000_000
# Orphans are looked for when a run has ended, and then with longer and longer pauses while some are left.
_SWEEP_SOON_NS = 100 * _MS_NS
_SWEEP_NS = 1000 * _MS_NS
# How often the limits of a run as a whole are looked at; a run shorter than this costs nothing.
_WATCH_NS = 200 * _MS_NS
_LAST_SWEEPS_NS = 5000 * _MS_NS
_REAPED_PER_ROUND = 256
_ANCILLARY_BYTES = socket.CMSG_SPACE(4 * 4)  # of up to four descriptors
# What Python itself ignores, a program must not.
_DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ)


class Run:
    """A started program; `pid` is not waited for yet, so that nobody else can have it."""

    __slots__ = ("breach", "cpu_seconds", "name", "number", "pid", "signalled", "started_ns")

    def __init__(self, request: wire.StartRequest, name: str, pid: int, *, started_ns: int) -> None:
        """`name` is that of its TMPDIR."""
        self.number = request.number
        self.name = name
        self.cpu_seconds = request.cpu_seconds
        self.pid = pid
        self.started_ns = started_ns
        self.breach = ""
        self.signalled = False


class Launcher:
    """Serves the requests of one agent until it closes the socket."""

    def __init__(self, agent: socket.socket, sandbox: Sandbox) -> None:
        self._agent = agent
        self._sandbox = sandbox
        self._runs: dict[int, Run] = {}  # by pid
        self._orphans = Orphans(sandbox.temporary)
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._folder = ""
        self._sweep_at_ns = self._watch_at_ns = _now_ns() + _SWEEP_NS
        self._sweep_pause_ns = _SWEEP_SOON_NS
        self._folders = Folders(sandbox.temporary)
        # Whether children may have ended that were not looked at.
        self._more_ended = False
        self._poll = select.poll()
        self._parents = WarmParents(
            self._poll, sandbox.temporary, memory_bytes=sandbox.memory_bytes, clock_ns=_now_ns
        )
        self._wakeup, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Until the agent has gone; nothing that was started is left then."""
        self._poll.register(self._agent, select.POLLIN)
        self._poll.register(self._wakeup, select.POLLIN)
        agent = self._agent.fileno()
        while True:
            ready = [descriptor for descriptor, _ in self._poll.poll(self._wait_ms())]
            if self._wakeup in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakeup, 4096)
                self._more_ended = True
            if len(ready) > (self._wakeup in ready) + (agent in ready):
                self._hear_parents(ready)
            if self._more_ended:
                self._reap()
            if agent in ready and not self._take_request():
                break
            self._look_after()
        self._end_all()

    def _wait_ms(self) -> float:
        if self._more_ended:
            return 0.0
        moment_ns = self._sweep_at_ns
        if self._runs:
            moment_ns = min(moment_ns, self._watch_at_ns)
        return max(0.0, (moment_ns - _now_ns()) / _MS_NS)

    def _take_request(self) -> bool:
        """Whether the agent is still there."""
        try:
            # Not `socket.recv_fds`: it forgets the flag, and each program would get the pipes of the others.
            packet, ancillary, _, _ = self._agent.recvmsg(
                wire.MAX_PACKET_BYTES, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionError:
            return False
        descriptors = [
            number for *_, content in ancillary for (number,) in struct.iter_unpack("i", content)
        ]
        if packet == wire.IN_FILE:
            packet = _content(descriptors.pop())
        fields = packet.split(b"\0")
        if fields[0] == wire.START:
            self._start(wire.parsed_start(fields), descriptors)
        elif fields[0] == wire.SIGNAL:
            self._signal(int(fields[1]), int(fields[2]))
        elif fields[0] == wire.FORGET:
            folder, *arguments = (one.decode(errors="surrogateescape") for one in fields[1:])
            self._parents.forget((folder, tuple(arguments)))
        return bool(packet)

    def _start(self, request: wire.StartRequest, descriptors: list[int]) -> None:
        name = ""
        try:
            name = self._folders.take()
            request.environment["TMPDIR"] = f"{self._sandbox.temporary}/{name}"
            if targets := request.environment.get(wire.TARGETS):
                request.environment[wire.TARGETS] = self._folders.put_targets(name, targets)
            self._enter(request.folder)
            if request.script:
                if self._parents.take(request, name, descriptors):
                    return
                if reason := self._parents.reason(request):
                    self._send(wire.cold_message(request.number, reason))
        except OSError as error:
            self._refuse(request, name, descriptors, error)
        else:
            self._start_directly(request, name, descriptors)

    def _start_directly(
        self, request: wire.StartRequest, name: str, descriptors: list[int]
    ) -> None:
        now_ns = _now_ns()
        try:
            self._enter(request.folder)
            pid = self._spawn(request, descriptors)
        except OSError as error:
            self._refuse(request, name, descriptors, error)
            return
        _close(descriptors)
        self._begin(Run(request, name, pid, started_ns=now_ns))
        if len(descriptors) > 2:
            self._send(wire.begun_message(request.number, pid))

    def _begin(self, run: Run) -> None:
        # The kernel's own limit is per process; the sum is looked at with the other limits of the run.
        if run.cpu_seconds:
            with contextlib.suppress(OSError):
                limits = run.cpu_seconds, run.cpu_seconds + 1
                resource.prlimit(run.pid, resource.RLIMIT_CPU, limits)
        self._runs[run.pid] = run
        self._watch_at_ns = min(self._watch_at_ns, run.started_ns + _WATCH_NS)

    def _refuse(
        self, request: wire.StartRequest, name: str, descriptors: list[int], error: OSError
    ) -> None:
        _close(descriptors)
        self._send(wire.refusal(request.number, error))
        if name:
            self._folders.give_back(name)

    def _enter(self, folder: str) -> None:
        if folder != self._folder:
            os.chdir(folder)
            self._folder = folder

    def _hear_parents(self, ready: Container[int] | None) -> None:
        for pending, pid in self._parents.begun(ready):
            run = Run(pending.request, pending.name, pid, started_ns=pending.asked_ns)
            self._begin(run)
        while self._parents.first:
            self._send(wire.warmed_message(self._parents.first.pop()))
        for pending in self._parents.returned():
            self._start_directly(pending.request, pending.name, pending.descriptors)

    def _spawn(self, request: wire.StartRequest, descriptors: list[int]) -> int:
        *given, out, err = descriptors
        return os.posix_spawnp(
            request.arguments[0],
            request.arguments,
            request.environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, given[0] if given else self._null, 0),
                (os.POSIX_SPAWN_DUP2, out, 1),
                (os.POSIX_SPAWN_DUP2, err, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=_DEFAULT_SIGNALS,
        )

    def _signal(self, number: int, signal_number: int) -> None:
        for run in self._runs.values():
            if run.number == number:
                # Whether the end was its own is known only here: the agent may have been held up for long.
                run.signalled = run.signalled or not _has_ended(run.pid)
                kernel.send_group(run.pid, signal_number)
                return
        if pending := self._parents.give_up(number):
            self._end_unbegun(pending)

    def _end_unbegun(self, pending: Pending) -> None:
        self._send(
            wire.end_message(wire.RunEnd(pending.request.number, -signal.SIGKILL, "", (0, 0, 0)))
        )
        self._folders.give_back(pending.name)

    def _reap(self) -> None:
        self._more_ended = False
        for _ in range(_REAPED_PER_ROUND):
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            if ended.si_pid not in self._runs and self._parents.pending:
                # It may be a run that has begun since we listened.
                self._hear_parents(None)
            run = self._runs.pop(ended.si_pid, None)
            if run is None:
                os.waitpid(ended.si_pid, 0)
                self._parents.forget_process(ended.si_pid)
            else:
                self._finish(run)
        self._more_ended = True

    def _finish(self, run: Run) -> None:
        # Before the wait: as long as nobody waited, the number of the group cannot belong to somebody else.
        kernel.send_group(run.pid, signal.SIGKILL)
        _, status, usage = os.wait4(run.pid, 0)
        figures = round(usage.ru_utime * 1e6), round(usage.ru_stime * 1e6), usage.ru_maxrss * 1024
        exit_code = os.waitstatus_to_exitcode(status)
        now_ns = _now_ns()
        end = wire.RunEnd(
            run.number, exit_code, run.breach, figures,
            elapsed_us=(now_ns - run.started_ns) // 1000, signalled=run.signalled,
        )  # fmt: skip
        self._send(wire.end_message(end))
        if not self._folders.give_back(run.name):
            self._send(wire.litter_message(run.name))
        self._sweep_pause_ns = _SWEEP_SOON_NS
        self._sweep_at_ns = min(self._sweep_at_ns, now_ns + _SWEEP_SOON_NS)

    def _look_after(self) -> None:
        now_ns = _now_ns()
        if self._runs and now_ns >= self._watch_at_ns:
            self._watch_at_ns = now_ns + _WATCH_NS
            self._watch(now_ns)
        if now_ns >= self._sweep_at_ns:
            self._parents.look_after()
            left = self._sweep()
            self._sweep_pause_ns = min(_SWEEP_NS, 2 * self._sweep_pause_ns)
            self._sweep_at_ns = now_ns + (self._sweep_pause_ns if left else _SWEEP_NS)

    def _sweep(self) -> bool:
        """Whether orphans are left that must go."""
        active = {run.name: run.started_ns for run in self._runs.values()}
        active |= self._parents.pending
        left = bool(self._orphans.sweep(self._runs.keys() | self._parents.pids, active))
        while self._parents.litter:
            self._send(wire.litter_message(self._parents.litter.pop()))
        if not left:
            for name in self._folders.clear():
                self._send(wire.litter_message(name))
        return left

    def _watch(self, now_ns: int) -> None:
        """Kill the runs that are over a limit as a whole; what left the group counts, too."""
        old = [run for run in self._runs.values() if now_ns - run.started_ns >= _WATCH_NS]
        if not old:
            return
        strays: dict[str, list[int]] = {}
        own = self._runs.keys() | self._parents.pids
        for pid in set(kernel.children_of(os.getpid())) - own:
            if name := self._orphans.name_of(pid):
                strays.setdefault(name, []).append(pid)
        for run in old:
            members: dict[int, kernel.Stat] = {}
            for pid in (run.pid, *strays.get(run.name, ())):
                members |= kernel.tree(pid, limit=self._sandbox.processes + 1)
            run.breach = run.breach or self._breach(run, list(members.values()))
            if run.breach:
                self._end(run, strays.get(run.name, []))

    def _end(self, run: Run, strays: list[int]) -> None:
        for pid in kernel.halted(lambda: (run.pid, *strays)):
            kernel.send(pid, signal.SIGKILL)
        kernel.send_group(run.pid, signal.SIGKILL)

    def _breach(self, run: Run, members: list[kernel.Stat]) -> str:
        """The setting whose limit the run is over."""
        if len(members) > self._sandbox.processes:
            return "processes"
        if sum(member.rss_bytes for member in members) > self._sandbox.memory_bytes:
            return "memory_mb"
        cpu_ns = sum(member.cpu_ticks for member in members) * kernel.TICK_NS
        if run.cpu_seconds and cpu_ns > run.cpu_seconds * 10**9:
            return "cpu_seconds"
        return ""

    def _send(self, packet: bytes) -> None:
        # A dead agent is noticed by the next read.
        with contextlib.suppress(OSError):
            self._agent.send(packet)

    def _end_all(self) -> None:
        limit_ns = _now_ns() + _LAST_SWEEPS_NS
        self._parents.close()
        for run in self._runs.values():
            kernel.send_group(run.pid, signal.SIGKILL)
        while _now_ns() < limit_ns:
            self._reap()
            if not self._runs and not self._orphans.sweep((), {}):
                return
            time.sleep(0.005)


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _has_ended(pid: int) -> bool:
    """Whether nobody has to be ended any more; its status stays for whoever waits for it."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _content(descriptor: int) -> bytes:
    try:
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)


def _now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def main() -> None:
    """Serve the agent at the other end of standard input."""
    gc.freeze()
    sandbox = Sandbox(sys.argv[1:])
    # Its number is taken by what the programs read: nothing.
    agent = socket.socket(fileno=os.dup(0))
    sandbox.enter()
    Launcher(agent, sandbox).serve()
