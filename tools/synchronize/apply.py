"""Carries out a plan through the API, object by object; what fails does not stop what does not need it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from common.contracts.clusters import ClusterCreate, ClusterUpdate, VariablePut
from common.contracts.probers import ProberConfigPut, ProberCreate, ProberUpdate
from common.contracts.recipes import RecipeCreate, RecipeUpdate, RevisionCreate
from common.errors import ApiRefusedError, ApiUnreachableError
from tools.synchronize.objects import MANAGER, Desired
from tools.synchronize.plan import Action, Change, Kind, Plan

Call = Callable[..., object]

_GONE = 404
_CONFLICT = 409


class Writer(Protocol):
    """The writing half of common.api_client.ApiClient."""

    def create_recipe(self, body: RecipeCreate) -> object: ...
    def change_recipe(self, slug: str, body: RecipeUpdate) -> object: ...
    def add_recipe_revision(self, slug: str, body: RevisionCreate) -> object: ...
    def delete_recipe(self, slug: str) -> object: ...
    def create_prober(self, body: ProberCreate) -> object: ...
    def change_prober(self, slug: str, body: ProberUpdate) -> object: ...
    def add_prober_revision(self, slug: str, body: RevisionCreate) -> object: ...
    def delete_prober(self, slug: str) -> object: ...
    def put_config(self, prober: str, slug: str, body: ProberConfigPut) -> object: ...
    def delete_config(self, prober: str, slug: str) -> object: ...
    def create_cluster(self, body: ClusterCreate) -> object: ...
    def change_cluster(self, slug: str, body: ClusterUpdate) -> object: ...
    def delete_cluster(self, slug: str) -> object: ...
    def put_variable(self, cluster: str, name: str, body: VariablePut) -> object: ...
    def delete_variable(self, cluster: str, name: str) -> object: ...


@dataclass
class Applied:
    """What came of a plan."""

    done: list[Change] = field(default_factory=list)
    failed: list[tuple[Change, str]] = field(default_factory=list)
    postponed: list[str] = field(default_factory=list)
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


def apply(plan: Plan, desired: Desired, writer: Writer) -> Applied:
    """Make every change of the plan; what the API refuses, and its going away, is in the result."""
    applied = Applied(postponed=list(plan.postponed))
    run = _Run(desired, calls_of(desired, writer), applied)
    refused = run.tried(plan.changes)
    # A later change may have lifted a refusal: a config of the same order that was deleted at the end.
    if refused and applied.done and not applied.stopped:
        refused = run.tried([refusal.change for refusal in refused])
    for refusal in refused:
        run.give_up(refusal)
    return applied


def calls_of(desired: Desired, writer: Writer) -> dict[tuple[Action, Kind], Call]:
    """The call that makes each kind of change; it takes the names of the object."""

    def put_config(prober: str, slug: str) -> object:
        return writer.put_config(prober, slug, desired.configs[prober, slug])

    def put_variable(cluster: str, name: str) -> object:
        value = desired.clusters[cluster].variables[name]
        return writer.put_variable(cluster, name, VariablePut(value=value, managed_by=MANAGER))

    return {
        (Action.CREATE, Kind.RECIPE): lambda slug: writer.create_recipe(desired.recipes[slug]),
        (Action.CHANGE, Kind.RECIPE): lambda slug: writer.change_recipe(
            slug, RecipeUpdate(description=desired.recipes[slug].description)
        ),
        (Action.CHANGE, Kind.RECIPE_REVISION): lambda slug: writer.add_recipe_revision(
            slug, RevisionCreate(files=desired.recipes[slug].files)
        ),
        (Action.DELETE, Kind.RECIPE): writer.delete_recipe,
        (Action.CREATE, Kind.PROBER): lambda slug: writer.create_prober(desired.probers[slug]),
        (Action.CHANGE, Kind.PROBER): lambda slug: writer.change_prober(
            slug, _update_of(desired.probers[slug])
        ),
        (Action.CHANGE, Kind.PROBER_REVISION): lambda slug: writer.add_prober_revision(
            slug, RevisionCreate(files=desired.probers[slug].files)
        ),
        (Action.DELETE, Kind.PROBER): writer.delete_prober,
        (Action.CREATE, Kind.CONFIG): put_config,
        (Action.CHANGE, Kind.CONFIG): put_config,
        (Action.DELETE, Kind.CONFIG): writer.delete_config,
        (Action.CREATE, Kind.CLUSTER): lambda slug: writer.create_cluster(desired.clusters[slug]),
        (Action.CHANGE, Kind.CLUSTER): lambda slug: writer.change_cluster(
            slug, _cluster_update_of(desired.clusters[slug])
        ),
        (Action.DELETE, Kind.CLUSTER): writer.delete_cluster,
        (Action.CREATE, Kind.VARIABLE): put_variable,
        (Action.CHANGE, Kind.VARIABLE): put_variable,
        (Action.DELETE, Kind.VARIABLE): writer.delete_variable,
    }


class _Run:
    """One way through a plan."""

    def __init__(
        self,
        desired: Desired,
        calls: Mapping[tuple[Action, Kind], Call],
        applied: Applied,
    ) -> None:
        self._desired = desired
        self._calls = calls
        self._applied = applied

    def tried(self, changes: Sequence[Change]) -> list[_Refusal]:
        """Try the changes in order; gives those that were refused."""
        refusals: list[_Refusal] = []
        missing: set[tuple[Kind, str]] = set()
        for number, change in enumerate(changes):
            try:
                refusal = self._tried(change, missing)
            except ApiUnreachableError as error:
                # All that follows would wait for the same time limit.
                self._applied.stopped = str(error)
                self._applied.untried = len(changes) - number
                break
            if refusal is None:
                self._applied.done.append(change)
                continue
            refusals.append(refusal)
            if change.action is Action.CREATE:
                missing.add((change.kind, change.name[0]))
        return refusals

    def give_up(self, refusal: _Refusal) -> None:
        """Remember what was refused; a recipe that still serves a cluster in its last minutes only waits."""
        change = refusal.change
        if change.action is Action.DELETE and refusal.is_conflict:
            self._applied.postponed.append(f"{change.title} is still in use: {refusal.reason}")
        else:
            self._applied.failed.append((change, refusal.reason))

    def _tried(self, change: Change, missing: Collection[tuple[Kind, str]]) -> _Refusal | None:
        needed = self._needed_by(change)
        if needed and needed in missing:
            return _Refusal(change, f"{needed[0]} {needed[1]} is missing")
        try:
            self._calls[change.action, change.kind](*change.name)
        except ApiRefusedError as error:
            if change.action is Action.DELETE and error.status == _GONE:
                return None  # somebody else was faster, which is as good
            return _Refusal(change, str(error), error.status == _CONFLICT)
        return None

    def _needed_by(self, change: Change) -> tuple[Kind, str] | None:
        if change.action is not Action.CREATE:
            return None
        if change.kind is Kind.CLUSTER:
            return Kind.RECIPE, self._desired.clusters[change.name[0]].recipe
        return (Kind.PROBER, change.name[0]) if change.kind is Kind.CONFIG else None


def _update_of(prober: ProberCreate) -> ProberUpdate:
    return ProberUpdate(
        description=prober.description,
        owner=prober.owner,
        runbook_url=prober.runbook_url,
        command=prober.command,
        defaults=prober.defaults,
    )


def _cluster_update_of(cluster: ClusterCreate) -> ClusterUpdate:
    return ClusterUpdate(
        recipe_revision=cluster.recipe_revision, deploy_policy=cluster.deploy_policy
    )
