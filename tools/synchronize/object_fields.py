"""What of an object is compared: its fields as JSON in a normal form, the same for both sides. Pure.

Fields come from the contracts: one that is added there can be written, compared and sent at once.
"""

import re
from typing import Any

from pydantic import BaseModel, JsonValue

from common.contracts.clusters import Cluster, ClusterCreate, ClusterUpdate
from common.contracts.probers import (
    Prober,
    ProberConfig,
    ProberConfigPut,
    ProberCreate,
    ProberSettings,
    ProberUpdate,
)
from common.contracts.recipes import Recipe, RecipeCreate, RecipeUpdate

Object = (
    Recipe | RecipeCreate | Prober | ProberCreate | ProberConfig | ProberConfigPut
    | Cluster | ClusterCreate
)  # fmt: skip
_ELSEWHERE = {"slug", "files", "variables"}
_LAYERS = {"defaults", "settings"}
# Said by nobody, these stay as they are.
_WHERE_SAID = {"protected"}
_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|credential|(private|access|api)_?key", re.IGNORECASE
)


def compared_fields(wanted: Object, present: Object) -> tuple[Any, Any]:
    """The fields of both sides that are compared, (present, wanted)."""
    names = {
        name
        for name in type(wanted).model_fields
        if name not in _ELSEWHERE and (name not in _WHERE_SAID or name in wanted.model_fields_set)
    }
    return _fields(present, names), _fields(wanted, names)


def first_fields(wanted: Object) -> dict[str, JsonValue]:
    """What is shown of an object that is new: whatever is not as it would be anyway."""
    own, _ = compared_fields(wanted, wanted)
    usual = wanted.model_dump(mode="json", exclude_defaults=True)
    fields: dict[str, JsonValue] = {
        name: value
        for name, value in own.items()
        if name != "managed_by" and (name in usual or (name in _LAYERS and value))
    }
    return fields


def update_of(wanted: RecipeCreate | ProberCreate | ClusterCreate) -> Any:
    """The body that changes an object to what is wanted."""
    kinds: dict[type[BaseModel], type[BaseModel]] = {
        RecipeCreate: RecipeUpdate, ProberCreate: ProberUpdate, ClusterCreate: ClusterUpdate,
    }  # fmt: skip
    update = kinds[type(wanted)]
    return update.model_validate(
        {
            name: getattr(wanted, name)
            for name in update.model_fields
            if name not in _WHERE_SAID or name in wanted.model_fields_set
        }
    )


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name is likely to hold what nobody should read in a plan."""
    return _SECRET_NAME.search(name) is not None


def _fields(one: Object, names: set[str]) -> dict[str, JsonValue]:
    plain = names - _LAYERS - {"gates"}
    fields: dict[str, JsonValue] = one.model_dump(mode="json", include=plain)
    if "gates" in names and isinstance(one, Cluster | ClusterCreate):
        fields["gates"] = one.gates.model_dump(mode="json", exclude_defaults=True)
    for name in names & _LAYERS:
        fields[name] = _layer(getattr(one, name))
    return fields


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
