"""Reads the API: its objects, and the old contents of the files that the plan will show."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from common.contracts.clusters import Cluster, Variable, VariableOfCluster
from common.contracts.probers import Prober
from common.contracts.recipes import Recipe
from common.errors import ApiRefusedError
from tools.synchronize.differences import wanted_contents
from tools.synchronize.objects import Current, Desired
from tools.synchronize.workers import Workers


class Reader(Protocol):
    """The reading half of common.api_client.ApiClient."""

    def recipes(self) -> list[Recipe]: ...
    def probers(self) -> list[Prober]: ...
    def clusters(self) -> list[Cluster]: ...
    def all_variables(self) -> list[VariableOfCluster]: ...
    def variable(self, cluster: str, name: str) -> Variable: ...
    def file(self, sha256: str) -> bytes: ...


def read_current(workers: Workers[Any], desired: Desired | None = None) -> Current:
    """The current state, with the old contents of files that differ from the desired ones; ApiError."""
    lists: Sequence[Callable[[Reader], Any]] = (
        lambda reader: reader.recipes(),
        lambda reader: reader.probers(),
        lambda reader: reader.clusters(),
        lambda reader: reader.all_variables(),
    )
    recipes, probers, clusters, variables = workers.all_of(lists)
    current = Current(
        recipes={recipe.slug: recipe for recipe in recipes},
        probers={prober.slug: prober for prober in probers},
        clusters={cluster.slug: cluster for cluster in clusters},
        variables={(variable.cluster, variable.name): variable for variable in variables},
    )
    wanted = wanted_contents(desired, current) if desired else set()
    return replace(current, contents=read_contents(workers, wanted))


def read_contents(workers: Workers[Any], hashes: set[str]) -> dict[str, bytes]:
    """Contents of files by SHA-256; those that are gone are missing."""

    def read(sha256: str) -> Callable[[Reader], bytes | None]:
        def reading(reader: Reader) -> bytes | None:
            try:
                return reader.file(sha256)
            except ApiRefusedError:
                return None

        return reading

    ordered = sorted(hashes)
    found = workers.all_of([read(sha256) for sha256 in ordered])
    return {
        sha256: content
        for sha256, content in zip(ordered, found, strict=True)
        if content is not None
    }
