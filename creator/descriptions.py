"""Read: what each cluster should be made of, with the declared variables of each recipe revision remembered."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from common.agent_tokens import agent_token
from common.contracts.clusters import ClusterState
from common.contracts.files import FileReference
from common.object_storage import ObjectStorage, ObjectStorageError
from creator.desired import (
    Engine,
    Handover,
    Values,
    declared_variables,
    fingerprint,
    values_for,
)
from creator.errors import FileContentError
from creator.records import ClusterRecord, RecipeRevisionRecord, Records
from creator.workspaces import Workspaces, read_recipe

log = logging.getLogger(__name__)

_REMEMBERED_REVISIONS = 1000


@dataclass(frozen=True)
class Platform:
    """What every cluster gets from this installation."""

    api_url: str
    fallback_url: str
    server_key: bytes
    terraform_version: str


@dataclass(frozen=True)
class Description:
    """One cluster, ready to be compared and deployed."""

    cluster: ClusterRecord
    revision: RecipeRevisionRecord
    values: Values
    fingerprint: str
    secrets: tuple[str, ...]


class Descriptions:
    """Makes descriptions; may be used by several threads."""

    def __init__(
        self, records: Records, storage: ObjectStorage, workspaces: Workspaces, platform: Platform
    ) -> None:
        self._records = records
        self._storage = storage
        self._workspaces = workspaces
        self._platform = platform
        # Revisions never change, so nothing remembered here can become wrong.
        self._declared: dict[UUID, frozenset[str]] = {}
        self._without_recipe: set[UUID] = set()

    def of(self, cluster: ClusterRecord) -> Description | None:
        """What the cluster should be; None if its recipe has no such revision."""
        if cluster.revision is None:
            if cluster.id not in self._without_recipe:  # once, not once per pass
                log.warning("the recipe has no such revision (yet) cluster=%s", cluster.slug)
            self._without_recipe.add(cluster.id)
            return None
        self._without_recipe.discard(cluster.id)
        secrets = self.secrets_of(cluster.id, cluster.agent_token_version)
        handover = Handover(
            cluster=cluster.slug,
            api_url=self._platform.api_url,
            agent_token=secrets[0],
            fallback_url=self._platform.fallback_url,
        )
        declared = self._declared_by(cluster.revision)
        if declared is None:  # the deployment will fail, and say why
            declared = frozenset(cluster.variables)
        values = values_for(cluster.variables, handover, declared)
        return Description(
            cluster=cluster,
            revision=cluster.revision,
            values=values,
            fingerprint=self._fingerprint(cluster, cluster.revision, values),
            secrets=secrets,
        )

    def recipe(
        self, revision: RecipeRevisionRecord
    ) -> tuple[list[FileReference], Mapping[str, bytes]]:
        """The files of a revision and their content; FileContentError, ObjectStorageError."""
        files = self._records.files(revision.id)
        return files, read_recipe(self._storage, files)

    def secrets_of(self, cluster_id: UUID, agent_token_version: int) -> tuple[str, ...]:
        """Values of the cluster that no log may show; the first one is the agents' token."""
        return (agent_token(self._platform.server_key, cluster_id, version=agent_token_version),)

    def _fingerprint(
        self, cluster: ClusterRecord, revision: RecipeRevisionRecord, values: Values
    ) -> str:
        active = cluster.situation.state is ClusterState.ACTIVE
        return fingerprint(
            "deploy" if active else "destroy",
            recipe_hash=revision.content_hash,
            values=values.declared,
            engine=Engine(
                terraform_version=self._platform.terraform_version,
                backend=self._workspaces.of(cluster.id).backend(),
            ),
        )

    def _declared_by(self, revision: RecipeRevisionRecord) -> frozenset[str] | None:
        if revision.id not in self._declared:
            try:
                _, contents = self.recipe(revision)
            except (FileContentError, ObjectStorageError):
                return None
            if len(self._declared) >= _REMEMBERED_REVISIONS:
                self._declared.clear()
            self._declared[revision.id] = declared_variables(contents)
        return self._declared[revision.id]
