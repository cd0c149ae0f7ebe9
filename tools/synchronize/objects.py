"""The two sides that synchronize compares: what the config repository wants, and what the API has."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.contracts.clusters import Cluster, ClusterCreate, Variable
from common.contracts.probers import Prober, ProberConfigPut, ProberCreate
from common.contracts.recipes import Recipe, RecipeCreate

# Written into `managed_by` of all that this tool makes; only what bears it is ever deleted.
MANAGER = "synchronize"

# The second name is the config's or the variable's.
Pair = tuple[str, str]


@dataclass(frozen=True)
class Desired:
    """What the repository describes for one environment."""

    recipes: Mapping[str, RecipeCreate] = field(default_factory=dict)
    probers: Mapping[str, ProberCreate] = field(default_factory=dict)
    configs: Mapping[Pair, ProberConfigPut] = field(default_factory=dict)
    clusters: Mapping[str, ClusterCreate] = field(default_factory=dict)


@dataclass(frozen=True)
class Current:
    """What the API has; `contents` holds old contents by SHA-256, where they are wanted for a text diff."""

    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    probers: Mapping[str, Prober] = field(default_factory=dict)
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    variables: Mapping[Pair, Variable] = field(default_factory=dict)
    contents: Mapping[str, bytes] = field(default_factory=dict)
