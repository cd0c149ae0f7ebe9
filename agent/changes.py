"""The difference between what runs and what shall run: *decide*. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.plan import RunKey, RunSpec


@dataclass(frozen=True)
class Changes:
    """What the loop does with each combination; whatever is in `keep` is not touched at all."""

    start: tuple[RunSpec, ...]
    stop: tuple[RunKey, ...]
    replace: tuple[RunSpec, ...]
    keep: tuple[RunKey, ...]


def changes_between(running: Mapping[RunKey, RunSpec], wanted: Mapping[RunKey, RunSpec]) -> Changes:
    """What to start, stop and replace, so that `running` becomes `wanted`."""
    both = [key for key in wanted if key in running]
    return Changes(
        start=tuple(spec for key, spec in wanted.items() if key not in running),
        stop=tuple(key for key in running if key not in wanted),
        replace=tuple(wanted[key] for key in both if wanted[key] != running[key]),
        keep=tuple(key for key in both if wanted[key] == running[key]),
    )
