"""Rows of results as cells of a table. Pure."""

from benchmarks.agent.hostile import HostileRow
from benchmarks.agent.runs import AgentRow, Growth
from benchmarks.measurement import Measurement, RateMeasurement, WallMeasurement


def cpu_cells(row: Measurement) -> tuple[str, ...]:
    """CPU beside a floor."""
    return (
        row.what,
        row.floor,
        f"{row.floor_milliseconds:.3f}",
        f"{row.our_milliseconds:.3f}",
        f"{row.ratio:.1f}",
    )


def rate_cells(row: RateMeasurement) -> tuple[str, ...]:
    """A server under load."""
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


def wall_cells(row: WallMeasurement) -> tuple[str, ...]:
    """What people wait for."""
    return (
        row.what,
        row.floor,
        f"{row.floor_seconds:.3f}",
        f"{row.our_seconds:.3f}",
        f"{row.ratio:.2f}",
        row.notes,
    )


def agent_cells(row: AgentRow) -> tuple[str, ...]:
    """One system under one load."""
    return (
        row.what,
        row.system,
        f"{row.runs:,} of {row.expected:,}",
        f"{row.cpu_milliseconds:.3f}",
        f"{row.over_floor_milliseconds:+.3f}",
        f"{row.period_error_milliseconds:.1f}",
        str(row.starts_in_10_ms),
        f"{row.memory_mb:.0f}",
        f"{row.rss_mb:.0f}",
    )


def growth_cells(growth: Growth) -> tuple[str, ...]:
    """What the agent holds."""
    before, after = growth.before, growth.after
    return (
        f"{growth.runs:,} of {growth.expected:,}",
        f"{before.processes} → {after.processes}",
        f"{before.descriptors} → {after.descriptors}",
        f"{before.memory_mb:.1f} → {after.memory_mb:.1f}",
    )


def hostile_cells(row: HostileRow) -> tuple[str, ...]:
    """What is left."""
    return row.system, str(row.started), str(row.while_it_runs), str(row.after_its_end)


AGENT_HEAD = (
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
GROWTH_HEAD = ("runs by the witness", "processes", "descriptors", "RSS, MB")
HOSTILE_HEAD = ("system", "programs started", "left while it runs", "left after it has ended")
CPU_HEAD = ("what", "floor", "floor, ms CPU", "ours, ms CPU", "ours / floor")
RATE_HEAD = (
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

WALL_HEAD = ("what", "floor", "floor, s", "ours, s", "ours / floor", "seen during the measurement")
