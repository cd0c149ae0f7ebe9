"""Tables in the one style of this tool; on a narrow terminal columns go, in a stated order, so that the others can be read. Pure."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

Cell = Text | str
# Between two columns.
_GAP = 3
# So much of a long text shall be seen on a line, before columns go for it.
_READABLE = 24


def table(*columns: str) -> Table:
    """An empty table."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        made.add_column(name, overflow="fold")
    return made


class FittedTable:
    """A table that leaves out columns that do not fit: those of `spared`, the first of them first.

    `long`: the column whose texts may be folded; all the others keep their width.
    """

    def __init__(self, *columns: str, spared: Sequence[str] = (), long: str = "") -> None:
        self._columns = columns
        self._spared = spared
        self._long = long
        self._rows: list[Sequence[Cell]] = []

    def add_row(self, *cells: Cell) -> None:
        """As many cells as columns."""
        self._rows.append(cells)

    def columns_for(self, width: int) -> list[str]:
        """The columns that are shown in so many characters."""
        shown = list(self._columns)
        for name in self._spared:
            if sum(self._needs(one) for one in shown) + _GAP * (len(shown) - 1) <= width:
                break
            shown.remove(name)
        return shown

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What is printed."""
        shown = self.columns_for(options.max_width)
        made = table()
        for name in shown:
            keeps = name != self._long and self._needs(name) <= options.max_width // 2
            made.add_column(name, overflow="fold", no_wrap=keeps, min_width=1)
        places = [self._columns.index(name) for name in shown]
        for row in self._rows:
            made.add_row(*(row[place] for place in places))
        yield made

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """At most all of it."""
        widest = sum(max(self._widths(name)) + _GAP for name in self._columns)
        return Measurement(1, min(widest, options.max_width))

    def _needs(self, name: str) -> int:
        widest = max(self._widths(name))
        return min(widest, max(_READABLE, cell_len(name))) if name == self._long else widest

    def _widths(self, name: str) -> Iterator[int]:
        place = self._columns.index(name)
        yield cell_len(name)
        for row in self._rows:
            cell = row[place]
            yield cell.cell_len if isinstance(cell, Text) else cell_len(cell)
