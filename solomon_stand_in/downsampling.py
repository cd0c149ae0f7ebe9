"""Points → one per cell of a grid, as `downsampling` of the cloud dialect asks for it. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from solomon_stand_in.errors import ParameterError
from solomon_stand_in.json_nodes import Node
from solomon_stand_in.metrics import Point
from solomon_stand_in.store import Period

MAX_CELLS = 10_000

# Milliseconds since the epoch, and the value there or None.
Row = tuple[int, float | None]

_AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "MAX": max,
    "MIN": min,
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
    "LAST": lambda values: values[-1],
    "COUNT": len,
}
_GAPS = ("NULL", "NONE", "PREVIOUS")


@dataclass(frozen=True)
class Downsampling:
    """The grid; without an interval (milliseconds) every point is shown."""

    interval: int = 0
    aggregation: str = "AVG"
    gaps: str = "NULL"

    def rows(self, points: Sequence[Point]) -> list[Row]:
        """The points of one series, oldest first, on the grid; a cell's time is its start."""
        numbers = [(point.milliseconds, _number(point)) for point in points]
        if not self.interval:
            return list(numbers)
        cells: dict[int, list[float]] = {}
        for moment, number in numbers:
            cells.setdefault(moment // self.interval * self.interval, []).append(number)
        found: dict[int, float] = {
            start: _AGGREGATIONS[self.aggregation](values) for start, values in cells.items()
        }
        if self.gaps == "NONE" or not found:
            return list(found.items())
        return self._filled(found)

    def _filled(self, found: Mapping[int, float]) -> list[Row]:
        rows: list[Row] = []
        for start in range(min(found), max(found) + 1, self.interval):
            before = rows[-1][1] if rows and self.gaps == "PREVIOUS" else None
            rows.append((start, found.get(start, before)))
        return rows


def downsampling_of(node: Node | None, period: Period) -> Downsampling:
    """What the field asks for; exactly one of `maxPoints`, `gridInterval`, `disabled` must be there."""
    if node is None:
        raise ParameterError("downsampling is missing")
    known = ("maxPoints", "gridInterval", "disabled", "gridAggregation", "gapFilling")
    fields = node.fields(known, of="downsampling")
    chosen = [name for name in known[:3] if name in fields]
    if len(chosen) != 1:
        raise node.error("exactly one of maxPoints, gridInterval, disabled is needed")
    field = fields[chosen[0]]
    if chosen == ["disabled"]:
        if field.value is not True:
            raise field.error("disabled can only be true")
        return Downsampling()
    number = _positive(field)
    interval = number
    if chosen == ["maxPoints"]:
        if not 10 < number <= MAX_CELLS:
            raise field.error(f"maxPoints is between 11 and {MAX_CELLS}")
        interval = math.ceil((period.end - period.start + 1) / number)
    if (period.end - period.start) / interval > MAX_CELLS:
        raise node.error(f"more than {MAX_CELLS} cells")
    return Downsampling(
        interval,
        _one_of(fields.get("gridAggregation"), tuple(_AGGREGATIONS), default="AVG"),
        _one_of(fields.get("gapFilling"), _GAPS, default="NULL"),
    )


def _positive(node: Node) -> int:
    # Documented as int64, which comes as text in JSON of this kind.
    value = node.value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    return Node(node.path, value).integer(of="number", minimum=1, maximum=10**15)


def _one_of(node: Node | None, allowed: Sequence[str], *, default: str) -> str:
    if node is None:
        return default
    text = node.text(of="word")
    if text not in allowed:
        raise node.error(f"expected {', '.join(allowed)}")
    return text


def _number(point: Point) -> float:
    if isinstance(point.value, Mapping):
        raise ParameterError("histograms are not read in this dialect")
    return point.value
