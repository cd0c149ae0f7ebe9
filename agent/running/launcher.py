"""The process that starts programs for the agent, in one sandbox; a program of its own, see `launchers.py`.

It enters the sandbox once and starts every program by posix_spawn, so that a limit costs nothing per run and
holds from a program's first instruction on.
It is the parent of its runs and, as a sub-reaper, of what they leave behind, and it ends with all of them as soon as
the agent's end of the socket is closed, however the agent ended.
docs/decisions/0020-launchers.md says why.
"""

import gc
import heapq
import os
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Container
from functools import partial

from agent.running import kernel, wire
from agent.running.limits import Limits
from agent.running.orphans import Orphans
from agent.running.outbox import NEVER_NS, Outbox
from agent.running.private_folders import Folders
from agent.running.sandbox import Sandbox
from agent.running.started import Run
from agent.running.warm_parents import WarmParents

_MS_NS = 1_000_000
# Orphans are looked for when a run has ended, and again while some are left, with longer and longer pauses.
_SWEEP_SOON_NS = 250 * _MS_NS
_SWEEP_AGAIN_NS = 20 * _MS_NS
_SWEEP_NS = 1000 * _MS_NS
# How often the limits of a run as a whole are looked at; a run shorter than this costs nothing.
_WATCH_NS = 200 * _MS_NS
_LAST_SWEEPS_NS = 5000 * _MS_NS
_REAPED_PER_ROUND = 256
_ENDS_BYTES = 4096
_ANCILLARY_BYTES = socket.CMSG_SPACE(4 * (3 * wire.MAX_STARTS + 1))
# Starts that are due at once, since we or the host stood still, are so far apart.
_SPACING_NS = 2 * _MS_NS
# Whatever else there is to do waits for a start that is nearer than this.
_NEAR_NS = 1 * _MS_NS
# And so long for who has just been started, if there is time enough before the next start: we would take its processor.
_HEAD_START_NS = _MS_NS * 2 // 5
_ROOMY_NS = _NEAR_NS + 2 * _HEAD_START_NS
# What Python itself ignores, a program must not.
_DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ)
# Not a function in Python: the time is looked at several times for each run.
_now_ns = partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)


