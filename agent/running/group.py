"""One cgroup for all that launchers start, where the host lets us make one: *act*.

It costs nothing per run, and the kernel ends all of it at once: for what lost its mark and its launcher, or forks faster than we look.
Without it (cgroup v1 only, or not root) the marks of `orphans.py` have to do.
"""

import contextlib
import hashlib
import time
from pathlib import Path

_TRIES = 100
_PAUSE_SECONDS = 0.01


def make_group(agent_folder: Path) -> Path | None:
    """The cgroup of the agent that works in this folder, the same after a restart; None where there can be none."""
    name = hashlib.sha256(str(agent_folder).encode()).hexdigest()[:16]
    try:
        parent = _own_group()
        if parent is None:
            return None
        group = parent / f"mr-prober-{name}"
        group.mkdir(exist_ok=True)
        return group if (group / "cgroup.kill").exists() else None
    except OSError:
        return None


def kill_group(group: Path) -> None:
    """End everything in it at once."""
    with contextlib.suppress(OSError):
        (group / "cgroup.kill").write_text("1")


def remove_group(group: Path) -> None:
    """After everything in it was killed, which takes the kernel a moment; what it keeps does no harm."""
    for _ in range(_TRIES):
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _own_group() -> Path | None:
    """Where this process is in the v2 hierarchy."""
    paths = [line[3:] for line in _lines("/proc/self/cgroup") if line.startswith("0::/")]
    mounts = [line.split()[4] for line in _lines("/proc/self/mountinfo") if " - cgroup2 " in line]
    return Path(mounts[0] + paths[0]) if mounts and paths else None


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
