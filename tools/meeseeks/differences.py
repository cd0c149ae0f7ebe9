"""Decide: what would change in the variable. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from tools.meeseeks.nodes import ComputeNode


@dataclass(frozen=True)
class NodeChange:
    """The node of one name before and after."""

    before: ComputeNode
    after: ComputeNode


@dataclass(frozen=True)
class Difference:
    """By name, in the order of the variable; `is_reordered`: the same nodes stand in another order, or one stands twice."""

    added: tuple[ComputeNode, ...] = ()
    removed: tuple[ComputeNode, ...] = ()
    changed: tuple[NodeChange, ...] = ()
    is_reordered: bool = False

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.added or self.removed or self.changed or self.is_reordered)


def difference(current: Sequence[ComputeNode], wanted: Sequence[ComputeNode]) -> Difference:
    """From what is there to what is wanted; names of the wanted ones are unique."""
    before = {node.name: node for node in current}
    after = {node.name: node for node in wanted}
    changed = [
        NodeChange(before[name], node)
        for name, node in after.items()
        if name in before and before[name] != node
    ]
    added = tuple(node for name, node in after.items() if name not in before)
    removed = tuple(node for name, node in before.items() if name not in after)
    is_reordered = not (added or removed or changed) and tuple(current) != tuple(wanted)
    return Difference(added, removed, tuple(changed), is_reordered)
