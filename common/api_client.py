"""The API as typed methods: contracts in, contracts out. Tools and tests use it; agents need only the transport.

Every method may raise ApiUnreachableError and ApiRefusedError (common/errors.py).
What changes or deletes an object takes the `etag` of what its caller saw: ApiRefusedError with status 412
if the object is another one by now, or gone. ANY_VERSION overwrites whatever is there.
"""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Protocol, TypeVar
from urllib.parse import quote, urlencode
from uuid import UUID

import requests
from pydantic import BaseModel, JsonValue, ValidationError

from common.contracts.agents import Agent, Grid
from common.contracts.audit import AuditEntry
from common.contracts.clusters import (
    Cluster,
    ClusterCreate,
    ClusterUpdate,
    Deployment,
    Variable,
    VariablePut,
)
from common.contracts.host_configuration import HostConfiguration
from common.contracts.keys import ApiKey, ApiKeyCreate, ApiKeyCreated
from common.contracts.probers import (
    Prober,
    ProberConfig,
    ProberConfigPut,
    ProberCreate,
    ProberUpdate,
)
from common.contracts.recipes import (
    AddedRevision,
    Recipe,
    RecipeCreate,
    RecipeUpdate,
    Revision,
    RevisionCreate,
    RevisionPreview,
)
from common.contracts.values import Input, Page
from common.errors import ApiError, ApiRefusedError, ApiUnreachableError

Model = TypeVar("Model", bound=BaseModel)

PREFIX = "/api/v1"
PAGE_SIZE = 1000
ANY_VERSION = "*"
# A restart of the API behind its load balancer takes about as long as these together.
_PAUSES = (timedelta(seconds=0.1), timedelta(seconds=0.3), timedelta(seconds=0.9))
_PASSING_STATUSES = (502, 503, 504)


