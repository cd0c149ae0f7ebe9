"""Compute nodes as values: as the Compute Admin API lists them, and as the variable holds them. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter, ValidationError

from common.contracts.identifiers import HOST_PATTERN

_WORD = re.compile(r"[!-~]{1,100}")


class NodeState(StrEnum):
    """What a node says of itself; what newer specs may name is `UNKNOWN`."""

    UNKNOWN = "UNKNOWN"
    UP = "UP"
    DOWN = "DOWN"
    MAINTENANCE = "MAINTENANCE"


@dataclass(frozen=True)
class ListedNode:
    """A node as the Compute Admin API describes it; texts are empty where it says nothing."""

    id: str
    name: str = ""
    fqdn: str = ""
    zone: str = ""
    state: NodeState = NodeState.UNKNOWN
    address: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def short_name(self) -> str:
        """The node's name, or the first part of its FQDN."""
        return self.name or self.fqdn.partition(".")[0]


@dataclass(frozen=True)
class Listing:
    """All that was listed, in the order and as often as it came.

    `total` is what the service says it counts, None if it does not count; `broken_paging` is why the end is not the end.
    """

    nodes: tuple[ListedNode, ...]
    total: int | None = None
    broken_paging: str = ""
    pages: int = 1


@dataclass(frozen=True)
class Selection:
    """Which nodes are wanted: one of these zones, one of these states, all of these labels; empty: any."""

    zones: frozenset[str] = frozenset()
    states: frozenset[NodeState] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)

    def takes(self, node: ListedNode) -> bool:
        """Whether the node is wanted."""
        return (
            (not self.zones or node.zone in self.zones)
            and (not self.states or node.state in self.states)
            and all(node.labels.get(name) == value for name, value in self.labels.items())
        )

    @property
    def filter_text(self) -> str:
        """The same for the service, which then sends less; labels are not in its grammar."""
        conditions = [
            f"{name} IN ({', '.join(_quoted(value) for value in sorted(values))})"
            for name, values in (("zone_id", self.zones), ("status", self.states))
            if values and NodeState.UNKNOWN not in values
        ]
        return " AND ".join(conditions)


class ComputeNode(BaseModel):
    """An item of the variable; proto_specs/README.md promises this shape to recipes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str
    name: str
    zone: str
    address: str


_NODES = TypeAdapter(list[ComputeNode])


def wanted_nodes(listing: Listing, selection: Selection) -> tuple[ComputeNode, ...]:
    """What the variable shall hold: ordered by zone, name and id, each id and each name once, nodes without a name left out.

    Of several with one name or id the first in that order is taken, so that the same nodes are always the same value.
    """
    candidates = sorted(
        {
            (node.zone, node.short_name, node.id, node.address)
            for node in listing.nodes
            if is_usable(node) and selection.takes(node)
        }
    )
    names: set[str] = set()
    ids: set[str] = set()
    wanted = []
    for zone, name, identifier, address in candidates:
        if name not in names and identifier not in ids:
            names.add(name)
            ids.add(identifier)
            wanted.append(ComputeNode(id=identifier, name=name, zone=zone, address=address))
    return tuple(wanted)


def is_usable(node: ListedNode) -> bool:
    """Whether a recipe could make a machine for it."""
    return bool(
        re.fullmatch(HOST_PATTERN, node.short_name)
        and _WORD.fullmatch(node.id)
        and _WORD.fullmatch(node.zone)
    )


def value_of(nodes: Sequence[ComputeNode]) -> JsonValue:
    """The nodes as the variable's value."""
    return [dict(node.model_dump()) for node in nodes]


def nodes_of(value: JsonValue) -> tuple[ComputeNode, ...]:
    """The value of the variable as nodes; ValueError says what in it is none."""
    try:
        return tuple(_NODES.validate_python(value))
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]
        )
        raise ValueError(f"{place or 'it'}: {first['msg'].lower()}") from error


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
