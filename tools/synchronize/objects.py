"""The two sides that synchronize compares: what the config repository wants, and what the API has."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from common.contracts.clusters import Cluster, ClusterCreate, Variable
from common.contracts.probers import Prober, ProberConfigPut, ProberCreate
from common.contracts.recipes import Recipe, RecipeCreate

# Written into `managed_by` of all that this tool makes; only what bears it is ever changed or deleted.
MANAGER = "synchronize"

# The second name is the config's or the variable's.
Pair = tuple[str, str]


@dataclass(frozen=True)
class HandedOver:
    """The first value of a variable that another tool keeps from then on."""

    manager: str
    value: JsonValue


@dataclass(frozen=True)
class Desired:
    """What the repository describes for one environment."""

    recipes: Mapping[str, RecipeCreate] = field(default_factory=dict)
    probers: Mapping[str, ProberCreate] = field(default_factory=dict)
    configs: Mapping[Pair, ProberConfigPut] = field(default_factory=dict)
    clusters: Mapping[str, ClusterCreate] = field(default_factory=dict)
    handed_over: Mapping[Pair, HandedOver] = field(default_factory=dict)

    def new_cluster(self, slug: str) -> ClusterCreate:
        """A cluster with all values that it begins with, also those that are handed over afterwards."""
        cluster = self.clusters[slug]
        first = {
            name: given.value for (owner, name), given in self.handed_over.items() if owner == slug
        }
        return cluster.model_copy(update={"variables": {**cluster.variables, **first}})


@dataclass(frozen=True)
class Current:
    """What the API has; `contents` holds old contents by SHA-256, where they are wanted for a text diff."""

    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    probers: Mapping[str, Prober] = field(default_factory=dict)
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    variables: Mapping[Pair, Variable] = field(default_factory=dict)
    contents: Mapping[str, bytes] = field(default_factory=dict)

    def with_contents(self, contents: Mapping[str, bytes]) -> "Current":
        """The same with these contents of files."""
        return replace(self, contents=contents)
