"""The API as synchronize sees it, in memory: reads and writes contracts, refuses what the real one refuses."""

import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from common.contracts.clusters import (
    Cluster,
    ClusterCreate,
    ClusterState,
    ClusterUpdate,
    Variable,
    VariableOfCluster,
    VariablePut,
)
from common.contracts.deployments import Gates, ShownGates
from common.contracts.files import content_hash
from common.contracts.identifiers import new_id
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
)
from common.contracts.values import Input, Problem
from common.errors import ApiRefusedError, ApiUnreachableError

MANAGER = "synchronize"

Row = TypeVar("Row", Recipe, Prober, Cluster)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Locked:
    """The API for several threads: one call at a time, as a database has it."""

    def __init__(self, api: "ApiInMemory") -> None:
        self._api = api
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            with self._lock:
                return getattr(self._api, name)(*arguments, **more)

        return call


class Interrupted:
    """The API, until the connection breaks at some request: before it arrives, or after it was carried out."""

    def __init__(self, api: Any, *, after: int, is_lost: bool = False) -> None:
        self._api = api
        self._left = after
        self._is_lost = is_lost

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            gone = ApiUnreachableError("http://api", "connection reset")
            self._left -= 1
            if self._left < 0 and not (self._is_lost and self._left == -1):
                raise gone
            answer = getattr(self._api, name)(*arguments, **more)
            if self._left < 0:
                raise gone
            return answer

        return call


def refusal(status: int, detail: str) -> ApiRefusedError:
    return ApiRefusedError(Problem(title="no", status=status, detail=detail))


