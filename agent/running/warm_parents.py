"""The warm parents of one launcher: who can fork which prober's runs; for `launcher.py` alone.

A parent is started by the first run that could use it, which itself is started as in mode `run`, like all others
until the parent is ready, and for as long as there can be none.
What a parent forks becomes a child of the launcher and one of its runs like any other.
The imports of this module are memory of every launcher: it has few.
"""

import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable, Container, Iterator

from agent.running import kernel
from agent.running.started import Run

_INTERPRETER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "warm_interpreter.py")
_CONTROL = 3  # the descriptor by which the parent hears of us
_MS_NS = 1_000_000
_READY_NS = 30_000 * _MS_NS  # for its imports
# So that a host whose agent starts is not busy with imports alone.
_MOST_STARTING = 2
# A fork takes milliseconds: who needs longer is stopped or hangs.
_FORKED_NS = 2000 * _MS_NS
_IDLE_NS = 600_000 * _MS_NS
# Packages of the machine may change meanwhile, and what was unfit may have become fit.
_LONGEST_LIFE_NS = 3_600_000 * _MS_NS
_MAX_BYTES = 128 * 1024 * 1024
_MAX_REQUEST_BYTES = 60 * 1024
_KEPT_OUTPUT_BYTES = 4096
_SILENT = "the warm parent does not answer"

# The folder of the prober's files, which another version of them has not, and the command up to the script.
Key = tuple[bytes, tuple[bytes, ...]]


class Parent:
    """One warm parent; without a process it says why there can be none."""

    def __init__(self, folder: str, now_ns: int) -> None:
        """`folder` is the name of its TMPDIR."""
        self.folder = folder
        self.born_ns = self.used_ns = now_ns
        self.pid = 0
        self.control: socket.socket | None = None
        self.output = -1
        self.said = b""
        self.is_ready = False
        self.reason = ""
        self.is_told = False
        self.has_forked = False
        self.is_forgotten = False
        # Runs that it was asked for and that have not begun yet; their descriptors are still ours.
        self.pending: dict[int, Run] = {}

    def read_output(self) -> None:
        """What its imports print is kept as the reason why it is unfit."""
        with contextlib.suppress(OSError):
            while self.output >= 0 and (chunk := os.read(self.output, _KEPT_OUTPUT_BYTES)):
                self.said = (self.said + chunk)[-_KEPT_OUTPUT_BYTES:]

    @property
    def last_line(self) -> str:
        """The last line that its imports have printed."""
        lines = self.said.decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""


