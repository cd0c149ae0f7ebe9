"""The one place that starts processes, but for probers (agent/running/launcher.py): argument lists, never a shell; own session; explicit environment."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

PIPE = subprocess.PIPE
NOTHING = subprocess.DEVNULL
Process = subprocess.Popen[bytes]
# What `Process.wait(seconds)` raises.
TimeLimitError = subprocess.TimeoutExpired


def start(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    cwd: Path,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.DEVNULL,
    stderr: IO[bytes] | int = subprocess.DEVNULL,
) -> Process:
    """Start a program as leader of a new session and process group, without input unless given; OSError if it cannot start.

    What outlives us must get files as output: with a pipe it would die of SIGPIPE after us.
    """
    return subprocess.Popen(
        list(arguments),
        env=dict(environment),
        cwd=cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        close_fds=True,
    )


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot (proc(5), field 22); None if it has ended.

    A pid is used again some day; together with this number it names one process for ever.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The second field is the name in brackets, which may hold any bytes.
    fields = stat.rpartition(b")")[2].split()
    # A zombie has ended, even if nobody has taken its status yet.
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
