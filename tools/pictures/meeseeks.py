"""Scenes of meeseeks: a difference, and a list that is too short to be believed."""

from rich.console import Console

from tools.meeseeks.nodes import ListedNode, Listing, NodeState
from tools.meeseeks.plan import Current, Rules, planned
from tools.meeseeks.report import print_round
from tools.meeseeks.rounds import Outcome, Round
from tools.pictures.prompt import typed

_ZONES = ("ru-central1-a", "ru-central1-b")


def plan(console: Console) -> None:
    """One node went, one came."""
    typed(console, "yc-mr-prober-meeseeks")
    known = planned(Current(), _listing(range(1, 13)), Rules()).value
    wanted = planned(Current(known, '"1"', "meeseeks"), _listing(range(2, 14)), Rules())
    print_round(console, Round(Outcome.PLANNED, wanted))


def refused(console: Console) -> None:
    """A page is missing."""
    typed(console, "yc-mr-prober-meeseeks apply")
    known = planned(Current(), _listing(range(1, 13)), Rules()).value
    doubtful = planned(Current(known, '"1"', "meeseeks"), _listing(range(1, 5), total=12), Rules())
    print_round(console, Round(Outcome.REFUSED, doubtful))


def _listing(numbers: range, *, total: int | None = None) -> Listing:
    nodes = tuple(
        ListedNode(
            id=f"n{number:03}", name=f"node-{number:04}", zone=_ZONES[number % 2],
            state=NodeState.UP, address=f"10.0.0.{number}",
        )
        for number in numbers
    )  # fmt: skip
    return Listing(nodes, total=len(nodes) if total is None else total)