class WarmParents:
    """All warm parents of a launcher."""

    def __init__(
        self, poll: select.epoll, temporary: str, *, memory_bytes: int, clock_ns: Callable[[], int]
    ) -> None:
        """`memory_bytes` is what a run may have: a parent may not have more."""
        self._poll = poll
        self._temporary = temporary
        self._max_bytes = min(_MAX_BYTES, memory_bytes)
        self._clock_ns = clock_ns
        self._parents: dict[Key, Parent] = {}
        self._ending: set[int] = set()  # processes that were told to go
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._number = 0
        # The numbers of the first runs of parents.
        self.first: list[int] = []
        # TMPDIRs of parents that have ended.
        self.litter: list[str] = []

    @property
    def pids(self) -> set[int]:
        """The processes of the parents themselves."""
        return {parent.pid for parent in self._parents.values() if parent.pid} | self._ending

    @property
    def has_processes(self) -> bool:
        """Whether there may be processes of parents."""
        return bool(self._parents or self._ending)

    @property
    def pending(self) -> dict[str, int]:
        """The TMPDIRs of runs that are about to begin, and since when."""
        return {
            run.name: run.started_ns
            for parent in self._parents.values()
            for run in parent.pending.values()
        }

    def take(self, run: Run) -> bool:
        """Whether a parent will fork this run; OSError if there is no room for one."""
        now_ns = run.started_ns = self._clock_ns()
        parent = self._parent_for(run, now_ns)
        if parent is None or parent.control is None or not parent.is_ready:
            return False
        parent.used_ns = now_ns
        packet = _packet(run)
        if len(packet) > _MAX_REQUEST_BYTES:
            return False
        try:
            socket.send_fds(parent.control, [packet], run.descriptors)
        except OSError:  # it does not read any more
            self._kill(parent, _SILENT)
            return False
        parent.pending[run.number] = run
        return True

    def _parent_for(self, run: Run, now_ns: int) -> Parent | None:
        key = _key(run)
        parent = self._parents.get(key)
        is_old = parent and (parent.is_forgotten or now_ns - parent.born_ns > _LONGEST_LIFE_NS)
        if parent and is_old and not parent.pending:
            self._forget(key, parent)
            parent = None
        if parent is None:
            starting = sum(not one.is_ready and bool(one.pid) for one in self._parents.values())
            if starting < _MOST_STARTING:
                parent = self._parents[key] = self._started(run, now_ns)
        return parent

    def reason(self, run: Run) -> str:
        """Why runs like this one have no warm parent; said once."""
        parent = self._parents.get(_key(run))
        if parent is None or parent.is_told or not parent.reason:
            return ""
        parent.is_told = True
        return parent.reason

    def begun(self, ready: Container[int] | None) -> Iterator[Run]:
        """The runs that have begun since the last look; `ready` are the descriptors to look at."""
        for parent in list(self._parents.values()):
            if ready is None or parent.output in ready:
                parent.read_output()
            if parent.control and (ready is None or parent.control.fileno() in ready):
                yield from self._heard(parent)

    def _heard(self, parent: Parent) -> Iterator[Run]:
        while (message := _received(parent)) is not None:
            kind, *fields = message.split(b"\0")
            if kind == b"started":
                if run := parent.pending.pop(int(fields[0]), None):
                    run.close_descriptors()
                    if not parent.has_forked:
                        parent.has_forked = True
                        self.first.append(run.number)
                    run.pid = int(fields[1])
                    yield run
            elif kind == b"ready":
                self._judge(parent)
            elif kind == b"unfit":
                self._end(parent, fields[0].decode(errors="replace"))
            else:
                parent.read_output()
                ended = f"the warm parent has ended: {parent.last_line}".removesuffix(": ")
                self._end(parent, parent.reason or ended)

    def returned(self) -> Iterator[Run]:
        """The runs that no parent will ever begin."""
        for parent in self._parents.values():
            while parent.pending and parent.control is None:
                yield parent.pending.popitem()[1]

    def give_up(self, number: int) -> Run | None:
        """A run that shall end before it has begun; None if there is none with this number."""
        for parent in self._parents.values():
            if number in parent.pending:
                self._kill(parent, _SILENT)
                return parent.pending.pop(number)
        return None

    def forget(self, key: Key) -> None:
        """Nobody runs this any more: its parent ends now, what it has forked goes on."""
        parent = self._parents.get(key)
        if parent and parent.pending:
            # What it was about to fork is started as in mode `run`.
            self._kill(parent, _SILENT)
            parent.is_forgotten = True
        elif parent:
            self._forget(key, parent)

    def forget_process(self, pid: int) -> None:
        """It has ended and was waited for."""
        self._ending.discard(pid)
        for parent in self._parents.values():
            if parent.pid == pid:
                parent.pid = 0

    def look_after(self) -> None:
        """End what is idle, too large, or hangs."""
        now_ns = self._clock_ns()
        for key, parent in list(self._parents.items()):
            is_idle = parent.is_forgotten or now_ns - parent.used_ns > _IDLE_NS
            if is_idle and not parent.pending:
                self._forget(key, parent)
            elif not parent.control:
                continue
            elif not parent.is_ready and now_ns - parent.born_ns > _READY_NS:
                self._kill(parent, f"its imports take more than {_READY_NS // 10**9} s")
            elif any(now_ns - one.started_ns > _FORKED_NS for one in parent.pending.values()):
                self._kill(parent, _SILENT)
            elif not parent.pending and _rss_bytes(parent.pid) > self._max_bytes:
                megabytes = self._max_bytes // 1024**2
                self._end(parent, f"its imports take more than {megabytes} MB of memory")

    def close(self) -> None:
        """Kill all of them, and what they are about to fork."""
        for parent in self._parents.values():
            self._kill(parent, "the launcher ends")
            while parent.pending:
                parent.pending.popitem()[1].close_descriptors()

    def _started(self, run: Run, now_ns: int) -> Parent:
        self._number += 1
        parent = Parent(f"warm-{self._number:08d}", now_ns)
        tmpdir = f"{self._temporary}/{parent.folder}"
        os.mkdir(tmpdir, 0o700)
        control, its_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setblocking(False)
        parent.output, its_output = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(its_output, True)
        arguments, environment = run.program.arguments, run.environment
        before = arguments[: run.script]
        try:
            with its_end:
                parent.pid = os.posix_spawnp(
                    before[0],
                    [*before, os.fsencode(_INTERPRETER), arguments[run.script]],
                    {b"TMPDIR": os.fsencode(tmpdir), **{name: environment[name] for name in (b"PATH", b"LANG")}},
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, self._null, 0),
                        (os.POSIX_SPAWN_DUP2, its_output, 1),
                        (os.POSIX_SPAWN_DUP2, its_output, 2),
                        (os.POSIX_SPAWN_DUP2, its_end.fileno(), _CONTROL),
                    ],
                    setsid=True,
                    setsigmask=(),
                    setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
                )  # fmt: skip
        except OSError as error:
            control.close()
            os.close(parent.output)
            self.litter.append(parent.folder)
            parent.reason = f"no warm parent can be started: {error.strerror}"
            return parent
        finally:
            os.close(its_output)
        parent.control = control
        for descriptor in (control.fileno(), parent.output):
            self._poll.register(descriptor, select.EPOLLIN)
        return parent

    def _judge(self, parent: Parent) -> None:
        """Its imports are done; whoever printed meanwhile would do so in each run."""
        parent.read_output()
        if parent.said:
            self._end(parent, f"its imports print: {parent.last_line}")
        else:
            parent.is_ready = True

    def _forget(self, key: Key, parent: Parent) -> None:
        self._end(parent, "")
        del self._parents[key]

    def _kill(self, parent: Parent, reason: str) -> None:
        """End it and whatever it is about to fork; what had begun before says so until the end of its socket."""
        marks = {os.fsencode(f"{self._temporary}/{one.name}") for one in parent.pending.values()}

        def members() -> set[int]:
            children = kernel.children_of(os.getpid()) if marks else []
            forked = {pid for pid in children if kernel.variable_of(pid, b"TMPDIR") in marks}
            return forked | ({parent.pid} if parent.pid else set())

        parent.reason = reason
        parent.is_ready = False
        for pid in kernel.halted(members):
            kernel.send(pid, signal.SIGKILL)

    def _end(self, parent: Parent, reason: str) -> None:
        """No more runs from it: it waits for nothing but us."""
        parent.reason = reason[:1000]
        parent.is_ready = False
        if parent.pid:
            kernel.send(parent.pid, signal.SIGKILL)
            self._ending.add(parent.pid)
            parent.pid = 0
        if parent.control:
            for descriptor in (parent.control.fileno(), parent.output):
                self._poll.unregister(descriptor)
            parent.control.close()
            os.close(parent.output)
            parent.control, parent.output = None, -1
            self.litter.append(parent.folder)


def _received(parent: Parent) -> bytes | None:
    """None if there is nothing now; empty at the end."""
    if parent.control is None:
        return None
    try:
        return parent.control.recv(_MAX_REQUEST_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _key(run: Run) -> Key:
    return run.program.folder, tuple(run.program.arguments[: run.script + 1])


def _packet(run: Run) -> bytes:
    arguments = run.program.arguments
    variables = (b"%s=%s" % variable for variable in run.environment.items())
    return b"\0".join([b"%d\0%d" % (run.number, len(arguments)), *arguments, *variables])


def _rss_bytes(pid: int) -> int:
    stat = kernel.process_stat(pid) if pid else None
    return stat.rss_bytes if stat else 0
