"""`make bench`: every benchmark in turn, as a table on the screen and in RESULTS.md."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import creator, documents, resolution, sinks, synchronize
from benchmarks.agent import hostile, python_prober, runs
from benchmarks.agent.hostile import HostileRow
from benchmarks.agent.runs import AgentRow, Growth
from benchmarks.api import agents
from benchmarks.measurement import Measurement, RateMeasurement, WallMeasurement

BENCHMARKS: dict[str, Callable[[], list[Measurement]]] = {
    "resolution": resolution.measure,
    "documents": documents.measure,
    "sinks": sinks.measure,
}
RATE_BENCHMARKS: dict[str, Callable[[], list[RateMeasurement]]] = {"api": agents.measure}
WALL_BENCHMARKS: dict[str, Callable[[], list[WallMeasurement]]] = {
    "creator": creator.measure,
    "synchronize": synchronize.measure,
}
RESULTS = Path(__file__).with_name("RESULTS.md")


@dataclass(frozen=True)
class AboutAgent:
    """The tables about the agent."""

    rows: list[AgentRow]
    growth: Growth
    hostile: list[HostileRow]


def main() -> None:
    """Measure, print, write down."""
    rows = [row for measure in BENCHMARKS.values() for row in measure()]
    rates = [row for measure in RATE_BENCHMARKS.values() for row in measure()]
    walls = [row for measure in WALL_BENCHMARKS.values() for row in measure()]
    about_agent = AboutAgent(
        runs.measure() + python_prober.measure(), runs.measure_growth(), hostile.measure()
    )
    RESULTS.write_text(_markdown(rows, rates, walls, about_agent))
    console = Console()
    console.print(_table(_HEAD, [_cells(row) for row in rows]))
    console.print(_table(_RATE_HEAD, [_rate_cells(row) for row in rates]))
    console.print(_table(_WALL_HEAD, [_wall_cells(row) for row in walls]))
    console.print(_table(_AGENT_HEAD, [_agent_cells(row) for row in about_agent.rows]))
    console.print(_table(_GROWTH_HEAD, [_growth_cells(about_agent.growth)]))
    console.print(_table(_HOSTILE_HEAD, [_hostile_cells(row) for row in about_agent.hostile]))


def _cells(row: Measurement) -> tuple[str, ...]:
    return (
        row.what,
        row.floor,
        f"{row.floor_milliseconds:.3f}",
        f"{row.our_milliseconds:.3f}",
        f"{row.ratio:.1f}",
    )


def _rate_cells(row: RateMeasurement) -> tuple[str, ...]:
    return (
        row.what,
        row.floor,
        f"{row.floor_rate:,.0f}",
        f"{row.our_rate:,.0f}",
        f"{row.floor_rate_per_core:,.0f}",
        f"{row.our_rate_per_core:,.0f}",
        f"{row.ratio:.2f}",
        " / ".join(f"{cores:.2f}" for cores in row.server_cpu),
        f"{row.generator}: " + " / ".join(f"{cores:.2f}" for cores in row.generator_cpu),
        row.notes,
    )


def _wall_cells(row: WallMeasurement) -> tuple[str, ...]:
    return (
        row.what,
        row.floor,
        f"{row.floor_seconds:.3f}",
        f"{row.our_seconds:.3f}",
        f"{row.ratio:.2f}",
        row.notes,
    )


def _agent_cells(row: AgentRow) -> tuple[str, ...]:
    return (
        row.what,
        row.system,
        f"{row.runs:,} of {row.expected:,}",
        f"{row.cpu_milliseconds:.3f}",
        f"{row.cpu_milliseconds - row.floor_milliseconds:+.3f}",
        f"{row.period_error_milliseconds:.1f}",
        str(row.starts_in_10_ms),
        f"{row.memory_mb:.0f}",
        f"{row.rss_mb:.0f}",
    )


def _growth_cells(growth: Growth) -> tuple[str, ...]:
    before, after = growth.before, growth.after
    return (
        f"{growth.runs:,} of {growth.expected:,}",
        f"{before.processes} → {after.processes}",
        f"{before.descriptors} → {after.descriptors}",
        f"{before.memory_mb:.1f} → {after.memory_mb:.1f}",
    )


def _hostile_cells(row: HostileRow) -> tuple[str, ...]:
    return row.system, str(row.started), str(row.while_it_runs), str(row.after_its_end)


_AGENT_HEAD = (
    "what",
    "system",
    "runs by the witness",
    "CPU of the whole tree per run, ms",
    "over its floor, ms",
    "error of the period, p99, ms",
    "most starts in 10 ms",
    "memory of all its processes, MB",
    "RSS of its main process, MB",
)
_GROWTH_HEAD = ("runs by the witness", "processes", "descriptors", "RSS, MB")
_HOSTILE_HEAD = ("system", "programs started", "left while it runs", "left after it has ended")
_HEAD = ("what", "floor", "floor, ms CPU", "ours, ms CPU", "ours / floor")
_RATE_HEAD = (
    "what",
    "floor",
    "floor, 1/s",
    "ours, 1/s",
    "floor, 1/s per core",
    "ours, 1/s per core",
    "ours / floor, per core",
    "server's CPU, cores (floor / ours)",
    "load generator's CPU, cores (floor / ours)",
    "seen during the measurement",
)

_WALL_HEAD = ("what", "floor", "floor, s", "ours, s", "ours / floor", "seen during the measurement")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    return table


def _markdown(
    rows: list[Measurement],
    rates: list[RateMeasurement],
    walls: list[WallMeasurement],
    about_agent: AboutAgent,
) -> str:
    lines = [
        "# Benchmarks: the newest results",
        "",
        f"Made by `make bench` with Python {sys.version.split()[0]}. Both columns come from one run: compare them, not machines.",
        "",
        *_markdown_table(_HEAD, [_cells(row) for row in rows]),
        "",
        "Servers are real processes with one worker, pinned to one core; the load comes over loopback from another one.",
        "",
        *_markdown_table(_RATE_HEAD, [_rate_cells(row) for row in rates]),
        "",
        "What people wait for, by the clock on the wall, on a machine with two cores.",
        "",
        *_markdown_table(_WALL_HEAD, [_wall_cells(row) for row in walls]),
        "",
        "The agent and its peers run the same static C program, which writes down its start and is the only witness.",
        "The C loop waits for each program before it starts the next; `sandbox`: another user's rights, and limits, for each run.",
        "",
        *_markdown_table(_AGENT_HEAD, [_agent_cells(row) for row in about_agent.rows]),
        "",
        "The agent and its launchers for a minute at 200 programs a second, once it is warm: what they hold before and after.",
        "",
        *_markdown_table(_GROWTH_HEAD, [_growth_cells(about_agent.growth)]),
        "",
        "20 programs that ignore SIGTERM and 20 whose child leaves the process group, with a time limit of 2 s: the processes of them that are left",
        "15 s after the last one was started, and a second after the system has ended by SIGTERM.",
        "",
        *_markdown_table(_HOSTILE_HEAD, [_hostile_cells(row) for row in about_agent.hostile]),
    ]
    return "\n".join(lines) + "\n"


def _markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


if __name__ == "__main__":
    main()
