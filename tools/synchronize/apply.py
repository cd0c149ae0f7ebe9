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

# Makes one change of the object that has this ETag; the answer may carry the next one.
Call = Callable[[Change, str], object]

_GONE = 404
_CONFLICT = 409
_STALE = 412
# A new revision changes the ETag of what it belongs to.
_TAGGED_AS = {Kind.RECIPE_REVISION: Kind.RECIPE, Kind.PROBER_REVISION: Kind.PROBER}


class Writer(Protocol):
    """The writing half of common.api_client.ApiClient."""

    def create_recipe(self, body: RecipeCreate) -> object: ...
    def change_recipe(self, slug: str, body: RecipeUpdate, *, etag: str) -> object: ...
    def add_recipe_revision(
        self, slug: str, body: RevisionCreate, *, etag: str, force: bool
    ) -> object: ...
    def delete_recipe(self, slug: str, *, etag: str) -> object: ...
    def create_prober(self, body: ProberCreate) -> object: ...
    def change_prober(self, slug: str, body: ProberUpdate, *, etag: str) -> object: ...
    def add_prober_revision(self, slug: str, body: RevisionCreate, *, etag: str) -> object: ...
    def delete_prober(self, slug: str, *, etag: str) -> object: ...
    def put_config(
        self, prober: str, slug: str, body: ProberConfigPut, *, etag: str = ""
    ) -> object: ...
    def delete_config(self, prober: str, slug: str, *, etag: str) -> object: ...
    def create_cluster(self, body: ClusterCreate) -> object: ...
    def change_cluster(
        self, slug: str, body: ClusterUpdate, *, etag: str, force: bool
    ) -> object: ...
    def delete_cluster(self, slug: str, *, etag: str) -> object: ...
    def put_variable(
        self, cluster: str, name: str, body: VariablePut, *, etag: str = ""
    ) -> object: ...
    def delete_variable(self, cluster: str, name: str, *, etag: str) -> object: ...


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


def apply(plan: Plan, desired: Desired, writer: Writer) -> Applied:
    """Make every change of the plan; what the API refuses, and its going away, is in the result."""
    applied = Applied(postponed=list(plan.postponed))
    run = _Run(desired, calls_of(desired, writer), applied)
    refused = run.tried(plan.changes)
    # A later change may have lifted a refusal: a config of the same order that was deleted at the end.
    if refused and applied.done and not applied.stopped:
        again = run.tried([refusal.change for refusal in refused if not refusal.is_stale])
        refused = [refusal for refusal in refused if refusal.is_stale] + again
    for refusal in refused:
        run.give_up(refusal)
    return applied


def calls_of(desired: Desired, writer: Writer) -> dict[tuple[Action, Kind], Call]:
    """The call that makes each kind of change."""
    return {
        **_recipe_calls(desired, writer),
        **_prober_calls(desired, writer),
        **_cluster_calls(desired, writer),
    }


def _recipe_calls(desired: Desired, writer: Writer) -> dict[tuple[Action, Kind], Call]:
    recipes = desired.recipes
    return {
        (Action.CREATE, Kind.RECIPE): lambda change, _: writer.create_recipe(recipes[change.slug]),
        (Action.CHANGE, Kind.RECIPE): lambda change, etag: writer.change_recipe(
            change.slug,
            RecipeUpdate(description=recipes[change.slug].description),
            etag=etag,
        ),
        (Action.CHANGE, Kind.RECIPE_REVISION): lambda change, etag: writer.add_recipe_revision(
            change.slug,
            RevisionCreate(files=recipes[change.slug].files),
            etag=etag,
            force=True,  # the values that fit it come later in the same plan
        ),
        (Action.DELETE, Kind.RECIPE): lambda change, etag: writer.delete_recipe(
            change.slug, etag=etag
        ),
    }


