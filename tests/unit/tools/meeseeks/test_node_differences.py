"""The difference between two lists of nodes: applied to one it gives the other."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tools.meeseeks.node_cases import compute_nodes, known
from tools.meeseeks.differences import Difference, NodeChange, difference
from tools.meeseeks.nodes import ComputeNode

wanted_lists = st.lists(compute_nodes, max_size=5, unique_by=lambda node: node.name).map(
    lambda nodes: sorted(nodes, key=lambda node: (node.zone, node.name))
)


@given(st.lists(compute_nodes, max_size=6), wanted_lists)
def test_what_is_there_and_the_difference_give_what_is_wanted(
    current: list[ComputeNode], wanted: list[ComputeNode]
) -> None:
    change = difference(current, wanted)
    by_name = {node.name: node for node in current}
    for node in change.removed:
        assert by_name.pop(node.name) == node
    for one in change.changed:
        assert one.before != one.after
        assert by_name[one.before.name] == one.before
        by_name[one.after.name] = one.after
    for node in change.added:
        assert node.name not in by_name
        by_name[node.name] = node
    assert by_name == {node.name: node for node in wanted}


@given(st.lists(compute_nodes, max_size=6), wanted_lists)
def test_there_is_none_exactly_where_both_are_the_same(
    current: list[ComputeNode], wanted: list[ComputeNode]
) -> None:
    assert bool(difference(current, wanted)) == (current != wanted)
    assert not difference(wanted, wanted)


def test_a_node_of_the_same_name_is_changed_and_another_order_is_a_change() -> None:
    one, two = known(1), known(2)
    other = known(1, address="10.9.9.9")
    assert difference([one, two], [other, two]) == Difference(changed=(NodeChange(one, other),))
    assert difference([two, one], [one, two]) == Difference(is_reordered=True)
    assert difference([one, one], [one]) == Difference(is_reordered=True)
