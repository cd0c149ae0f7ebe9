"""What may stand in each kind of file of the config repository, as pydantic models made from the contracts.

The JSON schemas for editors come from them; a field that a contract gets can be written at once.
"""

import copy
from typing import Any

from pydantic import BaseModel, Field, JsonValue, create_model

from common.contracts.clusters import ClusterCreate
from common.contracts.identifiers import ClusterVariableName, Slug
from common.contracts.probers import ProberConfigPut, ProberCreate
from common.contracts.recipes import RecipeCreate
from common.contracts.values import Input

# Names of files and folders give the slugs, folders give the files, and the tool is the manager.
GIVEN = frozenset({"slug", "files", "managed_by"})


def _fields(contract: type[BaseModel], *, optional: bool = False) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, field in contract.model_fields.items():
        if name in GIVEN:
            continue
        info = copy.deepcopy(field)
        if optional and info.is_required():
            info.default = None
        fields[name] = (info.annotation, info)
    return fields


_HANDED_OVER: Any = (
    dict[str, dict[ClusterVariableName, JsonValue]],
    Field(
        default={},
        description="By manager: variables that begin with these values, and that only this other tool changes then.",
    ),
)
_USE: Any = (
    list[Slug],
    Field(
        default=[],
        description="Files of values/ that this cluster begins with, later ones over earlier ones.",
    ),
)

ValuesFile = create_model(
    "ValuesFile",
    __base__=Input,
    __doc__="What several clusters share: any part of a cluster file, except `use`.",
    **_fields(ClusterCreate, optional=True),
    handed_over=_HANDED_OVER,
)
ClusterFile = create_model(
    "ClusterFile",
    __base__=Input,
    __doc__="A cluster: recipe, values of its variables, deploy policy. `recipe` may come from a file of values/.",
    **_fields(ClusterCreate, optional=True),
    handed_over=_HANDED_OVER,
    use=_USE,
)
RecipeFile = create_model(
    "RecipeFile", __base__=Input, __doc__="What a recipe is for.", **_fields(RecipeCreate)
)
ConfigInFile = create_model(
    "Config",
    __base__=Input,
    __doc__="Where a prober runs, and with which settings.",
    **_fields(ProberConfigPut),
)
_CONFIGS: Any = (
    dict[Slug, ConfigInFile],
    Field(default={}, description="Where the prober runs, by name."),
)
ProberFile = create_model(
    "ProberFile",
    __base__=Input,
    __doc__="A prober, and where it runs in all environments.",
    **_fields(ProberCreate),
    configs=_CONFIGS,
)
EnvironmentProberFile = create_model(
    "EnvironmentProberFile",
    __base__=Input,
    __doc__="Where a prober runs in this environment only.",
    configs=_CONFIGS,
)

# The name of the schema's file, by what it describes.
FILES: dict[str, type[BaseModel]] = {
    "recipe": RecipeFile,
    "prober": ProberFile,
    "environment-prober": EnvironmentProberFile,
    "cluster": ClusterFile,
    "values": ValuesFile,
}
