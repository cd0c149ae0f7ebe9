"""Read: which processes are there, from /proc. Linux only."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_GONE = ("Z", "X")  # ended, but nobody has asked for the exit status yet


@dataclass(frozen=True)
class RunningProcess:
    """One process for ever: a pid is used again some day, but not with the same start."""

    pid: int
    start_ticks: int


def is_running(process: RunningProcess) -> bool:
    """Whether this very process still runs."""
    fields = _stat_fields(process.pid)
    return fields is not None and fields[0] not in _GONE and int(fields[19]) == process.start_ticks


def find(working_directory: Path, last_words: Sequence[str]) -> RunningProcess | None:
    """A leader of a session that runs in the folder with these words at the end of its command line."""
    for pid in _pids():
        fields = _stat_fields(pid)
        if fields is None or fields[0] in _GONE or int(fields[3]) != pid:
            continue
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cwd").readlink() != working_directory:
                continue
            words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[:-1]
            if words[-len(last_words) :] == list(last_words):
                return RunningProcess(pid, int(fields[19]))
    return None


def session_members(leader: int) -> list[int]:
    """Living processes of a session whose leader is no longer needed, without the leader."""
    members = []
    for pid in _pids():
        fields = _stat_fields(pid)
        if fields and fields[0] not in _GONE and int(fields[3]) == leader and pid != leader:
            members.append(pid)
    return members


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _stat_fields(pid: int) -> list[str] | None:
    """Fields of proc(5) stat from the third: state, parent, group, session, …, start time as the 20th."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The second field is the name in brackets, which may hold any bytes.
    return stat.rpartition(b")")[2].decode().split()
