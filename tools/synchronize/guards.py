"""What a plan must not do by accident: too much at once, everything, or a protected cluster. Pure.

`plan` shows it already, so that CI sees it before anybody applies.
"""

from collections.abc import Collection, Iterator, Mapping, Sized
from dataclasses import replace

from tools.synchronize.objects import MANAGER, Current, Desired
from tools.synchronize.plan import Action, Kind, Plan

# Of few objects a share says nothing.
MIN_OBJECTS = 10
MAX_PERCENT = 30

_PARTS_OF = {
    Kind.RECIPE_REVISION: Kind.RECIPE,
    Kind.PROBER_REVISION: Kind.PROBER,
    Kind.HANDOVER: Kind.VARIABLE,
}
_WORDS = {
    Kind.RECIPE: "recipes", Kind.PROBER: "probers", Kind.CONFIG: "configs",
    Kind.CLUSTER: "clusters", Kind.VARIABLE: "variables",
}  # fmt: skip


def guarded(
    plan: Plan, desired: Desired, current: Current, *, force: bool, confirmed: Collection[str]
) -> Plan:
    """The plan with what forbids it; `force` lifts all but the names of protected clusters."""
    managed = managed_counts(current)
    guards = () if force else (*_emptied(plan, desired, managed), *_too_many(plan, managed))
    protected = tuple(
        change.slug
        for change in plan.changes
        if (change.kind, change.action) == (Kind.CLUSTER, Action.DELETE)
        and current.clusters[change.slug].protected
        and change.slug not in confirmed
    )
    return replace(plan, guards=guards, protected=protected)


def managed_counts(current: Current) -> dict[Kind, int]:
    """How many objects of each kind bear our mark."""
    configs = [config for prober in current.probers.values() for config in prober.configs]
    kinds = {
        Kind.RECIPE: current.recipes.values(), Kind.PROBER: current.probers.values(),
        Kind.CONFIG: configs, Kind.CLUSTER: current.clusters.values(),
        Kind.VARIABLE: current.variables.values(),
    }  # fmt: skip
    return {
        kind: sum(getattr(one, "managed_by", "") == MANAGER for one in objects)
        for kind, objects in kinds.items()
    }


def _emptied(plan: Plan, desired: Desired, managed: Mapping[Kind, int]) -> Iterator[str]:
    sources: dict[Kind, Sized] = {
        Kind.RECIPE: desired.recipes,
        Kind.PROBER: desired.probers,
        Kind.CLUSTER: desired.clusters,
    }
    for kind, source in sources.items():
        goes = any(one.kind is kind and one.action is Action.DELETE for one in plan.changes)
        if goes and not source:
            yield (
                f"the files describe no {_WORDS[kind]} at all, the API has {managed[kind]}:"
                " if they are really to go, use --force"
            )


def _too_many(plan: Plan, managed: Mapping[Kind, int]) -> Iterator[str]:
    touched: dict[tuple[Kind, Action], set[tuple[str, ...]]] = {}
    for change in plan.changes:
        if any(one.field == "managed_by" for one in change.fields):
            continue  # adopted or handed over, one by one by name
        kind = _PARTS_OF.get(change.kind, change.kind)
        touched.setdefault((kind, change.action), set()).add(change.name)
    for (kind, action), names in sorted(touched.items()):
        count, all_of_them = len(names), managed[kind]
        if action is Action.CREATE or all_of_them < MIN_OBJECTS:
            continue
        if count * 100 > all_of_them * MAX_PERCENT:
            yield (
                f"{count} of {all_of_them} {_WORDS[kind]} would be {action}d,"
                f" more than {MAX_PERCENT} %: if that is meant, use --force"
            )
