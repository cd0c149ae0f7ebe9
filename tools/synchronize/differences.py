"""The heart of synchronize: desired state and current state in, plan out. Pure; plan and apply share it."""

from collections.abc import Iterator

from pydantic import JsonValue

from common.contracts.clusters import Cluster, ClusterCreate, ClusterState
from common.contracts.probers import (
    Prober,
    ProberConfig,
    ProberConfigPut,
    ProberCreate,
    ProberSettings,
)
from common.contracts.recipes import Recipe, RecipeCreate
from tools.synchronize.field_differences import Fields, field_changes
from tools.synchronize.file_differences import file_changes, replaced_hashes
from tools.synchronize.objects import MANAGER, Current, Desired, Pair
from tools.synchronize.plan import Action, Change, Kind, Plan, ordered

_PROBER_FIELDS = {"description", "owner", "runbook_url", "command"}
_CONFIG_FIELDS = {"order", "clusters", "hosts", "except_hosts", "host_labels"}
_CLUSTER_FIELDS = {"recipe", "recipe_revision", "deploy_policy"}


def differences(desired: Desired, current: Current) -> Plan:
    """What it takes to make the current state the desired one, for what synchronize manages."""
    comparison = _Comparison(desired, current)
    changes = [
        *comparison.recipes(),
        *comparison.probers(),
        *comparison.configs(),
        *comparison.clusters(),
        *comparison.variables(),
    ]
    return Plan(ordered(changes), tuple(comparison.postponed), tuple(comparison.refusals))


def wanted_contents(desired: Desired, current: Current) -> set[str]:
    """SHA-256 of the old files that the plan will show as text."""
    hashes: set[str] = set()
    for slug, recipe in desired.recipes.items():
        if slug in current.recipes:
            hashes |= replaced_hashes(current.recipes[slug].revision.files, recipe.files)
    for slug, prober in desired.probers.items():
        if slug in current.probers:
            hashes |= replaced_hashes(current.probers[slug].revision.files, prober.files)
    return hashes


