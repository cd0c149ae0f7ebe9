"""What the agent says about itself in Solomon. Pure but for `rss_bytes`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.sinks.port import SinkFigures
from common.solomon.points import Kind, Point


@dataclass(frozen=True)
class AgentFigures:
    """What the agent says about itself."""

    configuration_age_seconds: float | None
    runs_started: int
    runs_in_progress: int
    dropped: Mapping[str, int]  # by us, before any sink had it
    cpu_seconds: float  # since the agent's start
    rss_bytes: int
    sink: SinkFigures
    canary_runs: Mapping[str, int] = field(default_factory=dict)  # by verdict: right, wrong
    canary_problem: str = ""


def agent_points(figures: AgentFigures) -> list[Point]:
    """The agent's own points."""
    prefix = "mr_prober_agent_"
    points = [
        Point(f"{prefix}heartbeat", Kind.IGAUGE, 1),
        Point(f"{prefix}runs_started", Kind.RATE, figures.runs_started),
        Point(f"{prefix}runs_in_progress", Kind.IGAUGE, figures.runs_in_progress),
        Point(f"{prefix}cpu_seconds", Kind.GAUGE, figures.cpu_seconds),
        Point(f"{prefix}rss_bytes", Kind.IGAUGE, figures.rss_bytes),
        Point(f"{prefix}spool_bytes", Kind.IGAUGE, figures.sink.spool_bytes),
        Point(f"{prefix}spool_age_seconds", Kind.GAUGE, figures.sink.spool_age_seconds),
    ]
    if figures.configuration_age_seconds is not None:
        age = figures.configuration_age_seconds
        points.append(Point(f"{prefix}configuration_age_seconds", Kind.GAUGE, age))
    for verdict, count in figures.canary_runs.items():
        points.append(Point(f"{prefix}canary_runs", Kind.RATE, count, {"verdict": verdict}))
    dropped = {**figures.dropped, **figures.sink.dropped}
    for reason, count in dropped.items():
        points.append(Point(f"{prefix}dropped_points", Kind.RATE, count, {"reason": reason}))
    return points


def rss_bytes() -> int:
    """Memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
