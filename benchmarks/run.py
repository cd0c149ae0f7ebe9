"""`make bench`: every part in turn, or those that are named; as tables on the screen and in RESULTS.md."""

import argparse
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import creator, documents, resolution, sinks, synchronize
from benchmarks.agent import hostile, python_prober, runs
from benchmarks.api import agents
from benchmarks.cells import (
    AGENT_HEAD,
    CPU_HEAD,
    GROWTH_HEAD,
    HOSTILE_HEAD,
    RATE_HEAD,
    WALL_HEAD,
    agent_cells,
    cpu_cells,
    growth_cells,
    hostile_cells,
    rate_cells,
    wall_cells,
)
from benchmarks.measurement import Measurement, WallMeasurement
from benchmarks.results import ResultTable, section, sections_of, text_of, this_machine

RESULTS = Path(__file__).with_name("RESULTS.md")

_SERVERS = "Servers are real processes with one worker, pinned to one core; the load comes over loopback from another one."
_WAITING = "What people wait for, by the clock on the wall."
_RUNS = """The agent and its peers run the same static C program, which writes down its start and is the only witness.
The C loop waits for each program before it starts the next; `sandbox`: another user's rights, and limits, for each run.
Three rounds, in each of which every system has its turn: medians of these, but the sum of runs, and the most starts and the most RSS of any.
Python of Debian and of the agent's image is optimised by a profile; one that is not costs about 0.05 ms more per run."""
_PYTHON = "The same with a Python file as the program; the floor is the C loop that starts it."
_GROWTH = "The agent and its launchers for a minute at 200 programs a second, once it is warm: what they hold before and after."
_HOSTILE = """20 programs that ignore SIGTERM and 20 whose child leaves the process group, with a time limit of 2 s: the processes of them that are left
15 s after the last one was started, and a second after the system has ended by SIGTERM."""


def _cpu(measure: Callable[[], list[Measurement]]) -> Callable[[], ResultTable]:
    return lambda: ResultTable("", CPU_HEAD, [cpu_cells(row) for row in measure()])


def _wall(measure: Callable[[], list[WallMeasurement]]) -> Callable[[], ResultTable]:
    return lambda: ResultTable(_WAITING, WALL_HEAD, [wall_cells(row) for row in measure()])


PARTS: dict[str, Callable[[], ResultTable]] = {
    "resolution": _cpu(resolution.measure),
    "documents": _cpu(documents.measure),
    "sinks": _cpu(sinks.measure),
    "api": lambda: ResultTable(_SERVERS, RATE_HEAD, [rate_cells(row) for row in agents.measure()]),
    "creator": _wall(creator.measure),
    "synchronize": _wall(synchronize.measure),
    "agent": lambda: ResultTable(_RUNS, AGENT_HEAD, [agent_cells(row) for row in runs.measure()]),
    "warm": lambda: ResultTable(
        _PYTHON, AGENT_HEAD, [agent_cells(row) for row in python_prober.measure()]
    ),
    "growth": lambda: ResultTable(_GROWTH, GROWTH_HEAD, [growth_cells(runs.measure_growth())]),
    "hostile": lambda: ResultTable(
        _HOSTILE, HOSTILE_HEAD, [hostile_cells(row) for row in hostile.measure()]
    ),
}


def main() -> None:
    """Measure, print, write down each part as soon as it is done."""
    console = Console()
    for part in _named_parts():
        table = PARTS[part]()
        console.print(_on_screen(table))
        _write_down(part, table)


def _named_parts() -> Iterable[str]:
    """Those of the command line, with commas or without; all, if none is named."""
    parser = argparse.ArgumentParser(
        prog="make bench",
        description="Measures Mr. Prober beside floors and peers; tables go to benchmarks/RESULTS.md. "
        'make bench PARTS="agent creator" runs some parts and replaces their tables only.',
    )
    known = ", ".join(PARTS)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{known}; default: all of them")
    parts: list[str] = [
        part for word in parser.parse_args().parts for part in re.split("[, ]+", word)
    ]
    for part in parts:
        if part not in PARTS:
            parser.error(f"{part!r} is no part: expected some of {known}")
    return parts or PARTS


def _write_down(part: str, table: ResultTable) -> None:
    sections = sections_of(RESULTS.read_text()) if RESULTS.exists() else {}
    sections[part] = section(part, [table], this_machine())
    RESULTS.write_text(text_of(sections, list(PARTS)))


def _on_screen(table: ResultTable) -> Table:
    shown = Table(*table.head)
    for row in table.rows:
        shown.add_row(*row)
    return shown


if __name__ == "__main__":
    main()