class Transport(Protocol):
    """One HTTP call; common.api_transport.ApiTransport says what it raises."""

    def call(
        self,
        method: str,
        path: str,
        *,
        body: JsonValue = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """The answer, if it is a good one."""


class ApiClient:
    """The API of one installation; not for several threads at once."""

    def __init__(
        self, transport: Transport, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._transport = transport
        self._sleep = sleep

    # Recipes

    def recipes(self) -> list[Recipe]:
        """All recipes, each with its newest revision."""
        return self._listed("/recipes", Recipe)

    def recipe(self, slug: str) -> Recipe:
        """One recipe with its newest revision."""
        return self._got(_path("recipes", slug), Recipe)

    def create_recipe(self, body: RecipeCreate) -> Recipe:
        """A new recipe; its files become revision 1."""
        return self._sent("POST", "/recipes", body, Recipe)

    def change_recipe(self, slug: str, body: RecipeUpdate, *, etag: str) -> Recipe:
        """Change the fields that are set in the body."""
        return self._changed("PATCH", _path("recipes", slug), body, etag, Recipe)

    def delete_recipe(self, slug: str, *, etag: str) -> None:
        """Delete a recipe; 409 while a cluster uses it."""
        self._deleted(_path("recipes", slug), etag)

    def recipe_revisions(self, slug: str) -> list[Revision]:
        """All revisions of a recipe."""
        return self._listed(_path("recipes", slug, "revisions"), Revision)

    def recipe_revision(self, slug: str, number: int) -> Revision:
        """One revision of a recipe."""
        return self._got(_path("recipes", slug, "revisions", number), Revision)

    def add_recipe_revision(
        self, slug: str, body: RevisionCreate, *, etag: str, force: bool = False
    ) -> AddedRevision:
        """A new revision, or the newest one if the content is the same; both ETags are the recipe's.

        409 if it would break clusters that follow the newest revision, unless forced.
        """
        path = _path("recipes", slug, "revisions") + _forced(force)
        return self._changed("POST", path, body, etag, AddedRevision)

    def preview_recipe_revision(self, slug: str, body: RevisionCreate) -> RevisionPreview:
        """What a new revision would do; nothing is stored."""
        path = _path("recipes", slug, "revisions") + "?dry_run=true"
        return self._sent("POST", path, body, RevisionPreview)

    def recipe_file(self, slug: str, number: int, path: str) -> bytes:
        """The content of one file of a recipe's revision."""
        parts = path.split("/")
        return self._answer(_path("recipes", slug, "revisions", number, "files", *parts)).content

    # Clusters

    def clusters(self) -> list[Cluster]:
        """All living clusters."""
        return self._listed("/clusters", Cluster)

    def cluster(self, slug: str) -> Cluster:
        """One cluster."""
        return self._got(_path("clusters", slug), Cluster)

    def create_cluster(self, body: ClusterCreate) -> Cluster:
        """A new cluster; Creator makes it real."""
        return self._sent("POST", "/clusters", body, Cluster)

    def change_cluster(
        self, slug: str, body: ClusterUpdate, *, etag: str, force: bool = False
    ) -> Cluster:
        """Change the fields that are set in the body; forced also to a revision that the values do not fit yet."""
        path = _path("clusters", slug) + _forced(force)
        return self._changed("PATCH", path, body, etag, Cluster)

    def delete_cluster(self, slug: str, *, etag: str) -> Cluster:
        """Ask for the end of a cluster: it stays in state `deleting` until Creator has destroyed it."""
        return _parsed(self._deleted(_path("clusters", slug), etag), Cluster)

    def variables(self, cluster: str) -> list[Variable]:
        """All variables of a cluster."""
        return self._listed(_path("clusters", cluster, "variables"), Variable)

    def variable(self, cluster: str, name: str) -> Variable:
        """One variable of a cluster."""
        return self._got(_path("clusters", cluster, "variables", name), Variable)

    def put_variable(
        self, cluster: str, name: str, body: VariablePut, *, etag: str = ""
    ) -> Variable:
        """Replace a variable; without `etag` create it, 412 if it is there."""
        path = _path("clusters", cluster, "variables", name)
        return self._changed("PUT", path, body, etag, Variable)

    def delete_variable(self, cluster: str, name: str, *, etag: str) -> None:
        """Delete a variable."""
        self._deleted(_path("clusters", cluster, "variables", name), etag)

    def deployments(self, cluster: str) -> list[Deployment]:
        """All deployments of a cluster, newest first."""
        return self._listed(_path("clusters", cluster, "deployments"), Deployment)

    def deployment(self, cluster: str, deployment_id: UUID) -> Deployment:
        """One deployment."""
        return self._got(_path("clusters", cluster, "deployments", deployment_id), Deployment)

    def deployment_log(self, cluster: str, deployment_id: UUID) -> str:
        """What terraform printed in a deployment."""
        path = _path("clusters", cluster, "deployments", deployment_id, "log")
        return self._answer(path).content.decode(errors="replace")

    def agents(self, cluster: str) -> list[Agent]:
        """The agents of a cluster, as their newest reports describe them."""
        return self._listed(_path("clusters", cluster, "agents"), Agent)

    def host_configuration(self, cluster: str, host: str) -> HostConfiguration:
        """What runs on one host, each setting with its origin."""
        path = _path("clusters", cluster, "hosts", host, "configuration")
        return self._got(path, HostConfiguration)

    def grid(self, cluster: str) -> Grid:
        """Hosts and probers of a cluster with their states."""
        return self._got(_path("clusters", cluster, "grid"), Grid)

    # Probers

    def probers(self) -> list[Prober]:
        """All probers, each with its newest revision and its configs."""
        return self._listed("/probers", Prober)

    def prober(self, slug: str) -> Prober:
        """One prober."""
        return self._got(_path("probers", slug), Prober)

    def create_prober(self, body: ProberCreate) -> Prober:
        """A new prober; its files become revision 1."""
        return self._sent("POST", "/probers", body, Prober)

    def change_prober(self, slug: str, body: ProberUpdate, *, etag: str) -> Prober:
        """Change the fields that are set in the body."""
        return self._changed("PATCH", _path("probers", slug), body, etag, Prober)

    def delete_prober(self, slug: str, *, etag: str) -> None:
        """Delete a prober."""
        self._deleted(_path("probers", slug), etag)

    def prober_revisions(self, slug: str) -> list[Revision]:
        """All revisions of a prober."""
        return self._listed(_path("probers", slug, "revisions"), Revision)

    def prober_revision(self, slug: str, number: int) -> Revision:
        """One revision of a prober."""
        return self._got(_path("probers", slug, "revisions", number), Revision)

    def prober_file(self, slug: str, number: int, path: str) -> bytes:
        """The content of one file of a prober's revision."""
        parts = path.split("/")
        return self._answer(_path("probers", slug, "revisions", number, "files", *parts)).content

    def add_prober_revision(self, slug: str, body: RevisionCreate, *, etag: str) -> AddedRevision:
        """A new revision, or the newest one if the content is the same; both ETags are the prober's."""
        path = _path("probers", slug, "revisions")
        return self._changed("POST", path, body, etag, AddedRevision)

    def configs(self, prober: str) -> list[ProberConfig]:
        """All configs of a prober."""
        return self._listed(_path("probers", prober, "configs"), ProberConfig)

    def config(self, prober: str, slug: str) -> ProberConfig:
        """One config of a prober."""
        return self._got(_path("probers", prober, "configs", slug), ProberConfig)

    def put_config(
        self, prober: str, slug: str, body: ProberConfigPut, *, etag: str = ""
    ) -> ProberConfig:
        """Replace a config; without `etag` create it, 412 if it is there."""
        path = _path("probers", prober, "configs", slug)
        return self._changed("PUT", path, body, etag, ProberConfig)

    def delete_config(self, prober: str, slug: str, *, etag: str) -> None:
        """Delete a config."""
        self._deleted(_path("probers", prober, "configs", slug), etag)

    # Keys and files

    def keys(self) -> list[ApiKey]:
        """All keys, without their texts."""
        return self._listed("/keys", ApiKey)

    def create_key(self, body: ApiKeyCreate) -> ApiKeyCreated:
        """A new key; its text is in this answer and nowhere else."""
        return self._sent("POST", "/keys", body, ApiKeyCreated)

    def revoke_key(self, key_id: UUID, *, etag: str) -> None:
        """End the life of a key."""
        self._deleted(_path("keys", key_id), etag)

    def audit_log(self, **wanted: str) -> list[AuditEntry]:
        """Writes, newest first; `kind`, `slug`, `actor`, `since`, `until` choose."""
        return self._listed("/audit", AuditEntry, wanted)

    def file(self, sha256: str) -> bytes:
        """The content of a file of some revision."""
        return self._answer(_path("files", sha256)).content

    def _got(self, path: str, model: type[Model]) -> Model:
        return _parsed(self._answer(path), model)

    def _listed(
        self, path: str, model: type[Model], wanted: Mapping[str, str] | None = None
    ) -> list[Model]:
        items: list[Model] = []
        query: dict[str, str | int] = {**(wanted or {}), "page_size": PAGE_SIZE}
        while True:
            page = self._got(f"{path}?{urlencode(query)}", Page[model])  # type: ignore[valid-type] # made at run time
            items += page.items
            if not page.next_page_token:
                return items
            query["page_token"] = page.next_page_token

    def _sent(self, method: str, path: str, body: Input, model: type[Model]) -> Model:
        response = self._transport.call(method, PREFIX + path, body=_sent_fields(body))
        return _parsed(response, model)

    def _changed(self, method: str, path: str, body: Input, etag: str, model: type[Model]) -> Model:
        # Without an ETag the caller saw nothing there.
        headers = {"If-Match": etag} if etag else {"If-None-Match": "*"}
        response = self._transport.call(
            method, PREFIX + path, body=_sent_fields(body), headers=headers
        )
        return _parsed(response, model)

    def _deleted(self, path: str, etag: str) -> requests.Response:
        return self._transport.call("DELETE", PREFIX + path, headers={"If-Match": etag})

    def _answer(self, path: str) -> requests.Response:
        """A GET changes nothing, so it may be repeated; a write may have happened although its answer is lost."""
        for pause in _PAUSES:
            try:
                return self._transport.call("GET", PREFIX + path)
            except ApiError as error:
                if not _may_pass(error):
                    raise
            self._sleep(pause.total_seconds())
        return self._transport.call("GET", PREFIX + path)


def _may_pass(error: ApiError) -> bool:
    if isinstance(error, ApiRefusedError):
        return error.status in _PASSING_STATUSES
    return isinstance(error, ApiUnreachableError)


def _sent_fields(body: Input) -> JsonValue:
    # Unset fields say "stay" or "no word about it", which null does not.
    sent: JsonValue = body.model_dump(mode="json", exclude_unset=True)
    return sent


def _forced(force: bool) -> str:
    return "?force=true" if force else ""


def _path(*parts: object) -> str:
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def _parsed(response: requests.Response, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors()[0]
        raise ApiUnreachableError(response.url, f"unexpected answer: {first['msg']}") from error
