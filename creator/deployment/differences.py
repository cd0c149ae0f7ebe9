"""Decide: what of a cluster's description differs from what was applied last, and who changed it. Pure.

The inputs of a deployment are stored as hashes: {"files": {path: SHA-256}, "variables": {name: keyed hash},
"handover": {name: keyed hash}, "engine": {"terraform": version}, "backend": {name: value}}.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.contracts.deployments import Difference, DifferenceAction, DifferenceKind

MAX_DIFFERENCES = 500
_SHOWN = 5
_PARTS = {
    "files": DifferenceKind.FILE,
    "variables": DifferenceKind.VARIABLE,
    "handover": DifferenceKind.HANDOVER,
    "engine": DifferenceKind.ENGINE,
    "backend": DifferenceKind.BACKEND,
}


@dataclass(frozen=True)
class Write:
    """An entry of the audit log that may explain a difference."""

    kind: str  # recipe, cluster, variable
    name: str  # of a variable, else empty
    by: str
    at: datetime


def differences_between(
    applied: Mapping[str, Any] | None, wanted: Mapping[str, Any], writes: Iterable[Write] = ()
) -> list[Difference]:
    """What is added, changed or removed, in the order of the parts; `writes` are those since the last apply."""
    found = []
    newest = sorted(writes, key=lambda write: write.at, reverse=True)
    for part, kind in _PARTS.items():
        before, after = (applied or {}).get(part, {}), wanted.get(part, {})
        for name, action in _changed(before, after):
            write = _explanation(kind, name, newest)
            found.append(
                Difference(
                    kind=kind,
                    name=name,
                    action=action,
                    by=write.by if write else "",
                    at=write.at if write else None,
                )
            )
    return found[:MAX_DIFFERENCES]


def changed_at(differences: Iterable[Difference]) -> datetime | None:
    """When people made the newest of these changes, as far as the audit log knows."""
    return max((one.at for one in differences if one.at is not None), default=None)


def cause(reason: str, differences: Sequence[Difference]) -> str:
    """The reason with what changed and who did it, for people."""
    if not differences:
        return reason
    told = [_told(one) for one in differences[:_SHOWN]]
    if len(differences) > _SHOWN:
        told.append(f"{len(differences) - _SHOWN} more")
    return f"{reason}: {', '.join(told)}"


def _told(one: Difference) -> str:
    by = f" by {one.by}" if one.by else ""
    return f"{one.kind} {one.name} {one.action}{by}"


def _changed(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[tuple[str, DifferenceAction]]:
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield name, DifferenceAction.ADDED
        elif name not in after:
            yield name, DifferenceAction.REMOVED
        elif before[name] != after[name]:
            yield name, DifferenceAction.CHANGED


def _explanation(kind: DifferenceKind, name: str, newest: Sequence[Write]) -> Write | None:
    """The newest write that can have made the difference.

    A cluster may have been made with its variables, moved to another revision, or given another token.
    """
    if kind in {DifferenceKind.ENGINE, DifferenceKind.BACKEND}:
        return None  # the operator of Creator, who writes no audit log
    exact = {
        DifferenceKind.FILE: ("recipe", ""),
        DifferenceKind.VARIABLE: ("variable", name),
    }.get(kind, ("cluster", ""))
    for wanted in (exact, ("cluster", "")):
        for write in newest:
            if (write.kind, write.name) == wanted:
                return write
    return None
