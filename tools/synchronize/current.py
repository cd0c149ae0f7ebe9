"""Reads the API: its objects, and the old contents of the files that the plan will show."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from common.contracts.clusters import Cluster, ClusterState, Variable
from common.contracts.probers import Prober
from common.contracts.recipes import Recipe
from common.errors import ApiRefusedError
from tools.synchronize.differences import wanted_contents
from tools.synchronize.objects import MANAGER, Current, Desired


class Reader(Protocol):
    """The reading half of common.api_client.ApiClient."""

    def recipes(self) -> list[Recipe]: ...
    def probers(self) -> list[Prober]: ...
    def clusters(self) -> list[Cluster]: ...
    def variables(self, cluster: str) -> list[Variable]: ...
    def file(self, sha256: str) -> bytes: ...


def read_current(reader: Reader, desired: Desired) -> Current:
    """The current state, as far as the desired one asks for it; ApiError."""
    clusters = {cluster.slug: cluster for cluster in reader.clusters()}
    compared = [
        slug
        for slug, cluster in clusters.items()
        if slug in desired.clusters
        and cluster.managed_by == MANAGER
        and cluster.state is ClusterState.ACTIVE
    ]
    current = Current(
        recipes={recipe.slug: recipe for recipe in reader.recipes()},
        probers={prober.slug: prober for prober in reader.probers()},
        clusters=clusters,
        variables={
            (slug, variable.name): variable
            for slug in compared
            for variable in reader.variables(slug)
        },
    )
    return replace(current, contents=_contents(reader, wanted_contents(desired, current)))


def _contents(reader: Reader, hashes: Iterable[str]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    for sha256 in sorted(hashes):
        try:
            contents[sha256] = reader.file(sha256)
        except ApiRefusedError:
            # They only make the plan nicer to read.
            continue
    return contents
