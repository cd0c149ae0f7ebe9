"""Read: what each cluster should be made of, with the declared variables of each recipe revision remembered."""

import hmac
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic import JsonValue

from common.agent_tokens import agent_token
from common.contracts.clusters import ClusterState
from common.contracts.files import FileReference
from common.encryption import Keyring, variable_context
from common.masking import forms_of
from common.object_storage import ObjectStorage
from common.published import fallback_url
from creator.deployment.backends import States
from creator.deployment.desired import (
    Engine,
    Handover,
    Values,
    declared_variables,
    fingerprint,
    values_for,
)
from creator.deployment.records import ClusterRecord, Records
from creator.deployment.revision_records import RecipeRevisionRecord
from creator.deployment.snapshots import Material, Snapshots
from creator.deployment.workspaces import Workspaces, known_secrets, read_recipe
from creator.errors import FileContentError

log = logging.getLogger(__name__)

_REMEMBERED_REVISIONS = 1000
_TOKENS_HIDDEN = 10


@dataclass(frozen=True)
class Platform:
    """What every cluster gets from this installation."""

    api_url: str
    fallback_url: str
    server_key: bytes = field(repr=False)
    keyring: Keyring
    terraform_version: str
    # Under which the API publishes; empty: nobody told Creator.
    published_url: str = ""

    def fallback_url_of(self, cluster_id: UUID) -> str:
        """Where agents of the cluster read their configuration when the API is away."""
        published = fallback_url(self.published_url, self.server_key, cluster_id)
        return published or self.fallback_url


@dataclass(frozen=True)
class Description:
    """One cluster, ready to be compared and deployed."""

    cluster: ClusterRecord
    revision: RecipeRevisionRecord
    values: Values
    fingerprint: str
    secrets: tuple[str, ...] = field(repr=False)  # what no log may show, in all its spellings


