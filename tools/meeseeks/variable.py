"""Read and act: the variable in our API."""

from typing import Protocol

from pydantic import JsonValue

from common.contracts.clusters import Cluster, Variable, VariablePut
from common.errors import ApiRefusedError, ApiUnreachableError
from tools.meeseeks.errors import (
    OutdatedPlanError,
    UnknownOutcomeError,
    UnusableVariableError,
)
from tools.meeseeks.plan import MANAGER, Current

_NOT_FOUND = 404
_CHANGED_MEANWHILE = 412


class VariableApi(Protocol):
    """The calls that are needed; `common.api_client.ApiClient` has them."""

    def cluster(self, slug: str) -> Cluster:
        """One cluster."""

    def variable(self, cluster: str, name: str) -> Variable:
        """One variable."""

    def put_variable(
        self, cluster: str, name: str, body: VariablePut, *, etag: str = ""
    ) -> Variable:
        """Replace a variable, or without `etag` create it."""


class ClusterVariable:
    """One variable of one cluster. ApiError where nothing else is said."""

    def __init__(self, api: VariableApi, *, cluster: str, name: str) -> None:
        self._api = api
        self._cluster = cluster
        self._name = name
        self.title = f"variable {name} of cluster {cluster}"

    def current(self) -> Current:
        """What it holds now; UnusableVariableError."""
        try:
            found = self._api.variable(self._cluster, self._name)
        except ApiRefusedError as error:
            if error.status != _NOT_FOUND:
                raise
            self._require_cluster()
            return Current()
        if found.sensitive:
            raise UnusableVariableError(
                f"{self.title} is sensitive: nobody can read it, so it cannot be compared"
            )
        return Current(found.value, found.etag, found.managed_by)

    def write(self, value: JsonValue, seen: Current) -> None:
        """Replace what was seen; OutdatedPlanError, UnknownOutcomeError."""
        body = VariablePut(value=value, managed_by=MANAGER)
        try:
            self._api.put_variable(self._cluster, self._name, body, etag=seen.etag)
        except ApiRefusedError as error:
            if error.status == _CHANGED_MEANWHILE:
                raise OutdatedPlanError(self.title) from error
            raise
        except ApiUnreachableError as error:
            raise UnknownOutcomeError(self.title, error) from error

    def _require_cluster(self) -> None:
        try:
            self._api.cluster(self._cluster)
        except ApiRefusedError as error:
            if error.status != _NOT_FOUND:
                raise
            raise UnusableVariableError(
                f"there is no cluster {self._cluster}: create it, or name another one with --cluster"
            ) from error
