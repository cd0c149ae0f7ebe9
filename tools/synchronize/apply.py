"""Carries out a plan through the API, group by group; what fails does not stop what does not need it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import groupby
from typing import Any

from common.errors import ApiRefusedError, ApiUnreachableError
from tools.synchronize.calls import Call, Writer, calls_of
from tools.synchronize.objects import Desired
from tools.synchronize.plan import Action, Change, Kind, Plan
from tools.synchronize.workers import Workers

_GONE = 404
_CONFLICT = 409
_STALE = 412
# A new revision changes the ETag of what it belongs to.
_TAGGED_AS = {Kind.RECIPE_REVISION: Kind.RECIPE, Kind.PROBER_REVISION: Kind.PROBER}


@dataclass
class Applied:
    """What came of a plan."""

    done: list[Change] = field(default_factory=list)
    failed: list[tuple[Change, str]] = field(default_factory=list)
    postponed: list[str] = field(default_factory=list)
    # Somebody else wrote between plan and apply: what is left needs a new plan.
    is_outdated: bool = False
    # Why the rest was not even tried; empty if all of it was.
    stopped: str = ""
    untried: int = 0

    @property
    def left(self) -> int:
        """How much there is for the next run."""
        return len(self.failed) + len(self.postponed) + self.untried


@dataclass(frozen=True)
class _Refusal:
    change: Change
    reason: str
    is_conflict: bool = False
    is_stale: bool = False


class _Untried(Enum):
    """Whether it happened is not known, or it was not even sent."""

    UNTRIED = "untried"


_UNTRIED = _Untried.UNTRIED
_Outcome = _Refusal | _Untried | None


def apply(
    plan: Plan,
    desired: Desired,
    workers: Workers[Any],
    *,
    confirmed: frozenset[str] = frozenset(),
    on_progress: Callable[[Change], None] = lambda _: None,
) -> Applied:
    """Make every change of the plan; what the API refuses, and its going away, is in the result.

    `confirmed`: protected clusters that may go. `on_progress` hears of each change that was tried, in this thread.
    """
    applied = Applied(postponed=list(plan.postponed))
    run = _Run(desired, calls_of(desired, confirmed), applied, workers, on_progress)
    refused = run.tried(plan.groups())
    # A later change may have lifted a refusal: a config of the same order that was deleted at the end.
    if refused and applied.done and not applied.stopped:
        again = run.tried([(one.change,) for one in refused if not one.is_stale])
        refused = [refusal for refusal in refused if refusal.is_stale] + again
    for refusal in refused:
        run.give_up(refusal)
    return applied


class _Run:
    """One way through a plan."""

    def __init__(
        self,
        desired: Desired,
        calls: Mapping[tuple[Action, Kind], Call],
        applied: Applied,
        workers: Workers[Any],
        on_progress: Callable[[Change], None],
    ) -> None:
        self._desired = desired
        self._calls = calls
        self._applied = applied
        self._workers = workers
        self._on_progress = on_progress
        # What our own changes have made of the ETags of the plan; written in one group, read in a later one.
        self._etags: dict[tuple[Kind, tuple[str, ...]], str] = {}

    def tried(self, groups: Sequence[Sequence[Change]]) -> list[_Refusal]:
        """Try the groups in order, the changes of one side by side; gives those that were refused."""
        refusals: list[_Refusal] = []
        missing: set[tuple[Kind, str]] = set()
        for group in groups:
            refusals += self._tried_group(group, missing)
        return refusals

    def give_up(self, refusal: _Refusal) -> None:
        """Remember what was refused; a recipe that still serves a cluster in its last minutes only waits."""
        change = refusal.change
        self._applied.is_outdated |= refusal.is_stale
        if change.action is Action.DELETE and refusal.is_conflict:
            self._applied.postponed.append(f"{change.title} is still in use: {refusal.reason}")
        else:
            self._applied.failed.append((change, refusal.reason))

    def _tried_group(
        self, group: Sequence[Change], missing: set[tuple[Kind, str]]
    ) -> list[_Refusal]:
        # Parts of one object stay in line: which of two configs at one order is refused must not be a matter of luck.
        chains = [list(chain) for _, chain in groupby(group, key=lambda change: change.slug)]
        calls = [self._call_of(chain, frozenset(missing)) for chain in chains]
        refusals: list[_Refusal] = []
        for chain, future in zip(chains, self._workers.begun(calls), strict=True):
            for change, outcome in zip(chain, future.result(), strict=True):
                if outcome is _UNTRIED:
                    self._applied.untried += 1
                    continue
                self._on_progress(change)
                if not isinstance(outcome, _Refusal):
                    self._applied.done.append(change)
                    continue
                refusals.append(outcome)
                if change.action is Action.CREATE:
                    missing.add((change.kind, change.slug))
        return refusals

    def _call_of(
        self, chain: Sequence[Change], missing: Collection[tuple[Kind, str]]
    ) -> Callable[[Writer], list[_Outcome]]:
        return lambda writer: [self._tried(writer, change, missing) for change in chain]

    def _tried(
        self, writer: Writer, change: Change, missing: Collection[tuple[Kind, str]]
    ) -> _Outcome:
        if self._applied.stopped:
            return _UNTRIED  # it would wait for the same time limit
        needed = self._needed_by(change)
        if needed and needed in missing:
            return _Refusal(change, f"{needed[0]} {needed[1]} is missing")
        try:
            return self._made(writer, change)
        except ApiUnreachableError as error:
            self._stop(str(error))
            return _UNTRIED

    def _stop(self, reason: str) -> None:
        self._applied.stopped = self._applied.stopped or reason

    def _made(self, writer: Writer, change: Change) -> _Refusal | None:
        key = _TAGGED_AS.get(change.kind, change.kind), change.name
        etag = self._etags.get(key, change.etag)
        try:
            answer = self._calls[change.action, change.kind](writer, change, etag)
        except ApiRefusedError as error:
            if change.action is Action.DELETE and error.status == _GONE:
                return None  # somebody else was faster, which is as good
            if error.status == _STALE:
                return _Refusal(change, "changed meanwhile: plan again", is_stale=True)
            return _Refusal(change, str(error), error.status == _CONFLICT)
        if made := getattr(answer, "etag", ""):
            self._etags[key] = made
        return None

    def _needed_by(self, change: Change) -> tuple[Kind, str] | None:
        if change.kind is Kind.HANDOVER:
            return Kind.CLUSTER, change.slug
        if change.action is not Action.CREATE:
            return None
        if change.kind is Kind.CLUSTER:
            return Kind.RECIPE, self._desired.clusters[change.slug].recipe
        return (Kind.PROBER, change.slug) if change.kind is Kind.CONFIG else None
