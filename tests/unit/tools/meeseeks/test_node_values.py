"""Nodes: which are wanted, in which order, and what the variable holds of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tools.meeseeks.node_cases import known, listed, listed_nodes, listing_of
from tools.meeseeks.nodes import (
    ListedNode,
    Listing,
    NodeState,
    Selection,
    nodes_of,
    value_of,
    wanted_nodes,
)


@given(st.lists(listed_nodes, max_size=8), st.randoms(use_true_random=False))
def test_the_same_nodes_are_the_same_value_in_whatever_order_they_are_listed(
    nodes: list[ListedNode], random: object
) -> None:
    shuffled = list(nodes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    wanted = wanted_nodes(Listing(tuple(nodes)), Selection())
    assert wanted == wanted_nodes(Listing(tuple(shuffled)), Selection())
    assert list(wanted) == sorted(wanted, key=lambda node: (node.zone, node.name))
    assert len({node.name for node in wanted}) == len({node.id for node in wanted}) == len(wanted)
    assert nodes_of(value_of(wanted)) == wanted


def test_the_variable_holds_what_the_readme_promises() -> None:
    nodes = wanted_nodes(
        listing_of(
            listed(2, "zone-b", address=""),
            listed(1, "zone-a", name="", fqdn="node-1.zone-a.example.net", labels={"rack": "r1"}),
        ),
        Selection(),
    )
    assert value_of(nodes) == [
        {"id": "id1", "name": "node-1", "zone": "zone-a", "address": "10.0.0.1"},
        {"id": "id2", "name": "node-0002", "zone": "zone-b", "address": ""},
    ]


def test_a_state_or_a_label_that_changes_is_no_change_of_the_value() -> None:
    before = wanted_nodes(listing_of(listed(1, labels={"rack": "r1"})), Selection())
    after = wanted_nodes(listing_of(listed(1, state=NodeState.DOWN)), Selection())
    assert before == after


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        (Selection(), [1, 2, 3]),
        (Selection(zones=frozenset({"zone-a"})), [1, 2]),
        (Selection(states=frozenset({NodeState.UP})), [1, 3]),
        (Selection(labels={"rack": "r1"}), [2, 3]),
        (Selection(labels={"rack": "r1", "hw": "x"}), [3]),
        (Selection(zones=frozenset({"zone-a", "zone-b"}), labels={"rack": "r1"}), [2, 3]),
    ],
)
def test_zones_states_and_labels_choose(selection: Selection, numbers: list[int]) -> None:
    nodes = listing_of(
        listed(1),
        listed(2, state=NodeState.DOWN, labels={"rack": "r1"}),
        listed(3, "zone-b", labels={"rack": "r1", "hw": "x"}),
    )
    assert [node.id for node in wanted_nodes(nodes, selection)] == [f"id{one}" for one in numbers]


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        (Selection(), ""),
        (Selection(labels={"rack": "r1"}), ""),
        (Selection(zones=frozenset({"b", "a"})), 'zone_id IN ("a", "b")'),
        (
            Selection(zones=frozenset({'a"\\'}), states=frozenset({NodeState.UP})),
            'zone_id IN ("a\\"\\\\") AND status IN ("UP")',
        ),
        # What the service may call otherwise it must not leave out.
        (Selection(states=frozenset({NodeState.UP, NodeState.UNKNOWN})), ""),
    ],
)
def test_the_service_is_asked_for_the_same(selection: Selection, text: str) -> None:
    assert selection.filter_text == text


@pytest.mark.parametrize(
    ("value", "mistake"),
    [
        ("n1", "it: "),
        (["n1"], r"\[0\]: "),
        ([value_of([known(1)])[0] | {"zone": 1}], r"\[0\].zone: "),  # type: ignore[index, operator]
        ([{"name": "n1", "zone": "a", "address": ""}], r"\[0\].id: field required"),
        ([value_of([known(1)])[0] | {"rack": "r"}], r"\[0\].rack: "),  # type: ignore[index, operator]
    ],
)
def test_what_is_no_list_of_nodes_is_named(value: object, mistake: str) -> None:
    with pytest.raises(ValueError, match=mistake):
        nodes_of(value)  # type: ignore[arg-type]
