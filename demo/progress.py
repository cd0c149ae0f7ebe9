"""What the demo tells about a grid: how many cells are green, which are not and why. Pure."""

from collections import Counter

from common.contracts.agents import Grid
from common.contracts.states import State


def in_one_line(error: str) -> str:
    """The first line of terraform's error and its last paragraph, which says why; what lies between says where."""
    first, _, rest = error.strip().split("\n\n\nError: ")[0].partition("\n")
    reason = " ".join(rest.strip().rpartition("\n\n")[2].split())
    return f"{first} {reason}".rstrip()


def counts(grid: Grid) -> Counter[State]:
    """How many cells show each state."""
    return Counter(cell.state for host in grid.hosts for cell in host.cells.values())


def sentence(grid: Grid) -> str:
    """One line about all cells: `21 cells: 20 success, 1 failure`."""
    by_state = counts(grid)
    words = ", ".join(
        f"{by_state[state]} {state.name.lower().replace('_', ' ')}"
        for state in State
        if by_state[state]
    )
    return f"{by_state.total()} cells: {words}" if words else "no cells yet"