class _Comparison:
    """Goes through both sides kind by kind."""

    def __init__(self, desired: Desired, current: Current) -> None:
        self.desired = desired
        self.current = current
        self.current_configs: dict[Pair, ProberConfig] = {
            (slug, config.slug): config
            for slug, prober in current.probers.items()
            for config in prober.configs
        }
        self.postponed: list[str] = []
        self.refusals: list[str] = []

    def recipes(self) -> Iterator[Change]:
        """Recipes and their revisions."""
        for slug, wanted in self.desired.recipes.items():
            present = self.current.recipes.get(slug)
            if present is None:
                files = file_changes((), wanted.files, {})
                fields = field_changes({}, _recipe_fields(wanted))
                yield Change(Action.CREATE, Kind.RECIPE, (slug,), fields, files)
            elif self._is_ours(Kind.RECIPE, slug, present.managed_by):
                yield from _changed(
                    Kind.RECIPE, present, _recipe_fields(present), _recipe_fields(wanted)
                )
                yield from self._revision(Kind.RECIPE_REVISION, slug, present, wanted)
        for slug, recipe in self.current.recipes.items():
            if slug not in self.desired.recipes and recipe.managed_by == MANAGER:
                yield Change(Action.DELETE, Kind.RECIPE, (slug,), etag=recipe.etag)

    def probers(self) -> Iterator[Change]:
        """Probers and their revisions."""
        for slug, wanted in self.desired.probers.items():
            present = self.current.probers.get(slug)
            if present is None:
                files = file_changes((), wanted.files, {})
                fields = field_changes({}, _prober_fields(wanted))
                yield Change(Action.CREATE, Kind.PROBER, (slug,), fields, files)
            elif self._is_ours(Kind.PROBER, slug, present.managed_by):
                yield from _changed(
                    Kind.PROBER, present, _prober_fields(present), _prober_fields(wanted)
                )
                yield from self._revision(Kind.PROBER_REVISION, slug, present, wanted)
        for slug, prober in self.current.probers.items():
            if slug not in self.desired.probers and prober.managed_by == MANAGER:
                yield from self._deleted_prober(prober)

    def configs(self) -> Iterator[Change]:
        """Configs of probers."""
        for name, wanted in self.desired.configs.items():
            present = self.current_configs.get(name)
            if present is None:
                yield Change(
                    Action.CREATE, Kind.CONFIG, name, field_changes({}, _config_fields(wanted))
                )
            elif self._is_ours(Kind.CONFIG, "/".join(name), present.managed_by):
                fields = field_changes(_config_fields(present), _config_fields(wanted))
                if fields:
                    yield Change(Action.CHANGE, Kind.CONFIG, name, fields, etag=present.etag)
        for name, config in self.current_configs.items():
            if name not in self.desired.configs and config.managed_by == MANAGER:
                yield Change(Action.DELETE, Kind.CONFIG, name, etag=config.etag)

    def clusters(self) -> Iterator[Change]:
        """Clusters; the variables of a new one come with it."""
        for slug, wanted in self.desired.clusters.items():
            present = self.current.clusters.get(slug)
            if not self._has_recipe(wanted.recipe):
                self.refusals.append(f"cluster {slug}: there is no recipe {wanted.recipe}")
            elif present is None:
                fields = _cluster_fields(wanted) | {"variables": dict(wanted.variables)}
                yield Change(Action.CREATE, Kind.CLUSTER, (slug,), field_changes({}, fields))
            elif self._is_comparable(present, wanted):
                yield from _changed(
                    Kind.CLUSTER, present, _cluster_fields(present), _cluster_fields(wanted)
                )
        for slug, cluster in self.current.clusters.items():
            ours = cluster.managed_by == MANAGER and cluster.state is ClusterState.ACTIVE
            if slug not in self.desired.clusters and ours:
                yield Change(Action.DELETE, Kind.CLUSTER, (slug,), etag=cluster.etag)

    def variables(self) -> Iterator[Change]:
        """Variables of the clusters that are on both sides; those of another manager are its own affair."""
        for slug, wanted in self.desired.clusters.items():
            present = self.current.clusters.get(slug)
            if present and present.managed_by == MANAGER and present.state is ClusterState.ACTIVE:
                yield from self._variables_of(slug, wanted)

    def _variables_of(self, slug: str, wanted: ClusterCreate) -> Iterator[Change]:
        current = {
            name: variable
            for (cluster, name), variable in self.current.variables.items()
            if cluster == slug
        }
        for name, value in wanted.variables.items():
            after: Fields = {"value": value, "managed_by": MANAGER}
            if name not in current:
                fields = field_changes({}, {"value": value})
                yield Change(Action.CREATE, Kind.VARIABLE, (slug, name), fields)
            # A variable without a manager was edited by hand: the repository takes it back.
            elif (owner := current[name].managed_by) in ("", MANAGER):
                before: Fields = {"value": current[name].value, "managed_by": owner}
                if fields := field_changes(before, after):
                    etag = current[name].etag
                    yield Change(Action.CHANGE, Kind.VARIABLE, (slug, name), fields, etag=etag)
        for name, variable in current.items():
            if name not in wanted.variables and variable.managed_by == MANAGER:
                yield Change(Action.DELETE, Kind.VARIABLE, (slug, name), etag=variable.etag)

    def _revision(
        self,
        kind: Kind,
        slug: str,
        present: Recipe | Prober,
        wanted: RecipeCreate | ProberCreate,
    ) -> Iterator[Change]:
        files = file_changes(present.revision.files, wanted.files, self.current.contents)
        if files:
            yield Change(Action.CHANGE, kind, (slug,), files=files, etag=present.etag)

    def _deleted_prober(self, prober: Prober) -> Iterator[Change]:
        foreign = [config.slug for config in prober.configs if config.managed_by != MANAGER]
        if foreign:
            self.postponed.append(
                f"prober {prober.slug} is not deleted: config {', '.join(foreign)} of it is not ours"
            )
        else:
            yield Change(Action.DELETE, Kind.PROBER, (prober.slug,), etag=prober.etag)

    def _has_recipe(self, slug: str) -> bool:
        present = self.current.recipes.get(slug)
        stays = present is not None and present.managed_by != MANAGER
        return slug in self.desired.recipes or stays

    def _is_ours(self, kind: Kind, name: str, owner: str) -> bool:
        if owner == MANAGER:
            return True
        whose = f"belongs to {owner}" if owner else "was made or changed by hand"
        self.refusals.append(
            f"{kind} {name} exists in the API and {whose}:"
            " delete it there to get the one of these files, or rename or remove it here"
        )
        return False

    def _is_comparable(self, present: Cluster, wanted: ClusterCreate) -> bool:
        if present.state is not ClusterState.ACTIVE:
            self.postponed.append(
                f"cluster {present.slug} is still being deleted; run again when it is gone"
            )
            return False
        if not self._is_ours(Kind.CLUSTER, present.slug, present.managed_by):
            return False
        if present.recipe != wanted.recipe:
            self.refusals.append(
                f"cluster {present.slug} cannot change its recipe from {present.recipe}"
                f" to {wanted.recipe}: describe a new cluster instead"
            )
            return False
        return True


def _changed(
    kind: Kind, present: Recipe | Prober | Cluster, before: Fields, after: Fields
) -> Iterator[Change]:
    if fields := field_changes(before, after):
        yield Change(Action.CHANGE, kind, (present.slug,), fields, etag=present.etag)


def _recipe_fields(recipe: Recipe | RecipeCreate) -> dict[str, JsonValue]:
    return {"description": recipe.description}


def _prober_fields(prober: Prober | ProberCreate) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = prober.model_dump(mode="json", include=_PROBER_FIELDS)
    return fields | {"defaults": _layer(prober.defaults)}


def _config_fields(config: ProberConfig | ProberConfigPut) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = config.model_dump(mode="json", include=_CONFIG_FIELDS)
    return fields | {"settings": _layer(config.settings)}


def _cluster_fields(cluster: Cluster | ClusterCreate) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = cluster.model_dump(mode="json", include=_CLUSTER_FIELDS)
    return fields | {"gates": cluster.gates.model_dump(mode="json", exclude_defaults=True)}


def _layer(settings: ProberSettings | dict[str, JsonValue]) -> dict[str, JsonValue]:
    """One layer in normal form: what is unsaid stays unsaid, except how an axis is delivered."""
    layer: dict[str, JsonValue] = (
        settings.model_dump(mode="json", exclude_unset=True)
        if isinstance(settings, ProberSettings)
        else dict(settings)
    )
    matrix = layer.get("matrix")
    if isinstance(matrix, dict):
        layer["matrix"] = {
            name: {"deliver": "each", **axis} if isinstance(axis, dict) else axis
            for name, axis in matrix.items()
        }
    return layer
