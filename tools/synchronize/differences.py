"""The heart of synchronize: desired state and current state in, plan out. Pure; plan and apply share it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from common.contracts.clusters import Cluster, ClusterCreate, ClusterState, Variable
from common.contracts.probers import Prober, ProberConfig, ProberConfigPut, ProberCreate
from common.contracts.recipes import Recipe, RecipeCreate
from tools.synchronize.field_differences import Fields, field_changes
from tools.synchronize.file_differences import file_changes, replaced_hashes
from tools.synchronize.guards import guarded
from tools.synchronize.object_fields import compared_fields, first_fields, is_secret_name
from tools.synchronize.objects import MANAGER, Current, Desired, Pair
from tools.synchronize.ownership import Adoption, Ownership
from tools.synchronize.plan import Action, Change, FieldChange, Kind, Plan, ordered


@dataclass(frozen=True)
class Choices:
    """What the author decided beside the files."""

    adopted: Adoption = field(default_factory=Adoption)
    force: bool = False
    # Names of protected clusters that may go.
    confirmed: frozenset[str] = frozenset()


def differences(desired: Desired, current: Current, choices: Choices | None = None) -> Plan:
    """What it takes to make the current state the desired one, for what synchronize manages."""
    choices = choices or Choices()
    comparison = _Comparison(desired, current, Ownership(choices.adopted))
    changes = ordered(
        [
            *comparison.recipes(),
            *comparison.probers(),
            *comparison.configs(),
            *comparison.clusters(),
            *comparison.variables(),
            *comparison.handovers(),
        ]
    )
    refusals = (*comparison.ownership.refusals, *comparison.refusals)
    plan = Plan(changes, tuple(comparison.postponed), refusals)
    return guarded(plan, desired, current, force=choices.force, confirmed=choices.confirmed)


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

    def __init__(self, desired: Desired, current: Current, ownership: Ownership) -> None:
        self.desired = desired
        self.current = current
        self.ownership = ownership
        self.current_configs: dict[Pair, ProberConfig] = {
            (slug, config.slug): config
            for slug, prober in current.probers.items()
            for config in prober.configs
        }
        self.variables_of: dict[str, dict[str, Variable]] = {}
        for (slug, name), variable in current.variables.items():
            self.variables_of.setdefault(slug, {})[name] = variable
        self.postponed: list[str] = []
        self.refusals: list[str] = []

    def recipes(self) -> Iterator[Change]:
        """Recipes and their revisions."""
        yield from self._with_files(
            Kind.RECIPE, Kind.RECIPE_REVISION, self.desired.recipes, self.current.recipes
        )
        for slug, recipe in self.current.recipes.items():
            if slug not in self.desired.recipes and recipe.managed_by == MANAGER:
                yield Change(Action.DELETE, Kind.RECIPE, (slug,), etag=recipe.etag)

    def probers(self) -> Iterator[Change]:
        """Probers and their revisions."""
        yield from self._with_files(
            Kind.PROBER, Kind.PROBER_REVISION, self.desired.probers, self.current.probers
        )
        for slug, prober in self.current.probers.items():
            if slug not in self.desired.probers and prober.managed_by == MANAGER:
                yield from self._deleted_prober(prober)

    def configs(self) -> Iterator[Change]:
        """Configs of probers."""
        for name, wanted in self.desired.configs.items():
            present = self.current_configs.get(name)
            if present is None:
                yield Change(Action.CREATE, Kind.CONFIG, name, _of_new(wanted))
            elif self.ownership.is_ours(Kind.CONFIG, name, present.managed_by):
                yield from _changed(Kind.CONFIG, name, present, wanted)
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
                yield Change(Action.CREATE, Kind.CLUSTER, (slug,), self._of_new_cluster(slug))
            elif self._is_comparable(present, wanted):
                yield from _changed(Kind.CLUSTER, (slug,), present, wanted)
        for slug, cluster in self.current.clusters.items():
            ours = cluster.managed_by == MANAGER and cluster.state is ClusterState.ACTIVE
            if slug not in self.desired.clusters and ours:
                yield Change(Action.DELETE, Kind.CLUSTER, (slug,), etag=cluster.etag)

    def variables(self) -> Iterator[Change]:
        """Variables of the clusters that are on both sides; those of another manager are its own affair."""
        for slug, wanted in self.desired.clusters.items():
            if self._stays(slug):
                yield from self._wanted_variables(slug, wanted)
                yield from self._unwanted_variables(slug, wanted)

    def handovers(self) -> Iterator[Change]:
        """Variables that begin with a value of the files and are another tool's from then on."""
        for (slug, name), given in self.desired.handed_over.items():
            present = self.variables_of.get(slug, {}).get(name)
            change = FieldChange("managed_by", MANAGER, given.manager)
            if slug not in self.current.clusters:
                yield Change(Action.CHANGE, Kind.HANDOVER, (slug, name), (change,))
            elif not self._stays(slug):
                continue
            elif present is None:
                fields = _hiding(
                    field_changes({}, {"value": given.value, "managed_by": given.manager}), name
                )
                yield Change(Action.CREATE, Kind.VARIABLE, (slug, name), fields)
            elif present.managed_by == MANAGER:
                etag = present.etag
                yield Change(Action.CHANGE, Kind.HANDOVER, (slug, name), (change,), etag=etag)

    def _with_files(
        self,
        kind: Kind,
        revision: Kind,
        desired: Mapping[str, RecipeCreate] | Mapping[str, ProberCreate],
        current: Mapping[str, Recipe] | Mapping[str, Prober],
    ) -> Iterator[Change]:
        for slug, wanted in desired.items():
            present = current.get(slug)
            if present is None:
                files = file_changes((), wanted.files, {})
                yield Change(Action.CREATE, kind, (slug,), _of_new(wanted), files)
            elif self.ownership.is_ours(kind, (slug,), present.managed_by):
                yield from _changed(kind, (slug,), present, wanted)
                old = present.revision.files
                if files := file_changes(old, wanted.files, self.current.contents):
                    yield Change(Action.CHANGE, revision, (slug,), files=files, etag=present.etag)

    def _of_new_cluster(self, slug: str) -> tuple[FieldChange, ...]:
        whole = self.desired.new_cluster(slug)
        fields = field_changes({}, first_fields(whole))
        for name, value in sorted(whole.variables.items()):
            fields += _hiding(field_changes({}, {"variables": {name: value}}), name)
        return fields

    def _wanted_variables(self, slug: str, wanted: ClusterCreate) -> Iterator[Change]:
        present = self.variables_of.get(slug, {})
        for name, value in wanted.variables.items():
            if name not in present:
                fields = field_changes({}, {"value": value})
                yield Change(Action.CREATE, Kind.VARIABLE, (slug, name), _hiding(fields, name))
                continue
            was = present[name]
            if was.managed_by not in ("", MANAGER):
                continue
            if not self.ownership.is_ours(Kind.VARIABLE, (slug, name), was.managed_by):
                continue
            if was.sensitive:
                self.refusals.append(
                    f"variable {slug}/{name} is secret in the API: its value is put there, remove it from the files"
                )
                continue
            before: Fields = {"value": was.value, "managed_by": was.managed_by}
            after: Fields = {"value": value, "managed_by": MANAGER}
            if fields := _hiding(field_changes(before, after), name):
                yield Change(Action.CHANGE, Kind.VARIABLE, (slug, name), fields, etag=was.etag)

    def _unwanted_variables(self, slug: str, wanted: ClusterCreate) -> Iterator[Change]:
        for name, variable in self.variables_of.get(slug, {}).items():
            named = name in wanted.variables or (slug, name) in self.desired.handed_over
            if not named and variable.managed_by == MANAGER:
                yield Change(Action.DELETE, Kind.VARIABLE, (slug, name), etag=variable.etag)

    def _deleted_prober(self, prober: Prober) -> Iterator[Change]:
        foreign = [config.slug for config in prober.configs if config.managed_by != MANAGER]
        if foreign:
            self.postponed.append(
                f"prober {prober.slug} is not deleted: config {', '.join(foreign)} of it is not ours"
            )
        else:
            yield Change(Action.DELETE, Kind.PROBER, (prober.slug,), etag=prober.etag)

    def _stays(self, slug: str) -> bool:
        """Whether the cluster is in the API, and ours or about to be."""
        present = self.current.clusters.get(slug)
        if present is None or present.state is not ClusterState.ACTIVE:
            return False
        return self.ownership.may_have(Kind.CLUSTER, (slug,), present.managed_by)

    def _has_recipe(self, slug: str) -> bool:
        present = self.current.recipes.get(slug)
        stays = present is not None and present.managed_by != MANAGER
        return slug in self.desired.recipes or stays

    def _is_comparable(self, present: Cluster, wanted: ClusterCreate) -> bool:
        slug = present.slug
        if present.state is not ClusterState.ACTIVE:
            self.postponed.append(
                f"cluster {slug} is still being deleted; run again when it is gone"
            )
            return False
        if not self.ownership.is_ours(Kind.CLUSTER, (slug,), present.managed_by):
            return False
        if present.recipe != wanted.recipe:
            self.refusals.append(
                f"cluster {slug} cannot change its recipe from {present.recipe}"
                f" to {wanted.recipe}: describe a new cluster instead"
            )
            return False
        return True


def _of_new(wanted: RecipeCreate | ProberCreate | ProberConfigPut) -> tuple[FieldChange, ...]:
    return _hiding_all(field_changes({}, first_fields(wanted)))


def _changed(
    kind: Kind,
    name: tuple[str, ...],
    present: Recipe | Prober | ProberConfig | Cluster,
    wanted: RecipeCreate | ProberCreate | ProberConfigPut | ClusterCreate,
) -> Iterator[Change]:
    before, after = compared_fields(wanted, present)
    if fields := _hiding_all(field_changes(before, after)):
        yield Change(Action.CHANGE, kind, name, fields, etag=present.etag)


def _hiding(fields: tuple[FieldChange, ...], name: str) -> tuple[FieldChange, ...]:
    """The fields of a variable, without values if its name, or one inside, says that they are secret."""
    if not is_secret_name(name):
        return _hiding_all(fields)
    return tuple(replace(one, is_hidden=one.field != "managed_by") for one in fields)


def _hiding_all(fields: tuple[FieldChange, ...]) -> tuple[FieldChange, ...]:
    return tuple(
        replace(one, is_hidden=True) if is_secret_name(one.field) else one for one in fields
    )
