"""Decide: which resources that a plan destroys are protected by a cluster's gates? Pure; Creator and the API share it."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from common.contracts.deployments import Gates

_ADDRESSES_SHOWN = 10


def protection(destroyed: Sequence[str], gates: Gates) -> str:
    """Which protected addresses would go; empty if none."""
    found = [
        f"{address} ({pattern})"
        for address in destroyed
        if (pattern := _pattern_of(address, gates.protected))
    ]
    if not found:
        return ""
    return (
        f"protected resources would be destroyed: {listed(found)};"
        " nobody can approve that: change the plan, or the gate `protected` of the cluster"
    )


def listed(addresses: Sequence[str]) -> str:
    """The first ones, and how many more there are."""
    shown = ", ".join(addresses[:_ADDRESSES_SHOWN])
    more = len(addresses) - _ADDRESSES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _pattern_of(address: str, patterns: Sequence[str]) -> str:
    """The first pattern that means the address; brackets are part of addresses, not sets of characters."""
    for pattern in patterns:
        if fnmatchcase(address, pattern.replace("[", "[[]")):
            return pattern
    return ""
