"""What a cell shows of a gauge that was printed several times in it, by the name of the aggregate. Pure."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_FOLDS: Mapping[str, Callable[[float, float], float]] = {
    "last": lambda _, new: new,
    "min": min,
    "max": max,
    "avg": operator.add,
    "sum": operator.add,
}
AGGREGATES = tuple(_FOLDS)


@dataclass(slots=True)
class Gauge:
    """The values of one cell, folded."""

    folded: float
    count: int = 1

    def add(self, value: float, aggregate: str) -> None:
        """One more value."""
        self.folded = _FOLDS[aggregate](self.folded, value)
        self.count += 1

    def value(self, aggregate: str) -> float:
        """What the cell shows."""
        return self.folded / self.count if aggregate == "avg" else self.folded
