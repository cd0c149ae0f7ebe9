"""A plan as JSON: for programs, for Markdown in CI, and as the file of a plan that is reviewed before it is applied. Pure."""

import hashlib

from pydantic import BaseModel, JsonValue

from common.contracts.values import canonical_json
from tools.synchronize.objects import Desired
from tools.synchronize.plan import Absent, Action, Change, FieldChange, FileChange, Kind, Plan


def plan_value(plan: Plan) -> dict[str, JsonValue]:
    """The plan; `before` and `after` are left out where there is no value, or one that nobody may see."""
    return {
        "changes": [change_value(change) for change in plan.changes],
        "postponed": list(plan.postponed),
        "refusals": list(plan.refusals),
        "guards": list(plan.guards),
        "protected": list(plan.protected),
        "summary": {action.value: plan.count(action) for action in Action},
    }


def change_value(change: Change) -> dict[str, JsonValue]:
    """One object's change."""
    return {
        "action": change.action.value,
        "kind": change.kind.value,
        "name": "/".join(change.name),
        "etag": change.etag,
        "fields": [_field_value(field) for field in change.fields],
        "files": [_file_value(file) for file in change.files],
    }


def digest_of(change: Change, desired: Desired) -> str:
    """What identifies a change to the last byte: the version that it is meant for, and all that would be sent."""
    sent = _sent_with(change, desired)
    whole: JsonValue = [change_value(change), sent]
    return hashlib.sha256(canonical_json(whole)).hexdigest()


def _sent_with(change: Change, desired: Desired) -> JsonValue:
    if change.action is Action.DELETE:
        return None
    slug = change.slug
    sent: BaseModel
    if change.kind in (Kind.RECIPE, Kind.RECIPE_REVISION):
        sent = desired.recipes[slug]
    elif change.kind in (Kind.PROBER, Kind.PROBER_REVISION):
        sent = desired.probers[slug]
    elif change.kind is Kind.CONFIG:
        sent = desired.configs[slug, change.name[1]]
    elif change.kind is Kind.CLUSTER:
        sent = desired.new_cluster(slug)
    else:
        return _variable_sent(slug, change.name[1], desired)
    value: JsonValue = sent.model_dump(mode="json", exclude_unset=True)
    return value


def _variable_sent(cluster: str, name: str, desired: Desired) -> JsonValue:
    if given := desired.handed_over.get((cluster, name)):
        return [given.manager, given.value]
    return desired.clusters[cluster].variables[name]


def _field_value(change: FieldChange) -> JsonValue:
    value: dict[str, JsonValue] = {"field": change.field}
    if change.is_hidden:
        return {**value, "hidden": True}
    if not isinstance(change.before, Absent):
        value["before"] = change.before
    if not isinstance(change.after, Absent):
        value["after"] = change.after
    return value


def _file_value(change: FileChange) -> JsonValue:
    value: dict[str, JsonValue] = {"path": change.path, "diff": "\n".join(change.diff)}
    if change.before:
        value["before"] = change.before.model_dump(mode="json")
    if change.after:
        value["after"] = change.after.model_dump(mode="json")
    return value