def _prober_calls(desired: Desired, writer: Writer) -> dict[tuple[Action, Kind], Call]:
    probers = desired.probers

    def put_config(change: Change, etag: str) -> object:
        prober, slug = change.name
        return writer.put_config(prober, slug, desired.configs[prober, slug], etag=etag)

    return {
        (Action.CREATE, Kind.PROBER): lambda change, _: writer.create_prober(probers[change.slug]),
        (Action.CHANGE, Kind.PROBER): lambda change, etag: writer.change_prober(
            change.slug, _update_of(probers[change.slug]), etag=etag
        ),
        (Action.CHANGE, Kind.PROBER_REVISION): lambda change, etag: writer.add_prober_revision(
            change.slug, RevisionCreate(files=probers[change.slug].files), etag=etag
        ),
        (Action.DELETE, Kind.PROBER): lambda change, etag: writer.delete_prober(
            change.slug, etag=etag
        ),
        (Action.CREATE, Kind.CONFIG): put_config,
        (Action.CHANGE, Kind.CONFIG): put_config,
        (Action.DELETE, Kind.CONFIG): lambda change, etag: writer.delete_config(
            change.slug, change.name[1], etag=etag
        ),
    }


def _cluster_calls(desired: Desired, writer: Writer) -> dict[tuple[Action, Kind], Call]:
    clusters = desired.clusters

    def put_variable(change: Change, etag: str) -> object:
        cluster, name = change.name
        body = VariablePut(value=clusters[cluster].variables[name], managed_by=MANAGER)
        return writer.put_variable(cluster, name, body, etag=etag)

    return {
        (Action.CREATE, Kind.CLUSTER): lambda change, _: writer.create_cluster(
            clusters[change.slug]
        ),
        (Action.CHANGE, Kind.CLUSTER): lambda change, etag: writer.change_cluster(
            change.slug, _cluster_update_of(clusters[change.slug]), etag=etag, force=True
        ),
        (Action.DELETE, Kind.CLUSTER): lambda change, etag: writer.delete_cluster(
            change.slug, etag=etag
        ),
        (Action.CREATE, Kind.VARIABLE): put_variable,
        (Action.CHANGE, Kind.VARIABLE): put_variable,
        (Action.DELETE, Kind.VARIABLE): lambda change, etag: writer.delete_variable(
            change.slug, change.name[1], etag=etag
        ),
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
        # What our own changes have made of the ETags of the plan.
        self._etags: dict[tuple[Kind, tuple[str, ...]], str] = {}

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
                missing.add((change.kind, change.slug))
        return refusals

    def give_up(self, refusal: _Refusal) -> None:
        """Remember what was refused; a recipe that still serves a cluster in its last minutes only waits."""
        change = refusal.change
        self._applied.is_outdated |= refusal.is_stale
        if change.action is Action.DELETE and refusal.is_conflict:
            self._applied.postponed.append(f"{change.title} is still in use: {refusal.reason}")
        else:
            self._applied.failed.append((change, refusal.reason))

    def _tried(self, change: Change, missing: Collection[tuple[Kind, str]]) -> _Refusal | None:
        needed = self._needed_by(change)
        if needed and needed in missing:
            return _Refusal(change, f"{needed[0]} {needed[1]} is missing")
        try:
            self._make(change)
        except ApiRefusedError as error:
            if change.action is Action.DELETE and error.status == _GONE:
                return None  # somebody else was faster, which is as good
            if error.status == _STALE:
                return _Refusal(change, "changed meanwhile: plan again", is_stale=True)
            return _Refusal(change, str(error), error.status == _CONFLICT)
        return None

    def _make(self, change: Change) -> None:
        key = _TAGGED_AS.get(change.kind, change.kind), change.name
        answer = self._calls[change.action, change.kind](change, self._etags.get(key, change.etag))
        if etag := getattr(answer, "etag", ""):
            self._etags[key] = etag

    def _needed_by(self, change: Change) -> tuple[Kind, str] | None:
        if change.action is not Action.CREATE:
            return None
        if change.kind is Kind.CLUSTER:
            return Kind.RECIPE, self._desired.clusters[change.slug].recipe
        return (Kind.PROBER, change.slug) if change.kind is Kind.CONFIG else None


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
        recipe_revision=cluster.recipe_revision,
        deploy_policy=cluster.deploy_policy,
        gates=cluster.gates,
    )