class Launcher:
    """Serves the requests of one agent until it closes the socket."""

    def __init__(self, agent: socket.socket, sandbox: Sandbox) -> None:
        self._agent = agent
        self._sandbox = sandbox
        self._runs: dict[int, Run] = {}  # in progress, by pid
        # Moment, number and run.
        self._planned: list[tuple[int, int, Run]] = []
        self._next_start_ns = 0
        # What the agent has asked for and nobody has looked at, and the descriptors that came along.
        self._requests: deque[bytes] = deque()
        self._descriptors: list[int] = []
        self._outbox = Outbox(agent)
        self._orphans = Orphans(sandbox.temporary)
        self._limits = Limits(sandbox, self._orphans)
        self._folder = b""
        self._sweep_at_ns = _now_ns() + _SWEEP_NS
        self._sweep_pause_ns = _SWEEP_AGAIN_NS
        self._watch_at_ns = NEVER_NS
        self._folders = Folders(sandbox.temporary)
        # When we waited last, and before that, when all in `_runs` were alive.
        self._waited_ns = self._alive_ns = _now_ns()
        # Whether children may have ended that were not looked at.
        self._more_ended = False
        self._poll = select.epoll()
        self._parents = WarmParents(
            self._poll, sandbox.temporary, memory_bytes=sandbox.memory_bytes, clock_ns=_now_ns
        )
        # Not a handler in Python, which would cost as much as all that follows.
        self._ends = kernel.ends_of_children()

    def serve(self) -> None:
        """Until the agent has gone; nothing that was started is left then."""
        agent, ends, parents = self._agent.fileno(), self._ends, self._poll.fileno()
        # Not all of it by one `epoll`, which waits for whole milliseconds.
        watched = agent, ends, parents
        seconds = 0.0
        while True:
            # As long as there are requests, we listen to no more of them.
            ready = select.select(watched[bool(self._requests) :], (), (), seconds)[0]
            if ready:
                if ends in ready:
                    self._hear_ends()
                if parents in ready:
                    self._hear_parents([descriptor for descriptor, _ in self._poll.poll(0)])
                if self._more_ended:
                    self._reap()
                if agent in ready and not self._hear_agent():
                    break
            seconds = self._go_on()
        self._end_all()

    def _go_on(self) -> float:
        """Start what is due, do what else there is to do, but not shortly before or after a start; in how many seconds there is more.

        Never more than one start or one look around at a time: meanwhile nobody hears of ends and requests.
        """
        now_ns = _now_ns()
        self._alive_ns, self._waited_ns = self._waited_ns, now_ns
        start_ns = self._next_start()
        late_ns = now_ns - start_ns
        # However close the starts are, between two of them there is time for something else.
        is_free = late_ns >= 0
        has_head_start = 0 <= late_ns < _HEAD_START_NS
        if is_free:
            self._start_planned(now_ns)
            now_ns, start_ns = _now_ns(), self._next_start()
        while start_ns - now_ns >= _NEAR_NS or is_free:
            look_ns = min(self._watch_at_ns, self._sweep_at_ns)
            say_at_ns = self._outbox.say_at_ns
            # They have waited for long enough, or would before we are awake again.
            has_messages = say_at_ns < start_ns or say_at_ns <= now_ns
            if not (self._requests or has_messages or self._more_ended or now_ns >= look_ns):
                start_ns = min(start_ns, look_ns)
                break
            if has_head_start and start_ns - now_ns >= _ROOMY_NS:
                return _HEAD_START_NS / 1e9
            if self._requests:
                self._take_request(self._requests.popleft())
                # In a backlog a request would wait for very many starts.
                is_free = late_ns > _NEAR_NS
            elif has_messages:
                self._outbox.say()
                is_free = False
            else:
                self._look_around(now_ns)
                return 0.0
            now_ns, start_ns = _now_ns(), self._next_start()
        return max(0.0, (start_ns - now_ns) / 1e9)

    def _look_around(self, now_ns: int) -> None:
        """This may take long."""
        if self._more_ended:
            self._reap()
        elif now_ns >= self._watch_at_ns:
            self._watch(now_ns)
            self._watch_at_ns = _now_ns() + _WATCH_NS
        else:
            self._look_for_orphans()

    def _next_start(self) -> int:
        """The moment of the next planned start."""
        return max(self._planned[0][0], self._next_start_ns) if self._planned else NEVER_NS

    def _hear_ends(self) -> None:
        self._more_ended = True
        try:  # noqa: SIM105 - of each run: no context manager
            os.read(self._ends, _ENDS_BYTES)
        except BlockingIOError:
            pass

    def _hear_agent(self) -> bool:
        """Whether the agent is still there."""
        try:
            # Not `socket.recv_fds`: it forgets the flag, and each program would get the pipes of the others.
            packet, ancillary, _, _ = self._agent.recvmsg(
                wire.MAX_PACKET_BYTES, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionError:
            return False
        if not packet:
            return False
        self._descriptors = [
            number for *_, content in ancillary for (number,) in struct.iter_unpack("i", content)
        ]
        if packet == wire.IN_FILE:
            packet = kernel.content_of(self._descriptors.pop())
        self._requests.extend(wire.messages_in(packet))
        return True

    def _take_request(self, message: bytes) -> None:
        if message.startswith(wire.START):
            self._start(message)
            return
        kind, *fields = wire.fields_of(message)
        if kind == wire.SIGNAL:
            self._signal(*map(int, fields))
        elif kind == wire.FORGET:
            folder, *arguments = fields
            self._parents.forget((folder, tuple(arguments)))

    def _start(self, request: bytes) -> None:
        """Now, or when it is to be; what can be done before that is done now."""
        run = Run(request, self._descriptors)
        try:
            self._folders.give(run)
        except OSError as error:
            self._refuse(run, error)
            return
        if run.at_ns:
            heapq.heappush(self._planned, (run.at_ns, run.number, run))
        else:
            self._start_now(run)

    def _start_planned(self, now_ns: int) -> None:
        at_ns, _, run = heapq.heappop(self._planned)
        # Who is a little late does not make the next ones late.
        self._next_start_ns = max(at_ns, now_ns - _SPACING_NS // 2) + _SPACING_NS
        self._start_now(run)

    def _start_now(self, run: Run) -> None:
        if run.script:
            try:
                self._enter(run.program.folder)
                if self._parents.take(run):
                    return
            except OSError as error:
                self._refuse(run, error)
                return
            if reason := self._parents.reason(run):
                self._send(wire.cold_message(run.number, reason))
        self._start_directly(run)

    def _start_directly(self, run: Run) -> None:
        run.started_ns = _now_ns()
        try:
            self._enter(run.program.folder)
            run.pid = self._spawn(run)
        except OSError as error:
            self._refuse(run, error)
            return
        has_input = len(run.descriptors) > 2
        run.close_descriptors()
        self._begin(run)
        if has_input:
            self._send(wire.begun_message(run.number, run.pid))

    def _begin(self, run: Run) -> None:
        self._runs[run.pid] = run
        if self._watch_at_ns == NEVER_NS:
            self._watch_at_ns = run.started_ns + _WATCH_NS

    def _refuse(self, run: Run, error: OSError) -> None:
        run.close_descriptors()
        self._send(wire.refusal(run.number, error))
        self._folders.take_back(run)

    def _enter(self, folder: bytes) -> None:
        if folder != self._folder:
            os.chdir(folder)
            self._folder = folder

    def _hear_parents(self, ready: Container[int] | None) -> None:
        for run in self._parents.begun(ready):
            self._begin(run)
        while self._parents.first:
            self._send(wire.warmed_message(self._parents.first.pop()))
        for run in self._parents.returned():
            self._start_directly(run)

    def _spawn(self, run: Run) -> int:
        arguments = run.program.arguments
        *given, out, err = run.descriptors
        actions = [(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, err, 2)]
        if given:
            # Who has no input of its own has ours, which is empty.
            actions.append((os.POSIX_SPAWN_DUP2, given[0], 0))
        return os.posix_spawnp(
            arguments[0],
            arguments,
            run.environment,
            file_actions=actions,
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
        for plan in self._planned:
            if plan[1] == number:
                self._planned.remove(plan)
                heapq.heapify(self._planned)
                self._give_up(plan[2], -signal_number)
                return
        if pending := self._parents.give_up(number):
            self._give_up(pending, -signal.SIGKILL)

    def _give_up(self, run: Run, exit_code: int) -> None:
        """It ends before it has begun."""
        run.close_descriptors()
        self._send(wire.end_message(wire.RunEnd(run.number, exit_code, "", (0, 0, 0))))
        self._folders.take_back(run)

    def _reap(self) -> None:
        self._more_ended = False
        for _ in range(_REAPED_PER_ROUND):
            if not self._runs and not self._parents.has_processes:
                # What else may have ended is looked for later: to ask for it costs an exception.
                return
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
        now_ns = _now_ns()
        run.note_end(status, usage, now_ns=now_ns, alive_ns=self._alive_ns)
        self._outbox.put_end(run, now_ns)
        self._folders.take_back(run)
        if not self._runs:
            self._watch_at_ns = NEVER_NS
        self._sweep_pause_ns = _SWEEP_AGAIN_NS
        self._sweep_at_ns = min(self._sweep_at_ns, now_ns + _SWEEP_SOON_NS)

    def _look_for_orphans(self) -> None:
        self._parents.look_after()
        left = self._sweep()
        self._sweep_at_ns = _now_ns() + (self._sweep_pause_ns if left else _SWEEP_NS)
        self._sweep_pause_ns = min(_SWEEP_NS, 2 * self._sweep_pause_ns)

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
        old = [run for run in self._runs.values() if now_ns - run.started_ns >= _WATCH_NS]
        if old:
            self._limits.enforce(old, own=self._runs.keys() | self._parents.pids)

    def _send(self, message: bytes) -> None:
        self._outbox.put(message, _now_ns())

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


def _has_ended(pid: int) -> bool:
    """Whether nobody has to be ended any more; its status stays for whoever waits for it."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def main() -> None:
    """Serve the agent at the other end of standard input."""
    gc.freeze()
    sandbox = Sandbox(sys.argv[1:])
    # Its number is taken by what the programs read: nothing.
    agent = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC), 0)
    sandbox.enter()
    Launcher(agent, sandbox).serve()