class Descriptions:
    """Makes descriptions; may be used by several threads."""

    def __init__(
        self,
        records: Records,
        storage: ObjectStorage,
        workspaces: Workspaces,
        states: States,
        platform: Platform,
    ) -> None:
        self._records = records
        self._storage = storage
        self._workspaces = workspaces
        self._states = states
        self._platform = platform
        self._snapshots = Snapshots(storage, platform.keyring)
        # Revisions never change, so nothing remembered here can become wrong.
        self._declared: dict[UUID, frozenset[str]] = {}
        self._without_recipe: set[UUID] = set()

    def of(self, cluster: ClusterRecord) -> Description | None:
        """What the cluster should be; None if its recipe has no such revision. EncryptionError, ObjectStorageError."""
        if cluster.revision is None:
            if cluster.id not in self._without_recipe:  # once, not once per pass
                log.warning("the recipe has no such revision (yet) cluster=%s", cluster.slug)
            self._without_recipe.add(cluster.id)
            return None
        self._without_recipe.discard(cluster.id)
        tokens = self._tokens(cluster.id, cluster.agent_token_version)
        opened = self._opened(cluster)
        variables = {**cluster.variables, **opened}
        handover = Handover(
            cluster=cluster.slug,
            api_url=self._platform.api_url,
            agent_token=tokens[0],
            fallback_url=self._platform.fallback_url_of(cluster.id),
        )
        declared = self._declared_by(cluster.revision)
        if declared is None:  # the deployment will fail, and say why
            declared = frozenset(variables)
        values = values_for(variables, handover, declared, sensitive=opened)
        forms = [form for value in opened.values() for form in forms_of(value)]
        return Description(
            cluster=cluster,
            revision=cluster.revision,
            values=values,
            fingerprint=self._fingerprint(cluster, cluster.revision, values),
            secrets=(*tokens, *forms),
        )

    def recipe(
        self, revision: RecipeRevisionRecord
    ) -> tuple[Sequence[FileReference], Mapping[str, bytes]]:
        """The files of a revision and their content; FileContentError, ObjectStorageError."""
        files = self._records.files(revision.id)
        return files, read_recipe(self._storage, files)

    def material(self, description: Description) -> Material:
        """What the workspace is made of: the description, or, to destroy, what was applied last.

        FileContentError, SnapshotMissingError, ObjectStorageError, EncryptionError.
        """
        if description.cluster.situation.state is ClusterState.DELETING:
            return self.applied_material(description)
        return self._wanted_material(description)

    def applied_material(self, description: Description) -> Material:
        """What was applied last, or, if an older version applied it, the description; raises as `material`."""
        cluster = description.cluster
        if cluster.applied_snapshot:
            return self._snapshots.read(cluster.id, cluster.applied_snapshot)
        return self._wanted_material(description)

    def _wanted_material(self, description: Description) -> Material:
        revision = description.revision
        files, contents = self.recipe(revision)
        return Material(
            revision_id=revision.id,
            files=tuple(files),
            contents=contents,
            values=description.values.declared,
            sensitive=description.values.sensitive,
            dependency_lock=revision.dependency_lock,
        )

    def inputs(self, description: Description) -> dict[str, Any]:
        """By part and name, as hashes: what the deployment is made from (creator.deployment.differences)."""
        cluster = description.cluster
        own, handover = description.values.hashes(_fingerprint_key(self._platform.server_key))
        files = self._records.files(description.revision.id)
        return {
            "files": {file.path: f"{file.mode} {file.sha256}" for file in files},
            "variables": own,
            "handover": handover,
            "engine": {"terraform": self._platform.terraform_version},
            "backend": {"state": self.state_key(cluster)},
        }

    def state_key(self, cluster: ClusterRecord) -> str:
        """Where the state is, or will be."""
        return cluster.state_key or self._states.key_for(cluster.id)

    def secrets_left(self, cluster_id: UUID, agent_token_version: int) -> tuple[str, ...]:
        """What no log of the cluster may show, also if its description has changed since terraform ran."""
        tokens = self._tokens(cluster_id, agent_token_version)
        return (*tokens, *known_secrets(self._workspaces.of(cluster_id)))

    def _tokens(self, cluster_id: UUID, newest: int) -> tuple[str, ...]:
        """The agents' token and those before it, which a plan may show as what was there before."""
        versions = range(newest, max(0, newest - _TOKENS_HIDDEN), -1)
        key = self._platform.server_key
        return tuple(agent_token(key, cluster_id, version=version) for version in versions)

    def _opened(self, cluster: ClusterRecord) -> dict[str, JsonValue]:
        """The values of the sensitive variables."""
        return {
            name: json.loads(
                self._platform.keyring.decrypt(text, context=variable_context(cluster.id, name))
            )
            for name, text in cluster.encrypted.items()
        }

    def _fingerprint(
        self, cluster: ClusterRecord, revision: RecipeRevisionRecord, values: Values
    ) -> str:
        active = cluster.situation.state is ClusterState.ACTIVE
        return fingerprint(
            "deploy" if active else "destroy",
            recipe_hash=revision.content_hash,
            values=values.shown(_fingerprint_key(self._platform.server_key)),
            engine=Engine(
                terraform_version=self._platform.terraform_version,
                backend=self._states.shown(cluster.id, self.state_key(cluster)),
            ),
        )

    def _declared_by(self, revision: RecipeRevisionRecord) -> frozenset[str] | None:
        if revision.id not in self._declared:
            try:
                _, contents = self.recipe(revision)
            except FileContentError:
                return None
            if len(self._declared) >= _REMEMBERED_REVISIONS:
                self._declared.clear()
            self._declared[revision.id] = declared_variables(contents)
        return self._declared[revision.id]


def _fingerprint_key(server_key: bytes) -> bytes:
    # Not the encryption key: its rotation must not deploy every cluster anew.
    return hmac.digest(server_key, b"fingerprints of sensitive variables", "sha256")
