"""Decide: what is suspicious about a list of nodes and about what it would change. Pure; each doubt is one sentence.

A cluster with a machine per node loses a machine for each node that a list forgets, so a doubt stops a change until a person forces it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tools.meeseeks.differences import Difference
from tools.meeseeks.nodes import ComputeNode, ListedNode, Listing, is_usable

_SHOWN = 5


@dataclass(frozen=True)
class Limits:
    """`largest_share` of the nodes may go or change at once, from `smallest_count` nodes up."""

    largest_share: float = 0.3
    smallest_count: int = 10


def doubts_of_listing(listing: Listing) -> Iterator[str]:
    """What is wrong with the list itself, whatever it would change."""
    if listing.broken_paging:
        yield f"paging is broken: {listing.broken_paging}"
    identifiers = Counter(node.id for node in listing.nodes if node.id)
    twice = [identifier for identifier, count in identifiers.items() if count > 1]
    if twice:
        yield f"the list holds nodes more than once: {_some(twice)}"
    # Nodes without an id cannot be told apart: each counts.
    count = len(identifiers) + sum(not node.id for node in listing.nodes)
    if listing.total is not None and listing.total != count:
        yield f"the Compute Admin API counts {listing.total} nodes, but its list has {count}"
    yield from _doubts_of_nodes(listing.nodes)


def doubts_of_change(
    current: Sequence[ComputeNode],
    wanted: Sequence[ComputeNode],
    change: Difference,
    limits: Limits,
) -> Iterator[str]:
    """What is wrong with changing one into the other."""
    if not wanted:
        yield f"no node is left to choose, the variable has {len(current)}"
        return
    zones = {node.zone for node in wanted}
    for zone, count in sorted(Counter(node.zone for node in current).items()):
        if zone not in zones:
            yield f"zone {zone} is gone from the list, the variable has {count} nodes there"
    for word, count in (("removed", len(change.removed)), ("changed", len(change.changed))):
        if len(current) >= limits.smallest_count and count > limits.largest_share * len(current):
            yield (
                f"{count} of {len(current)} nodes would be {word},"
                f" more than {limits.largest_share:.0%}"
            )


def _doubts_of_nodes(nodes: Sequence[ListedNode]) -> Iterator[str]:
    unusable = [
        node.id or node.short_name or "one without id" for node in nodes if not is_usable(node)
    ]
    if unusable:
        yield f"nodes without a usable id, name or zone: {_some(unusable)}"
    owners: dict[str, set[str]] = {}
    for node in nodes:
        if is_usable(node):
            owners.setdefault(node.short_name, set()).add(node.id)
    shared = [name for name, identifiers in owners.items() if len(identifiers) > 1]
    if shared:
        yield f"several nodes have one name: {_some(shared)}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(sorted(names)[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
