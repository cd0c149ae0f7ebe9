"""Decide: from the variable and the list to a plan. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from tools.meeseeks.differences import Difference, difference
from tools.meeseeks.nodes import (
    ComputeNode,
    Listing,
    Selection,
    nodes_of,
    value_of,
    wanted_nodes,
)
from tools.meeseeks.thresholds import Limits, doubts_of_change, doubts_of_listing

MANAGER = "meeseeks"


@dataclass(frozen=True)
class Current:
    """The variable as it was read; without an ETag there is none yet."""

    value: JsonValue = None
    etag: str = ""
    managed_by: str = ""


@dataclass(frozen=True)
class Rules:
    """What is chosen, what is suspicious, and what a person has decided already.

    `force`: apply in spite of doubts; `adopt`: take over what somebody else manages or wrote in another shape.
    """

    selection: Selection = field(default_factory=Selection)
    limits: Limits = field(default_factory=Limits)
    force: bool = False
    adopt: bool = False


@dataclass(frozen=True)
class Plan:
    """What would be done; with refusals it is not. `notes` are doubts that stop nothing."""

    current: Current
    known: int
    wanted: tuple[ComputeNode, ...]
    listed: int
    pages: int
    difference: Difference
    is_change: bool
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def value(self) -> JsonValue:
        """What the variable shall hold."""
        return value_of(self.wanted)


def planned(current: Current, listing: Listing, rules: Rules) -> Plan:
    """The plan; `--force` turns doubts into notes, `--adopt` does so with questions of ownership."""
    wanted = wanted_nodes(listing, rules.selection)
    nodes, strangeness = _known_nodes(current.value)
    change = difference(nodes, wanted)
    is_change = bool(change) or not _is_ours(current) or bool(strangeness)
    doubts = [*doubts_of_listing(listing), *doubts_of_change(nodes, wanted, change, rules.limits)]
    ownership = [*_questions_of_ownership(current, strangeness)]
    refusals: list[str] = []
    notes: list[str] = []
    for sentences, is_decided in ((ownership, rules.adopt), (doubts, rules.force)):
        # What would change nothing need not be refused, but somebody should know.
        (notes if is_decided or not is_change else refusals).extend(sentences)
    return Plan(
        current=current,
        known=len(nodes),
        wanted=wanted,
        listed=len(listing.nodes),
        pages=listing.pages,
        difference=change,
        is_change=is_change,
        refusals=tuple(refusals),
        notes=tuple(notes),
    )


def _known_nodes(value: JsonValue) -> tuple[Sequence[ComputeNode], str]:
    """The nodes of the variable, and what in it is no node."""
    if value is None:
        return (), ""
    try:
        return nodes_of(value), ""
    except ValueError as error:
        return (), str(error)


def _is_ours(current: Current) -> bool:
    return bool(current.etag) and current.managed_by == MANAGER


def _questions_of_ownership(current: Current, strangeness: str) -> Sequence[str]:
    questions = []
    if current.etag and current.managed_by != MANAGER:
        owner = current.managed_by or "people"
        questions.append(
            f"the variable is managed by {owner}, not by {MANAGER}: --adopt takes it over"
        )
    if strangeness:
        questions.append(
            f"the variable holds something else than nodes, {strangeness}: --adopt replaces it"
        )
    return questions
