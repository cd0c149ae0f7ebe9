"""Runs the hostile corpus where it can harm nobody: a private pid, mount and network namespace with few processes and little memory.

Started as a program: `bed.py FOLDER MODE` enters the namespaces and runs every case of one corpus, one JSON line each in `FOLDER/results`.
"""

import contextlib
import json
import os
import resource
import selectors
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from agent.clocks import boot_ns
from agent.plan import RunKey, RunSpec, Sandbox
from agent.results import RunResult
from agent.running.kernel import adopt_orphans
from agent.running.launchers import Workplace
from agent.running.runner import Runner
from agent.running.users import users_of_this_host
from agent.running.wiper import Wiper
from common import processes
from tests.changing_folders import paths_below
from tests.integration.agent.hostile.corpus import CORPORA, MIB, Case

MAX_PROCESSES = 400
MAX_MEMORY = 1024 * MIB
PATH = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
INSIDE = "--inside"


def main() -> None:
    """Outside: bound ourselves and enter the namespaces; inside: run the corpus."""
    if sys.argv[1] == INSIDE:
        run_corpus(Path(sys.argv[2]), CORPORA[sys.argv[3]])
        return
    bound_ourselves()
    unshare = shutil.which("unshare")
    if unshare is None:
        sys.exit("the hostile corpus needs the command `unshare` (Debian: util-linux)")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    namespaces = ["--pid", "--fork", "--mount-proc", "--net", "--kill-child=KILL"]
    arguments = [sys.executable, __file__, INSIDE, *sys.argv[1:]]
    os.execv(unshare, [unshare, *user, *namespaces, *arguments])  # noqa: S606 - no shell is wanted


def bound_ourselves() -> None:
    """Few processes and little memory for all of us; says so and ends if that cannot be."""
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
    if os.geteuid() != 0:
        resource.setrlimit(resource.RLIMIT_NPROC, (MAX_PROCESSES, MAX_PROCESSES))
        return
    # The kernel counts root's processes in cgroups only.
    for root in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")):
        group = root / f"mr-prober-hostile-{os.getppid()}"
        with contextlib.suppress(OSError):
            group.mkdir(exist_ok=True)
            (group / "pids.max").write_text(str(MAX_PROCESSES))
            (group / "cgroup.procs").write_text(str(os.getpid()))
            return
    sys.exit(
        "the hostile corpus needs a cgroup with the pids controller, v1 or v2, to be run as root"
    )


def end_group(parent: int) -> None:
    """End whatever is left in our cgroup, should the namespace not have ended with its first process."""
    for root in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")):
        group = root / f"mr-prober-hostile-{parent}"
        end = time.monotonic() + 60
        while group.is_dir() and time.monotonic() < end:
            # Nobody can fork any more, so nobody can outrun us.
            (group / "pids.max").write_text("0")
            for pid in _lines(str(group / "cgroup.procs")):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            with contextlib.suppress(OSError):
                group.rmdir()


class Bed:
    """A runner with a loop of its own."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self.temporary = folder / "temporary"
        for made in (self.files, self.temporary):
            made.mkdir(mode=0o755)
        self.results: list[RunResult] = []
        self.selector = selectors.DefaultSelector()
        self.wiper = Wiper()
        users = users_of_this_host("root", frozenset({"nobody"}))
        self.runner = Runner(
            self.selector,
            Workplace(self.temporary, PATH, users, self.wiper),
            on_result=self.results.append,
            on_end=lambda _: None,
            clock_ns=boot_ns,
        )

    def spec(self, case: Case, number: int = 1) -> RunSpec:
        user = case.user if os.geteuid() == 0 and _is_real_root() else ""
        return RunSpec(
            key=RunKey(UUID(int=number), "{}"),
            prober_slug=case.name,
            labels={},
            arguments=case.arguments,
            environment={},
            folder=self.files,
            interval=timedelta(seconds=60),
            time_limit=timedelta(seconds=case.time_limit_seconds),
            grace=timedelta(seconds=0.1),
            output=case.output,
            mode=case.mode,
            sandbox=Sandbox(user, case.memory_mb * MIB, case.processes, 64),
            cpu_seconds=case.cpu_seconds,
            output_bytes=16 * MIB,
        )

    def warmed_up(self, case: Case) -> RunResult:
        """Run it until it is a fork of a warm parent, told to do nothing; the last result."""
        spec = self.spec(case)
        spec = replace(
            spec, arguments=(*spec.arguments, "quietly"), time_limit=timedelta(seconds=20)
        )
        while True:
            self.runner.start(spec, boot_ns())
            if not self.turn_until(lambda: self.results):
                sys.exit(f"{case.name} never ends when it should do nothing")
            result = self.results.pop()
            if self.runner.warm.is_warm(spec):
                return result
            if reason := self.runner.warm.reason(spec):
                sys.exit(f"{case.name} cannot be warm: {reason}")

    def turn_until(self, condition: Callable[[], object], seconds: float = 60.0) -> bool:
        """Whether the condition came true in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            for key, _ in self.selector.select(0.01):
                key.data(boot_ns())
            self.runner.tick(boot_ns())
        return True

    def close(self) -> None:
        self.runner.close()
        self.turn_until(lambda: not self.runner.sweep())
        self.wiper.close(time_limit_seconds=10)


