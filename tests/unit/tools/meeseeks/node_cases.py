"""Nodes for tests, with what a test does not care about filled in; and strategies of them."""

from hypothesis import strategies as st

from tools.meeseeks.nodes import ComputeNode, ListedNode, Listing, NodeState

ZONES = ("zone-a", "zone-b", "zone-c")


def listed(number: int, zone: str = "zone-a", **fields: object) -> ListedNode:
    values: dict[str, object] = {
        "id": f"id{number}", "name": f"node-{number:04}", "zone": zone, "state": NodeState.UP,
        "address": f"10.0.0.{number % 256}",
    }  # fmt: skip
    return ListedNode(**(values | fields))  # type: ignore[arg-type] # as a test names them


def known(number: int, zone: str = "zone-a", **fields: str) -> ComputeNode:
    values = {
        "id": f"id{number}", "name": f"node-{number:04}", "zone": zone,
        "address": f"10.0.0.{number % 256}",
    }  # fmt: skip
    return ComputeNode(**(values | fields))


def listing_of(*nodes: ListedNode) -> Listing:
    return Listing(nodes, total=len(nodes))


# Few names and ids, so that they meet.
compute_nodes = st.builds(
    ComputeNode,
    id=st.sampled_from(["i1", "i2", "i3", "i4"]),
    name=st.sampled_from(["n1", "n2", "n3", "n4"]),
    zone=st.sampled_from(ZONES),
    address=st.sampled_from(["", "10.0.0.1", "10.0.0.2"]),
)
listed_nodes = st.builds(
    ListedNode,
    id=st.sampled_from(["", "i1", "i2", "i3", "i4"]),
    name=st.sampled_from(["", "n1", "n2", "n3", "bad name"]),
    fqdn=st.sampled_from(["", "n4.example.net"]),
    zone=st.sampled_from(["", *ZONES]),
    state=st.sampled_from(list(NodeState)),
    address=st.sampled_from(["", "10.0.0.1"]),
    labels=st.dictionaries(st.sampled_from(["rack", "hw"]), st.sampled_from(["1", "2"])),
)
