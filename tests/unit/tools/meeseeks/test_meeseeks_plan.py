"""Plans: what stops a change, what a person may decide, and what needs no decision since nothing would change."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tools.meeseeks.node_cases import known, listed, listed_nodes, listing_of
from tools.meeseeks.nodes import ComputeNode, ListedNode, Listing, Selection, value_of
from tools.meeseeks.plan import MANAGER, Current, Plan, Rules, planned
from tools.meeseeks.thresholds import Limits

TWENTY = [known(number, f"zone-{'ab'[number % 2]}") for number in range(20)]
LISTED = [listed(number, f"zone-{'ab'[number % 2]}") for number in range(20)]


def ours(*nodes: ComputeNode) -> Current:
    value = value_of(sorted(nodes, key=lambda node: (node.zone, node.name)))
    return Current(value, '"1"', MANAGER)


def plan_of(current: Current, listing: Listing, **rules: object) -> Plan:
    return planned(current, listing, Rules(**rules))  # type: ignore[arg-type]


def test_equal_sides_are_no_change() -> None:
    plan = plan_of(ours(*TWENTY), listing_of(*reversed(LISTED)))
    assert (plan.is_change, plan.refusals, plan.notes) == (False, (), ())


def test_the_first_list_fills_a_variable_that_is_not_there() -> None:
    plan = plan_of(Current(), listing_of(*LISTED))
    assert plan.is_change
    assert plan.refusals == ()
    assert len(plan.difference.added) == 20
    assert plan_of(Current(), Listing(())).refusals == (
        "no node is left to choose, the variable has 0",
    )


@pytest.mark.parametrize(("gone", "is_refused"), [(1, False), (6, False), (7, True), (19, True)])
def test_more_than_the_share_may_not_go_at_once(gone: int, *, is_refused: bool) -> None:
    # The ones that stay are of both zones as long as there are two.
    rest = LISTED[gone:]
    plan = plan_of(ours(*TWENTY), listing_of(*rest))
    said = f"{gone} of 20 nodes would be removed, more than 30%"
    assert (said in plan.refusals) == is_refused
    forced = plan_of(ours(*TWENTY), listing_of(*rest), force=True)
    assert forced.refusals == ()
    assert (said in forced.notes) == is_refused


def test_the_share_is_a_setting_and_few_nodes_have_none() -> None:
    limits = Limits(largest_share=0.0)
    assert plan_of(ours(*TWENTY), listing_of(*LISTED[1:]), limits=limits).refusals
    assert plan_of(ours(*TWENTY[:10]), listing_of(*LISTED[1:10]), limits=limits).refusals
    assert plan_of(ours(*TWENTY[:9]), listing_of(*LISTED[:2]), limits=limits).refusals == ()


def test_more_than_the_share_may_not_change_at_once() -> None:
    nodes = [replace(node, address="") for node in LISTED[:7]] + LISTED[7:]
    plan = plan_of(ours(*TWENTY), listing_of(*nodes))
    assert plan.refusals == ("7 of 20 nodes would be changed, more than 30%",)


def test_an_emptied_list_and_a_zone_that_is_gone_are_refused_however_few_they_are() -> None:
    current = ours(known(1), known(2, "zone-b"))
    assert plan_of(current, Listing(())).refusals == (
        "no node is left to choose, the variable has 2",
    )
    assert plan_of(current, listing_of(listed(1))).refusals == (
        "zone zone-b is gone from the list, the variable has 1 nodes there",
    )
    chosen = Selection(zones=frozenset({"zone-b"}))
    assert plan_of(current, listing_of(listed(1), listed(2, "zone-b")), selection=chosen).refusals


@pytest.mark.parametrize(
    ("listing", "refusal"),
    [
        (Listing((listed(1), listed(2)), total=3), "the Compute Admin API counts 3 nodes, but its list has 2"),
        (Listing((listed(1), listed(2)), total=1), "the Compute Admin API counts 1 nodes, but its list has 2"),
        (Listing((listed(1), listed(2)), broken_paging="why"), "paging is broken: why"),
        (Listing((listed(1), listed(2), listed(1))), "the list holds nodes more than once: id1"),
        (Listing((listed(1), listed(2), listed(3, name="node-0001"))), "several nodes have one name: node-0001"),
        (Listing((listed(1), listed(2), listed(3, ""))), "nodes without a usable id, name or zone: id3"),
        (Listing((listed(1), listed(2), listed(3, name="a b"))), "nodes without a usable id, name or zone: id3"),
        (Listing((listed(1), listed(2), ListedNode(id=""))), "nodes without a usable id, name or zone: one without id"),
    ],
)  # fmt: skip
def test_a_list_that_is_wrong_in_itself_is_refused_and_may_be_forced(
    listing: Listing, refusal: str
) -> None:
    plan = plan_of(ours(known(1)), listing)
    assert plan.is_change
    assert plan.refusals == (refusal,)
    forced = plan_of(ours(known(1)), listing, force=True)
    assert (forced.refusals, forced.notes) == ((), (refusal,))


def test_a_doubt_about_what_changes_nothing_is_a_note() -> None:
    plan = plan_of(ours(known(1)), Listing((listed(1),), total=2))
    assert (plan.is_change, plan.refusals) == (False, ())
    assert plan.notes == ("the Compute Admin API counts 2 nodes, but its list has 1",)


@pytest.mark.parametrize(("owner", "word"), [("synchronize", "synchronize"), ("", "people")])
def test_what_another_manages_is_taken_over_only_when_asked(owner: str, word: str) -> None:
    current = replace(ours(known(1)), managed_by=owner)
    for nodes in ([listed(1)], [listed(1), listed(2)]):
        plan = plan_of(current, listing_of(*nodes), force=True)
        assert plan.refusals == (
            f"the variable is managed by {word}, not by meeseeks: --adopt takes it over",
        )
        adopted = plan_of(current, listing_of(*nodes), adopt=True)
        assert adopted.is_change
        assert adopted.refusals == ()


def test_a_value_of_another_shape_is_replaced_only_when_asked() -> None:
    current = Current(["n1", "n2"], '"1"', MANAGER)
    plan = plan_of(current, listing_of(listed(1)), force=True)
    assert plan.refusals[0].startswith("the variable holds something else than nodes, [0]: ")
    assert plan_of(current, listing_of(listed(1)), adopt=True).refusals == ()


@given(
    st.lists(listed_nodes, max_size=6),
    st.lists(listed_nodes, max_size=6),
    st.integers(0, 8),
    st.sampled_from(["", "twice"]),
)
def test_what_was_applied_is_no_change_any_more(
    before: list[ListedNode], after: list[ListedNode], total: int, broken: str
) -> None:
    first = plan_of(Current(), Listing(tuple(before)), force=True)
    stored = Current(first.value, '"1"', MANAGER)
    listing = Listing(tuple(after), total=total or None, broken_paging=broken)
    second = plan_of(stored, listing, force=True)
    assert second.refusals == ()
    third = plan_of(replace(stored, value=second.value), listing)
    assert (third.is_change, third.refusals) == (False, ())
    assert third.value == second.value
