"""What an agent cannot do on this host, each with what follows from it: *decide*."""

import logging
from dataclasses import dataclass

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Powers:
    """What was found at the start."""

    may_change_user: bool
    user: str
    adopts_orphans: bool
    has_group: bool
    sees_pressure: bool


def missing_powers(powers: Powers) -> list[str]:
    """A sentence for each."""
    missing = []
    if not powers.may_change_user:
        missing.append(f"not root: all probers have the rights of {powers.user!r}")
    if not powers.adopts_orphans:
        missing.append("no sub-reaper: what a killed launcher leaves behind may survive")
    if not powers.has_group:
        missing.append(
            "no cgroup (v2) of its own: what lost its mark and its launcher may survive kill -9 of both"
        )
    if not powers.sees_pressure:
        missing.append("no /proc/pressure: only late starts show that the host was too busy")
    return missing


def told_missing_powers(powers: Powers) -> list[str]:
    """The same, each once in the log."""
    missing = missing_powers(powers)
    for sentence in missing:
        log.info("a power is missing: %s", sentence)
    return missing
