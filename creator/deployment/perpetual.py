"""Decide: does a resource differ again after each apply? Then applying it once more only does harm. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile

# So many applies in a row that did not help; fewer may be somebody at the same resource.
APPLIES_IN_VAIN = 3


@dataclass(frozen=True)
class Applied:
    """A successful apply: of which description, and what it changed."""

    fingerprint: str
    addresses: frozenset[str]


def perpetual_addresses(
    applies: Sequence[Applied], fingerprint: str, planned: Collection[str]
) -> frozenset[str]:
    """Which of the planned addresses each of the last applies has changed already, newest first.

    Only applies of this very description count: another one is another attempt.
    Fewer than APPLIES_IN_VAIN of them prove nothing.
    """
    of_this = list(takewhile(lambda one: one.fingerprint == fingerprint, applies))
    newest = of_this[:APPLIES_IN_VAIN]
    if len(newest) < APPLIES_IN_VAIN:
        return frozenset()
    return frozenset(planned).intersection(*(one.addresses for one in newest))
