"""How calls to another service went lately, for people who ask; written by one thread, read by any."""

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.clocks import boot_ns

_MAX_PROBLEM_LENGTH = 500


@dataclass(frozen=True, slots=True)
class LinkNotes:
    """When a call last succeeded and last failed, and why the last one failed; empty if it did not."""

    succeeded_ns: int | None = None
    failed_ns: int | None = None
    problem: str = ""


class Link:
    """The notes about one service."""

    def __init__(self, clock_ns: Callable[[], int] = boot_ns) -> None:
        self._clock_ns = clock_ns
        self._notes = LinkNotes()

    @property
    def notes(self) -> LinkNotes:
        """As of the last call."""
        return self._notes

    def succeeded(self) -> None:
        """A call was answered as it should be."""
        self._notes = LinkNotes(self._clock_ns(), self._notes.failed_ns)

    def failed(self, problem: object) -> None:
        """A call was not."""
        text = str(problem)[:_MAX_PROBLEM_LENGTH] or "no reason is known"
        self._notes = LinkNotes(self._notes.succeeded_ns, self._clock_ns(), text)


@dataclass(frozen=True, slots=True)
class Links:
    """All services that an agent speaks to."""

    api: Link = field(default_factory=Link)
    storage: Link = field(default_factory=Link)
    reports: Link = field(default_factory=Link)
    solomon: Link = field(default_factory=Link)
