"""Read: what this machine says about an agent's folder, whether the agent lives or not."""

import os
import pwd
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import requests

_LOCK = "lock"
_LOCKS = Path("/proc/locks")
_SOCKET = "control.sock"
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class MachineFacts:
    """What was found; None where it cannot be known."""

    folder: Path
    user: str
    silence: str = ""  # why the agent did not answer; empty if it did
    is_locked: bool = False  # by a living agent
    is_readable: bool = True
    disk_free_bytes: int | None = None
    inodes_free: int = 0
    api_url: str = ""  # whose clock was asked
    clock_skew_seconds: float | None = None
    clock_problem: str = ""  # why it cannot be compared; empty if it was


def machine_facts(folder: Path, *, silence: str, api_url: str) -> MachineFacts:
    """Look at the folder, its disk, and the API's clock."""
    free, inodes = _space(folder)
    skew, problem = _skew(api_url) if api_url else (None, "no address of the API is known")
    return MachineFacts(
        folder=folder,
        user=_user_name(),
        silence=silence,
        is_locked=is_locked(folder),
        is_readable=os.access(folder, os.R_OK | os.X_OK),
        disk_free_bytes=free,
        inodes_free=inodes,
        api_url=api_url,
        clock_skew_seconds=skew,
        clock_problem=problem,
    )


def is_locked(folder: Path) -> bool:
    """Whether a living agent works in the folder; False also where we may not look.

    Read from /proc: trying to lock it could keep an agent from starting at that moment.
    """
    try:
        found = (folder / _LOCK).stat()
        locks = _LOCKS.read_text()
    except OSError:
        return False
    mark = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    return any("FLOCK" in line and mark in line.split() for line in locks.splitlines())


def agents_here(processes: Path = Path("/proc")) -> list[Path]:
    """Folders of the agents that live on this machine, as far as one may see: who holds the lock of a folder works in it."""
    found: set[Path] = set()
    for link in processes.glob("[0-9]*/fd/*"):
        try:
            held = link.readlink()
        except OSError:
            continue  # it ended meanwhile, or is somebody else's
        if held.name == _LOCK and (held.parent / _SOCKET).exists():
            found.add(held.parent)
    return sorted(found)


def _space(folder: Path) -> tuple[int | None, int]:
    try:
        return shutil.disk_usage(folder).free, os.statvfs(folder).f_favail
    except OSError:
        return None, 0


def _skew(api_url: str) -> tuple[float | None, str]:
    """How far our clock is ahead of the API's, by the header `Date`, which counts whole seconds; or why nobody knows."""
    before = datetime.now(UTC)
    try:
        answer = requests.get(f"{api_url}/health/live", timeout=_ANSWER_SECONDS)
        theirs = parsedate_to_datetime(answer.headers["Date"])
    except requests.Timeout:
        return None, f"no answer within {_ANSWER_SECONDS:g} s"
    except requests.ConnectionError:
        return None, "nobody answers there"
    except requests.RequestException as error:
        return None, f"no call can be made to it ({type(error).__name__})"
    except (KeyError, ValueError):
        return None, "its answer bears no date"
    ours = before + (datetime.now(UTC) - before) / 2
    ahead = (ours - theirs).total_seconds()
    # Any moment of that second may be meant.
    return (max(0.0, ahead - 1) if ahead > 0 else ahead), ""


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