class ApiInMemory:
    """Fulfils the ports `Reader` and `Writer`; `away_after` calls of writing it is gone."""

    def __init__(self) -> None:
        self.recipe_rows: dict[str, Recipe] = {}
        self.prober_rows: dict[str, Prober] = {}
        self.cluster_rows: dict[str, Cluster] = {}
        self.variable_rows: dict[tuple[str, str], Variable] = {}
        self.contents: dict[str, bytes] = {}
        self.writes: list[str] = []
        self.refused: set[str] = set()
        self.away_after: int | None = None
        # Who writes, as the header Mr-Prober-Manager says; `*` insists.
        self.manager = MANAGER
        self._version = 0

    # Reading

    def recipes(self) -> list[Recipe]:
        return list(self.recipe_rows.values())

    def probers(self) -> list[Prober]:
        return list(self.prober_rows.values())

    def clusters(self) -> list[Cluster]:
        return list(self.cluster_rows.values())

    def variables(self, cluster: str) -> list[Variable]:
        return [variable for (slug, _), variable in self.variable_rows.items() if slug == cluster]

    def all_variables(self) -> list[VariableOfCluster]:
        return [
            VariableOfCluster(**variable.model_dump(), cluster=slug)
            for (slug, _), variable in self.variable_rows.items()
        ]

    def variable(self, cluster: str, name: str) -> Variable:
        row: Variable = self._row(self.variable_rows, (cluster, name))
        return row

    def file(self, sha256: str) -> bytes:
        if sha256 not in self.contents:
            raise refusal(404, "no such file")
        return self.contents[sha256]

    # Recipes

    def create_recipe(self, body: RecipeCreate) -> None:
        self._write(f"create recipe {body.slug}")
        if body.slug in self.recipe_rows:
            raise refusal(409, "slug is taken")
        self.recipe_rows[body.slug] = Recipe(
            id=new_id(), slug=body.slug, etag=self._next_etag(), description=body.description, managed_by=body.managed_by,
            revision=self._revision(1, body), created_at=NOW, updated_at=NOW,
        )  # fmt: skip

    def change_recipe(self, slug: str, body: RecipeUpdate, *, etag: str) -> Recipe:
        self._write(f"change recipe {slug}")
        row: Recipe = self._expected(self.recipe_rows, slug, etag)
        return self._kept(self.recipe_rows, slug, row.model_copy(update=_set_fields(body)))

    def add_recipe_revision(
        self,
        slug: str,
        body: RevisionCreate,
        *,
        etag: str,
        force: bool = False,  # noqa: ARG002 - it knows no clusters that could break
    ) -> AddedRevision:
        self._write(f"change files of recipe {slug}")
        row: Recipe = self._expected(self.recipe_rows, slug, etag)
        revision = self._revision(row.revision.number + 1, body)
        kept = self._kept(self.recipe_rows, slug, row.model_copy(update={"revision": revision}))
        return AddedRevision(**revision.model_dump(), etag=kept.etag)

    def delete_recipe(self, slug: str, *, etag: str) -> None:
        self._write(f"delete recipe {slug}")
        self._expected(self.recipe_rows, slug, etag)
        if users := [one.slug for one in self.cluster_rows.values() if one.recipe == slug]:
            raise refusal(409, f"used by cluster {', '.join(users)}")
        del self.recipe_rows[slug]

    # Probers

    def create_prober(self, body: ProberCreate) -> None:
        self._write(f"create prober {body.slug}")
        if body.slug in self.prober_rows:
            raise refusal(409, "slug is taken")
        fields = body.model_dump(
            include={"slug", "description", "owner", "runbook_url", "command", "managed_by"}
        )
        self.prober_rows[body.slug] = Prober(
            id=new_id(), etag=self._next_etag(), **fields, defaults=_stored(body.defaults), revision=self._revision(1, body), configs=[],
            created_at=NOW, updated_at=NOW,
        )  # fmt: skip

    def change_prober(self, slug: str, body: ProberUpdate, *, etag: str) -> Prober:
        self._write(f"change prober {slug}")
        row: Prober = self._expected(self.prober_rows, slug, etag)
        return self._kept(self.prober_rows, slug, row.model_copy(update=_set_fields(body)))

    def add_prober_revision(self, slug: str, body: RevisionCreate, *, etag: str) -> AddedRevision:
        self._write(f"change files of prober {slug}")
        row: Prober = self._expected(self.prober_rows, slug, etag)
        revision = self._revision(row.revision.number + 1, body)
        kept = self._kept(self.prober_rows, slug, row.model_copy(update={"revision": revision}))
        return AddedRevision(**revision.model_dump(), etag=kept.etag)

    def delete_prober(self, slug: str, *, etag: str) -> None:
        self._write(f"delete prober {slug}")
        if self._expected(self.prober_rows, slug, etag).configs:
            raise refusal(409, "it has configs")
        del self.prober_rows[slug]

    def put_config(
        self, prober: str, slug: str, body: ProberConfigPut, *, etag: str = ""
    ) -> ProberConfig:
        self._write(f"put config {prober}/{slug}")
        row = self._row(self.prober_rows, prober)
        self._expected({config.slug: config for config in row.configs}, slug, etag)
        others = [config for config in row.configs if config.slug != slug]
        if any(config.order == body.order for config in others):
            raise refusal(422, "this order is taken")
        fields = body.model_dump(mode="json", exclude={"settings"})
        present = next((one for one in row.configs if one.slug == slug), None)
        if present and "managed_by" not in body.model_fields_set:
            fields["managed_by"] = present.managed_by
        config = ProberConfig(
            id=new_id(), slug=slug, etag=self._next_etag(), **fields,
            settings=_stored(body.settings), updated_at=NOW,
        )  # fmt: skip
        self.prober_rows[prober] = row.model_copy(update={"configs": [*others, config]})
        return config

    def delete_config(self, prober: str, slug: str, *, etag: str) -> None:
        self._write(f"delete config {prober}/{slug}")
        row = self._row(self.prober_rows, prober)
        self._expected({config.slug: config for config in row.configs}, slug, etag)
        configs = [config for config in row.configs if config.slug != slug]
        self.prober_rows[prober] = row.model_copy(update={"configs": configs})

    # Clusters

    def create_cluster(self, body: ClusterCreate) -> None:
        self._write(f"create cluster {body.slug}")
        if body.recipe not in self.recipe_rows or body.slug in self.cluster_rows:
            raise refusal(422, "no such recipe, or slug is taken")
        self.cluster_rows[body.slug] = Cluster(
            id=new_id(), slug=body.slug, etag=self._next_etag(), recipe=body.recipe, recipe_revision=body.recipe_revision,
            deploy_policy=body.deploy_policy, gates=_shown(body.gates), state=ClusterState.ACTIVE, variables={}, hosts={}, protected=body.protected,
            managed_by=body.managed_by, last_deployment=None, last_planned_at=None, created_at=NOW, updated_at=NOW,
        )  # fmt: skip
        for name, value in body.variables.items():
            self._store(body.slug, name, VariablePut(value=value, managed_by=body.managed_by))

    def change_cluster(
        self,
        slug: str,
        body: ClusterUpdate,
        *,
        etag: str,
        force: bool = False,  # noqa: ARG002 - its values always fit
    ) -> Cluster:
        self._write(f"change cluster {slug}")
        row: Cluster = self._expected(
            self.cluster_rows, slug, etag, is_switch=body.model_fields_set <= {"protected"}
        )
        fields = _set_fields(body)
        if "gates" in fields:
            fields["gates"] = _shown(body.gates)
        return self._kept(self.cluster_rows, slug, row.model_copy(update=fields))

    def delete_cluster(self, slug: str, *, etag: str) -> Cluster:
        self._write(f"delete cluster {slug}")
        row: Cluster = self._expected(self.cluster_rows, slug, etag)
        if row.protected:
            raise refusal(409, f"cluster {slug} is protected")
        ended = row.model_copy(update={"state": ClusterState.DELETING})
        return self._kept(self.cluster_rows, slug, ended)

    def put_variable(
        self, cluster: str, name: str, body: VariablePut, *, etag: str = ""
    ) -> Variable:
        self._write(f"put variable {cluster}/{name}")
        self._row(self.cluster_rows, cluster)
        self._expected(self.variable_rows, (cluster, name), etag)
        return self._store(cluster, name, body)

    def delete_variable(self, cluster: str, name: str, *, etag: str) -> None:
        self._write(f"delete variable {cluster}/{name}")
        self._expected(self.variable_rows, (cluster, name), etag)
        del self.variable_rows[cluster, name]

    # What Creator would do

    def finish_deletions(self) -> None:
        for slug, cluster in list(self.cluster_rows.items()):
            if cluster.state is ClusterState.DELETING:
                del self.cluster_rows[slug]
                for key in [key for key in self.variable_rows if key[0] == slug]:
                    del self.variable_rows[key]

    def _write(self, what: str) -> None:
        if self.away_after is not None and len(self.writes) >= self.away_after:
            raise ApiUnreachableError("http://api", "connection refused")
        if what in self.refused:
            raise refusal(422, "not today")
        self.writes.append(what)

    def _row(self, rows: dict[Any, Any], key: Any) -> Any:
        if key not in rows:
            raise refusal(404, f"no {key}")
        return rows[key]

    def _expected(
        self, rows: dict[Any, Any], key: Any, etag: str, *, is_switch: bool = False
    ) -> Any:
        """The row, if the caller knows it as it is; an empty ETag says that there is none."""
        if not etag and key not in rows:
            return None
        row = self._row(rows, key)
        if etag not in ("*", row.etag):
            raise refusal(412, f"{key} changed meanwhile")
        if not is_switch and row.managed_by and self.manager not in ("*", row.managed_by):
            raise refusal(409, f"{key} is managed by {row.managed_by}")
        return row

    def _kept(self, rows: dict[str, Row], key: str, row: Row) -> Row:
        rows[key] = row.model_copy(update={"etag": self._next_etag()})
        return rows[key]

    def _next_etag(self) -> str:
        self._version += 1
        return f'"{self._version}"'

    def _store(self, cluster: str, name: str, body: VariablePut) -> Variable:
        present = self.variable_rows.get((cluster, name))
        stays = present and "managed_by" not in body.model_fields_set
        row = Variable(
            name=name, etag=self._next_etag(), value=body.value,
            managed_by=present.managed_by if present and stays else body.managed_by, updated_at=NOW,
        )  # fmt: skip
        self.variable_rows[cluster, name] = row
        return row

    def _revision(
        self, number: int, body: RecipeCreate | ProberCreate | RevisionCreate
    ) -> Revision:
        references = [file.reference() for file in body.files]
        for file in body.files:
            self.contents[hashlib.sha256(file.content).hexdigest()] = file.content
        return Revision(
            number=number, content_hash=content_hash(references), files=references, created_at=NOW
        )


def _stored(settings: Input) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude_unset=True)


def _shown(gates: Gates) -> ShownGates:
    return ShownGates.model_validate(gates.model_dump())


def _set_fields(body: Input) -> dict[str, Any]:
    return {
        name: _stored(value) if isinstance(value := getattr(body, name), Input) else value
        for name in body.model_fields_set
    }
