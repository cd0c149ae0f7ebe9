"""What the standard library does not offer of the kernel: prctl(2), and /proc without `pathlib`."""

import contextlib
import ctypes
import os
import signal
import struct
from collections.abc import Callable, Iterable

_SET_CHILD_SUBREAPER = 36
_SET_NO_NEW_PRIVS = 38
_M_TRIM_THRESHOLD = -1
_M_ARENA_MAX = -8
_TRIM_BYTES = 128 * 1024
# sched_setattr(2), which no library has.
_SET_SCHEDULING = {"x86_64": 314, "aarch64": 274}
_SCHEDULING_BYTES = 48
_RESET_ON_FORK = 1
_TURN_NS = 100_000  # the shortest there is
_SIGNAL_SET_BYTES = 128
_PASSES = 50
_MOST_MEMBERS = 100_000
_READ_BYTES = 16 * 1024
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def adopt_orphans() -> bool:
    """Become the parent of every descendant that loses its own; whether that worked."""
    return _prctl(_SET_CHILD_SUBREAPER)


def give_up_new_privileges() -> bool:
    """No program from here on gains rights by set-user-ID bits or file capabilities; whether that worked."""
    return _prctl(_SET_NO_NEW_PRIVS)


def keep_memory_together() -> None:
    """Have the C library take memory from one place for all threads and give back what is free; with another one nothing happens."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_ARENA_MAX, 1)
        library.mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)


def give_back_memory() -> None:
    """Give back to the system what was needed for a moment only."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _prctl(option: int) -> bool:
    try:
        return bool(ctypes.CDLL(None, use_errno=True).prctl(option, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


class Stat:
    """One line of /proc/PID/stat; times in clock ticks."""

    __slots__ = ("cpu_ticks", "parent", "rss_bytes", "start_ticks", "state", "user_ticks")

    def __init__(self, line: bytes) -> None:
        """`line` is the whole file."""
        # The second field is the name in brackets, which may hold any bytes.
        fields = line.rpartition(b")")[2].split()
        self.state = fields[0]
        self.parent = int(fields[1])
        # User and system time, its own and that of the children that were waited for.
        self.cpu_ticks = sum(map(int, fields[11:15]))
        self.user_ticks = int(fields[11]) + int(fields[13])
        self.start_ticks = int(fields[19])
        self.rss_bytes = int(fields[21]) * PAGE_BYTES

    @property
    def has_ended(self) -> bool:
        """A zombie has ended, even if nobody has taken its status yet."""
        return self.state in (b"Z", b"X")


def process_stat(pid: int) -> Stat | None:
    """None if there is no such process."""
    line = file_bytes(f"/proc/{pid}/stat")
    return Stat(line) if line else None


def children_of(pid: int) -> list[int]:
    """The children of all threads of a process; none if it has ended."""
    if not _HAS_CHILDREN_FILES:
        return _children_by_parent(pid)
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    files = (file_bytes(f"/proc/{pid}/task/{thread}/children") for thread in threads)
    return [int(child) for text in files for child in text.split()]


def tree(pid: int, *, limit: int) -> dict[int, Stat]:
    """A process and its living descendants, at most `limit` of them."""
    found: dict[int, Stat] = {}
    waiting = [pid]
    while waiting and len(found) < limit:
        member = waiting.pop()
        stat = process_stat(member)
        if stat is None or stat.has_ended or member in found:
            continue
        found[member] = stat
        waiting += children_of(member)
    return found


def halted(roots: Callable[[], Iterable[int]]) -> set[int]:
    """Stop these processes and all their descendants, until nobody new appears; who was stopped, to be killed then.

    Killed one by one, what forks all the time would outrun us: each death makes room for a birth.
    """
    stopped: set[int] = set()
    for _ in range(_PASSES):
        members: dict[int, Stat] = {}
        for root in roots():
            if root not in members:
                members |= tree(root, limit=_MOST_MEMBERS)
        born = members.keys() - stopped
        if not born:
            break
        for pid in born:
            send(pid, signal.SIGSTOP)
        stopped |= born
    return stopped


def send(pid: int, number: int) -> None:
    """Send a signal; nothing happens if the process has ended or may not be signalled."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def send_group(pid: int, number: int) -> None:
    """Send a signal to the group of a process that is not yet waited for."""
    # Of each run: no context manager.
    try:  # noqa: SIM105
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def ends_of_children() -> int:
    """A descriptor that can be read when a child has ended; SIGCHLD is blocked from now on, for what we start, too. OSError."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    library = ctypes.CDLL(None, use_errno=True)
    mask = ctypes.create_string_buffer(_SIGNAL_SET_BYTES)
    library.sigemptyset(mask)
    library.sigaddset(mask, signal.SIGCHLD)
    descriptor = int(library.signalfd(-1, mask, os.O_NONBLOCK | os.O_CLOEXEC))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "signalfd")
    return descriptor


def enter_cgroup(path: str) -> None:
    """Be in this cgroup with all that we start, as far as that is permitted."""
    with contextlib.suppress(OSError):
        descriptor = os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"0")
        finally:
            os.close(descriptor)


def put_first(nice: int) -> None:
    """Have the processor before what we start, as far as that is permitted: a storm of programs must not hold us up."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        # Not inherited by what we start.
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    if os.getsid(0) != os.getpid():
        return
    with contextlib.suppress(OSError):
        # Where each session counts as one for the scheduler, it has a niceness of its own; somebody else's is not ours to set.
        descriptor = os.open("/proc/self/autogroup", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, str(nice).encode())
        finally:
            os.close(descriptor)


def take_short_turns() -> None:
    """Have the processor at once when we wake, and for a short time: Linux 6.12 and later then interrupt who has it.

    Not inherited by what we start. Where there is no such thing, we wait up to some milliseconds for our turn.
    """
    number = _SET_SCHEDULING.get(os.uname().machine)
    if number is None:
        return
    # struct sched_attr, see sched_setattr(2): size, policy, flags, niceness, priority, runtime, deadline, period.
    attributes = struct.pack(
        "IIQiIQQQ", _SCHEDULING_BYTES, os.SCHED_OTHER, _RESET_ON_FORK,
        os.getpriority(os.PRIO_PROCESS, 0), 0, _TURN_NS, 0, 0,
    )  # fmt: skip
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).syscall(number, 0, attributes, 0)


def variable_of(pid: int, name: bytes) -> bytes | None:
    """A variable of the environment with which a process was started; None if there is none or it is not shown."""
    for variable in file_bytes(f"/proc/{pid}/environ").split(b"\0"):
        if variable.startswith(name + b"="):
            return variable[len(name) + 1 :]
    return None


def content_of(descriptor: int) -> bytes:
    """The content of a file, which is closed then."""
    try:
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)


def file_bytes(path: str) -> bytes:
    """The content of a file in /proc; nothing if it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        chunks = []
        while chunk := os.read(descriptor, _READ_BYTES):
            chunks.append(chunk)
        return b"".join(chunks)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


# A kernel may be built without them.
_HAS_CHILDREN_FILES = os.access(f"/proc/self/task/{os.getpid()}/children", os.R_OK)


def _children_by_parent(parent: int) -> list[int]:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if (stat := process_stat(pid)) and stat.parent == parent]
