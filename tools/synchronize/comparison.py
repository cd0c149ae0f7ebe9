"""Reads both sides and compares them: what `plan`, `apply` and `export` begin with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from common.api_client import ApiClient
from tools.api_access import ApiAccess
from tools.synchronize.apply import Applied, apply
from tools.synchronize.current import read_current
from tools.synchronize.differences import Choices, differences
from tools.synchronize.files import read_repository
from tools.synchronize.objects import Current, Desired
from tools.synchronize.plan import Change, Plan
from tools.synchronize.workers import Workers, workers_of


@dataclass(frozen=True)
class Place:
    """Where both sides are, and how many calls may be under way at a time."""

    configs: Path
    environment: str
    access: ApiAccess
    parallel: int


@dataclass(frozen=True)
class Comparison:
    """Both sides, the plan, and the choices that it was made with."""

    desired: Desired
    current: Current
    choices: Choices
    plan: Plan
    workers: Workers[ApiClient]

    def confirmed(self, names: Sequence[str]) -> "Comparison":
        """The same with these protected clusters confirmed."""
        choices = replace(self.choices, confirmed=self.choices.confirmed | set(names))
        plan = differences(self.desired, self.current, choices)
        return replace(self, choices=choices, plan=plan)

    def applied(self, progress: "Progress") -> Applied:
        """Make the changes."""
        return apply(
            self.plan,
            self.desired,
            self.workers,
            confirmed=self.choices.confirmed,
            on_progress=progress.step,
        )


class Progress:
    """Who hears of each change that was tried; this one does not care."""

    def step(self, change: Change) -> None:
        """One more."""


@contextmanager
def compared(place: Place, choices: Choices) -> Iterator[Comparison]:
    """Both sides read and compared; mistakes of the repository come before any question to the API."""
    desired = read_repository(place.configs, place.environment)
    with workers_of(place.access, count=place.parallel) as workers:
        current = read_current(workers, desired)
        plan = differences(desired, current, choices)
        yield Comparison(desired, current, choices, plan, workers)