def run_corpus(folder: Path, corpus: Iterable[Case]) -> None:
    # Others on this machine use theirs meanwhile; ours ends with the namespace.
    mount = processes.start(
        ["mount", "-t", "tmpfs", "none", "/dev/shm"],  # noqa: S108 - our own
        environment={"PATH": PATH}, cwd=folder,
    )  # fmt: skip
    if mount.wait() != 0:
        sys.exit("the hostile corpus needs a /dev/shm of its own: `mount -t tmpfs` fails here")
    adopt_orphans()
    untouched = left_behind(folder / "temporary")
    bed = Bed(folder)
    with (folder / "results").open("w") as lines:
        for case in corpus:
            for row in rows_of(bed, case):
                lines.write(json.dumps(row) + "\n")
            lines.flush()
        bed.close()
        leftovers = left_behind(folder / "temporary") - untouched
        lines.write(json.dumps({"name": "the end", "left": sorted(leftovers)}) + "\n")


def rows_of(bed: Bed, case: Case) -> Iterator[dict[str, object]]:
    for path, content, mode in case.files:
        (bed.files / path).write_bytes(content or Path(shutil.which(path) or "").read_bytes())
        (bed.files / path).chmod(mode)
    # So that the launcher is there before, as it is after.
    quiet = Case(
        "quiet",
        ("true",),
        "success",
        user=case.user,
        memory_mb=case.memory_mb,
        processes=case.processes,
    )
    bed.runner.start(bed.spec(quiet), boot_ns())
    bed.turn_until(lambda: bed.results)
    first = bed.results.pop()
    # Before there is a warm parent: it must be gone as well, and not be met while it dies.
    before = left_behind(bed.temporary)
    if case.mode == "warm":
        first = bed.warmed_up(case)
    for number in range(case.times):
        bed.runner.start(bed.spec(case, number), boot_ns())
    in_time = bed.turn_until(lambda: len(bed.results) == case.times)
    results, bed.results[:] = list(bed.results), []
    # The next case needs the place.
    bed.runner.keep_warm([])
    if case.kills_launcher:
        bed.runner.start(bed.spec(quiet), boot_ns())
        bed.turn_until(lambda: bed.results)
        bed.results.clear()
    bed.turn_until(lambda: not left_behind(bed.temporary) - before, 10.0)
    for result in results:
        yield {
            "name": case.name,
            "outcome": result.verdict.outcome.value,
            "reason": result.verdict.reason,
            "samples": [sample.name for sample in result.printed.samples],
            "seconds": result.seconds,
            "launcher": first.verdict.reason,
            "in_time": in_time,
            "left": sorted(left_behind(bed.temporary) - before),
        }


def left_behind(temporary: Path) -> Counter[str]:
    """Everything that a program could leave in this namespace."""
    names: Counter[str] = Counter()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                command = process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode()
                state = process.joinpath("stat").read_text().rpartition(")")[2].split()[0]
                # A killed launcher's successor is no stranger, though it has another folder.
                command = command.split(" -1 -1 ")[0]
                names[f"process {command[-60:]}{' (zombie)' if state == 'Z' else ''}"] += 1
    names.update(f"mount {line.split()[4]}" for line in _lines("/proc/self/mountinfo"))
    for kind in ("tcp", "tcp6", "udp", "udp6", "unix"):
        names[f"sockets {kind}"] = len(_lines(f"/proc/net/{kind}"))
    names.update(f"cgroup {path}" for path in _groups_below_ours())
    names.update(f"file {path}" for path in paths_below(temporary, "*/*/*"))
    names.update(f"file {path}" for path in Path("/dev/shm").iterdir())  # noqa: S108 - only looked at
    return names


def _groups_below_ours() -> list[Path]:
    """Those of all hierarchies, v1 and v2; other tests have theirs elsewhere."""
    mounts = [line.split()[4] for line in _lines("/proc/self/mountinfo") if " - cgroup" in line]
    paths = {line.split(":", 2)[2] for line in _lines("/proc/self/cgroup")} - {"/"}
    ours = [Path(mount + path) for mount in mounts for path in paths]
    return [group for one in ours for group in paths_below(one, "**/") if group != one]


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _is_real_root() -> bool:
    """Not only the root of a user namespace with one user."""
    return (
        len(_lines("/proc/self/uid_map")[0].split()) == 3
        and _lines("/proc/self/uid_map")[0].split()[2] != "1"
    )


if __name__ == "__main__":
    main()
