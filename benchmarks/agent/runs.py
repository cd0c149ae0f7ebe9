"""Runs each system for a while and reads from the witness's file and from /proc what it did and what that cost."""

import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from agent.running import kernel
from benchmarks.agent.systems import FLOOR_OF, SYSTEMS, Command, Load
from common import processes

_SOURCES = Path(__file__).parent
_SETTLE_SECONDS = 4.0
_START_SECONDS = 60.0
# Programs, period, measured time of a round, rounds. Each system has its turn in each round: the machine's speed changes
# from minute to minute, and then for all of them.
_LOADS = ((200, 1, 8.0, 3), (1000, 10, 15.0, 3))
_MOST_PROCESSES = 10_000
_MEMORY_SAMPLES = 15
_GROWTH_SETTLE_SECONDS = 20.0
_GROWTH_SECONDS = 60.0


@dataclass(frozen=True)
class Held:
    """Processes that stay, their descriptors and their memory."""

    processes: int
    descriptors: int
    memory_mb: float


@dataclass(frozen=True)
class Growth:
    """What the agent and its launchers hold after a while, and a minute later."""

    runs: int
    expected: int
    before: Held
    after: Held


@dataclass(frozen=True)
class AgentRow:
    """One system under one load."""

    what: str
    system: str
    runs: int
    expected: int
    cpu_milliseconds: float  # of the whole tree, per run
    over_floor_milliseconds: float
    period_error_milliseconds: float  # p99
    starts_in_10_ms: int
    memory_mb: float  # of the whole tree, what several share counted once
    rss_mb: float  # of the process that was started, as the system counts it


def measure() -> list[AgentRow]:
    """One row per load and system; those that are not installed are left out, and a line says so."""
    return [row for load in _LOADS for row in _measured_load(*load)]


def measure_growth() -> Growth:
    """Our agent for a minute at 200 programs a second."""
    folder = Path(tempfile.mkdtemp(prefix="mr-prober-bench-"))
    folder.chmod(0o755)
    load = _load(folder, 200, 1)
    command = SYSTEMS["Mr. Prober"](load)
    system = start(command or Command(()), load)
    try:
        _wait_for_all(load, system)
        time.sleep(_GROWTH_SETTLE_SECONDS)
        begin_ns, before = time.time_ns(), _held(system.pid)
        time.sleep(_GROWTH_SECONDS)
        end_ns, after = time.time_ns(), _held(system.pid)
    finally:
        end(system)
    runs = sum(begin_ns <= at_ns < end_ns for _, at_ns in _starts(load))
    shutil.rmtree(folder, ignore_errors=True)
    expected = round(load.programs * (end_ns - begin_ns) / 1e9 / load.period_seconds)
    return Growth(runs, expected, before, after)


def _held(pid: int) -> Held:
    lasting = [pid, *(child for child in kernel.children_of(pid) if _is_launcher(child))]
    descriptors = sum(len(list(Path(f"/proc/{one}/fd").iterdir())) for one in lasting)
    stats = [stat for one in lasting if (stat := kernel.process_stat(one))]
    return Held(len(lasting), descriptors, sum(stat.rss_bytes for stat in stats) / 1e6)


def _is_launcher(pid: int) -> bool:
    return b"agent.running.launcher" in kernel.file_bytes(f"/proc/{pid}/cmdline")


def _measured_load(programs: int, period: int, seconds: float, rounds: int) -> list[AgentRow]:
    of_rounds = [_round(programs, period, seconds) for _ in range(rounds)]
    return [_middle(rows) for rows in zip(*of_rounds, strict=True)]


def _middle(rows: Sequence[AgentRow]) -> AgentRow:
    """One row for all rounds of a system: medians, but sums of runs and the most of what must not be more."""
    return replace(
        rows[0],
        runs=sum(row.runs for row in rows),
        expected=sum(row.expected for row in rows),
        cpu_milliseconds=statistics.median(row.cpu_milliseconds for row in rows),
        over_floor_milliseconds=statistics.median(row.over_floor_milliseconds for row in rows),
        period_error_milliseconds=statistics.median(row.period_error_milliseconds for row in rows),
        starts_in_10_ms=max(row.starts_in_10_ms for row in rows),
        memory_mb=statistics.median(row.memory_mb for row in rows),
        rss_mb=max(row.rss_mb for row in rows),
    )


def _round(programs: int, period: int, seconds: float) -> list[AgentRow]:
    rows: dict[str, AgentRow] = {}
    for name in SYSTEMS:
        # Not a private folder: some of the systems drop their rights.
        folder = Path(tempfile.mkdtemp(prefix="mr-prober-bench-"))
        folder.chmod(0o755)
        try:
            load = _load(folder, programs, period)
            what = f"{programs:,} programs every {period} s"
            row = measured(name, SYSTEMS[name], load, seconds, rows, what=what)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if row:
            rows[name] = row
    return list(rows.values())


