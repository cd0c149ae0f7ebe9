"""Which call of the API makes which change of a plan."""

from collections.abc import Callable
from typing import Protocol

from common.contracts.clusters import (
    Cluster,
    ClusterCreate,
    ClusterUpdate,
    Variable,
    VariablePut,
)
from common.contracts.probers import ProberConfigPut, ProberCreate, ProberUpdate
from common.contracts.recipes import RecipeCreate, RecipeUpdate, RevisionCreate
from tools.synchronize.object_fields import update_of
from tools.synchronize.objects import MANAGER, Desired
from tools.synchronize.plan import Action, Change, Kind


class Writer(Protocol):
    """The writing half of common.api_client.ApiClient, and what a change may have to look up."""

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
    ) -> Cluster: ...
    def delete_cluster(self, slug: str, *, etag: str) -> object: ...
    def variable(self, cluster: str, name: str) -> Variable: ...
    def put_variable(
        self, cluster: str, name: str, body: VariablePut, *, etag: str = ""
    ) -> object: ...
    def delete_variable(self, cluster: str, name: str, *, etag: str) -> object: ...


# Makes one change of the object that has this ETag; the answer may carry the next one.
Call = Callable[[Writer, Change, str], object]


def calls_of(
    desired: Desired, confirmed: frozenset[str] = frozenset()
) -> dict[tuple[Action, Kind], Call]:
    """The call that makes each kind of change; `confirmed`: protected clusters that may go."""
    return {
        **_recipe_calls(desired),
        **_prober_calls(desired),
        **_cluster_calls(desired, confirmed),
        **_variable_calls(desired),
    }


def _recipe_calls(desired: Desired) -> dict[tuple[Action, Kind], Call]:
    recipes = desired.recipes
    return {
        (Action.CREATE, Kind.RECIPE): lambda writer, change, _: writer.create_recipe(
            recipes[change.slug]
        ),
        (Action.CHANGE, Kind.RECIPE): lambda writer, change, etag: writer.change_recipe(
            change.slug, update_of(recipes[change.slug]), etag=etag
        ),
        (Action.CHANGE, Kind.RECIPE_REVISION): lambda writer, change, etag: (
            writer.add_recipe_revision(
                change.slug,
                RevisionCreate(files=recipes[change.slug].files),
                etag=etag,
                force=True,  # the values that fit it come later in the same plan
            )
        ),
        (Action.DELETE, Kind.RECIPE): lambda writer, change, etag: writer.delete_recipe(
            change.slug, etag=etag
        ),
    }


def _prober_calls(desired: Desired) -> dict[tuple[Action, Kind], Call]:
    probers = desired.probers

    def put_config(writer: Writer, change: Change, etag: str) -> object:
        prober, slug = change.name
        return writer.put_config(prober, slug, desired.configs[prober, slug], etag=etag)

    return {
        (Action.CREATE, Kind.PROBER): lambda writer, change, _: writer.create_prober(
            probers[change.slug]
        ),
        (Action.CHANGE, Kind.PROBER): lambda writer, change, etag: writer.change_prober(
            change.slug, update_of(probers[change.slug]), etag=etag
        ),
        (Action.CHANGE, Kind.PROBER_REVISION): lambda writer, change, etag: (
            writer.add_prober_revision(
                change.slug, RevisionCreate(files=probers[change.slug].files), etag=etag
            )
        ),
        (Action.DELETE, Kind.PROBER): lambda writer, change, etag: writer.delete_prober(
            change.slug, etag=etag
        ),
        (Action.CREATE, Kind.CONFIG): put_config,
        (Action.CHANGE, Kind.CONFIG): put_config,
        (Action.DELETE, Kind.CONFIG): lambda writer, change, etag: writer.delete_config(
            change.slug, change.name[1], etag=etag
        ),
    }


def _cluster_calls(desired: Desired, confirmed: frozenset[str]) -> dict[tuple[Action, Kind], Call]:
    def delete_cluster(writer: Writer, change: Change, etag: str) -> object:
        if change.slug in confirmed:
            update = ClusterUpdate(protected=False)
            etag = writer.change_cluster(change.slug, update, etag=etag, force=False).etag
        return writer.delete_cluster(change.slug, etag=etag)

    return {
        (Action.CREATE, Kind.CLUSTER): lambda writer, change, _: writer.create_cluster(
            desired.new_cluster(change.slug)
        ),
        (Action.CHANGE, Kind.CLUSTER): lambda writer, change, etag: writer.change_cluster(
            change.slug, update_of(desired.clusters[change.slug]), etag=etag, force=True
        ),
        (Action.DELETE, Kind.CLUSTER): delete_cluster,
    }


def _variable_calls(desired: Desired) -> dict[tuple[Action, Kind], Call]:
    def put_variable(writer: Writer, change: Change, etag: str) -> object:
        cluster, name = change.name
        if given := desired.handed_over.get((cluster, name)):
            body = VariablePut(value=given.value, managed_by=given.manager)
        else:
            body = VariablePut(value=desired.clusters[cluster].variables[name], managed_by=MANAGER)
        return writer.put_variable(cluster, name, body, etag=etag)

    def hand_over(writer: Writer, change: Change, _: str) -> object:
        # Whatever its value is by now: it is kept, and so is what its next manager has made of it.
        seen = writer.variable(change.slug, change.name[1])
        if seen.managed_by != MANAGER:
            return None
        manager = desired.handed_over[change.slug, change.name[1]].manager
        body = VariablePut(value=seen.value, managed_by=manager)
        return writer.put_variable(change.slug, change.name[1], body, etag=seen.etag)

    return {
        (Action.CREATE, Kind.VARIABLE): put_variable,
        (Action.CHANGE, Kind.VARIABLE): put_variable,
        (Action.CHANGE, Kind.HANDOVER): hand_over,
        (Action.DELETE, Kind.VARIABLE): lambda writer, change, etag: writer.delete_variable(
            change.slug, change.name[1], etag=etag
        ),
    }
