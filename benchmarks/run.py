"""`make bench`: every benchmark in turn, as a table on the screen and in RESULTS.md."""

import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import resolution
from benchmarks.measurement import Measurement

BENCHMARKS: dict[str, Callable[[], list[Measurement]]] = {"resolution": resolution.measure}
RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    """Measure, print, write down."""
    rows = [row for measure in BENCHMARKS.values() for row in measure()]
    RESULTS.write_text(_markdown(rows))
    Console().print(_table(rows))


def _cells(row: Measurement) -> tuple[str, ...]:
    return (
        row.what,
        row.floor,
        f"{row.floor_milliseconds:.3f}",
        f"{row.our_milliseconds:.3f}",
        f"{row.ratio:.1f}",
    )


_HEAD = ("what", "floor", "floor, ms CPU", "ours, ms CPU", "ours / floor")


def _table(rows: list[Measurement]) -> Table:
    table = Table(*_HEAD)
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _markdown(rows: list[Measurement]) -> str:
    lines = [
        "# Benchmarks: the newest results",
        "",
        f"Made by `make bench` with Python {sys.version.split()[0]}. Both columns come from one run: compare them, not machines.",
        "",
        f"| {' | '.join(_HEAD)} |",
        f"|{' --- |' * len(_HEAD)}",
        *(f"| {' | '.join(_cells(row))} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