def compiled(folder: Path, name: str, *flags: str) -> Path:
    """One of the programs in C, in this folder."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("the agent's benchmark needs a C compiler (Debian: gcc and libc6-dev)")
    program, source = folder / name, _SOURCES / f"{name}.c"
    compiling = processes.start(
        [compiler, "-O2", *flags, "-o", str(program), str(source)],
        environment={"PATH": os.defpath}, cwd=folder,
    )  # fmt: skip
    if compiling.wait() != 0:
        raise SystemExit(f"{source} cannot be compiled")
    return program


def _load(folder: Path, programs: int, period: int) -> Load:
    compiled(folder, "floor")
    return Load(
        programs, period, compiled(folder, "witness", "-static"), witness_file(folder), folder
    )


def witness_file(folder: Path) -> Path:
    """What the programs append their starts to, whoever they are."""
    file = folder / "starts"
    file.touch()
    file.chmod(0o666)
    return file


def measured(
    name: str,
    command_for: Callable[[Load], Command | None],
    load: Load,
    seconds: float,
    rows: Mapping[str, AgentRow],
    *,
    what: str,
) -> AgentRow | None:
    """Run a system under a load; None if it is not installed. `rows` has that of its floor, if that is another one."""
    command = command_for(load)
    if command is None:
        print(f"{name} is not installed: left out")  # noqa: T201 - for whoever runs the benchmark
        return None
    system = start(command, load)
    try:
        _wait_for_all(load, system)
        time.sleep(_SETTLE_SECONDS)
        begin_ns, begin_ticks = time.time_ns(), _cpu_ticks(system.pid)
        time.sleep(seconds)
        end_ns, end_ticks = time.time_ns(), _cpu_ticks(system.pid)
        memory_mb = _memory_bytes(system.pid) / 1e6
        main_stat = kernel.process_stat(system.pid)
        rss_mb = main_stat.rss_bytes / 1e6 if main_stat else 0.0
    finally:
        end(system)
    starts = [start for start in _starts(load) if begin_ns <= start[1] < end_ns]
    cpu = (end_ticks - begin_ticks) * kernel.TICK_NS / 1e6 / max(1, len(starts))
    floor = rows.get(FLOOR_OF.get(name, "C loop"))
    return AgentRow(
        what=what,
        system=name,
        runs=len(starts),
        expected=round(load.programs * (end_ns - begin_ns) / 1e9 / load.period_seconds),
        cpu_milliseconds=cpu,
        over_floor_milliseconds=cpu - floor.cpu_milliseconds if floor else 0.0,
        period_error_milliseconds=_period_error(starts, load),
        starts_in_10_ms=_most_starts(sorted(at_ns for _, at_ns in starts)),
        memory_mb=memory_mb,
        rss_mb=rss_mb,
    )


def start(command: Command, load: Load) -> processes.Process:
    """Start a system; what it says is in `log` of the load's folder."""
    with (load.folder / "log").open("wb") as log:
        return processes.start(
            command.arguments,
            environment={"PATH": os.defpath, **command.environment},
            cwd=load.folder, stdout=log, stderr=log,
        )  # fmt: skip


def _wait_for_all(load: Load, system: processes.Process) -> None:
    end = time.monotonic() + _START_SECONDS
    while len({name for name, _ in _starts(load)}) < load.programs:
        if time.monotonic() > end or system.poll() is not None:
            said = (load.folder / "log").read_text(errors="replace")[-2000:]
            raise SystemExit(f"a system does not run its programs: {said}")
        time.sleep(0.2)


def end(system: processes.Process) -> None:
    """Ask it to end, then end what is left below it."""
    below = kernel.tree(system.pid, limit=_MOST_PROCESSES)
    system.terminate()
    try:
        system.wait(20)
    except processes.TimeLimitError:
        system.kill()
        system.wait()
    for pid, stat in below.items():
        now = kernel.process_stat(pid)
        if now and now.start_ticks == stat.start_ticks:
            kernel.send(pid, 9)


def _cpu_ticks(pid: int) -> int:
    tree = kernel.tree(pid, limit=_MOST_PROCESSES)
    return sum(stat.cpu_ticks for stat in tree.values())


def _memory_bytes(pid: int) -> int:
    """Memory of the whole tree, what several share counted once; the median, since programs come and go."""
    samples = []
    for _ in range(_MEMORY_SAMPLES):
        samples.append(sum(map(_own_bytes, kernel.tree(pid, limit=_MOST_PROCESSES))))
        time.sleep(0.02)
    return statistics.median_low(samples)


def _own_bytes(pid: int) -> int:
    for line in kernel.file_bytes(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _starts(load: Load) -> list[tuple[str, int]]:
    lines = (line.split() for line in load.file.read_text().splitlines())
    return [(name, int(at_ns)) for name, at_ns in lines]


def _period_error(starts: list[tuple[str, int]], load: Load) -> float:
    """The 99th percentile of |time between two starts of a program - period|, in milliseconds."""
    by_name: defaultdict[str, list[int]] = defaultdict(list)
    for name, at_ns in starts:
        by_name[name].append(at_ns)
    period_ns = load.period_seconds * 10**9
    errors = sorted(
        abs(later - sooner - period_ns)
        for moments in by_name.values()
        for sooner, later in pairwise(sorted(moments))
    )
    return errors[len(errors) * 99 // 100] / 1e6 if errors else 0.0


def _most_starts(moments: list[int]) -> int:
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= 10_000_000:
            first += 1
        most = max(most, last - first + 1)
    return most
