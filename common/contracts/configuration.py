"""The configuration document: one per cluster, the same bytes for all its agents.

Stored and sent as canonical JSON; the ETag is the SHA-256 of the bytes.
Agents of older and newer versions read it, so unknown fields are ignored and fields are only ever added.
"""

import hashlib
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field, JsonValue

from common.contracts.clusters import HostDescription
from common.contracts.files import FileReference
from common.contracts.identifiers import HostName, Slug
from common.contracts.values import Wire, canonical_json

FORMAT = 1


class DocumentCluster(Wire):
    """The cluster of a document; an agent refuses a document whose id is not the one it knows."""

    id: UUID
    slug: Slug


class DocumentConfig(Wire):
    """A prober config that matches the cluster; `settings` is one raw layer, checked by `resolve`."""

    slug: Slug
    order: int = 0
    hosts: list[str] = []
    except_hosts: list[str] = []
    host_labels: dict[str, str] = {}
    settings: dict[str, JsonValue] = {}

    @property
    def selects_hosts(self) -> bool:
        """Whether it belongs to the host layer and not to the cluster layer."""
        return bool(self.hosts or self.except_hosts or self.host_labels)


class DocumentProber(Wire):
    """A prober with every revision that some host of the cluster may run."""

    id: UUID
    slug: Slug
    command: list[str]
    defaults: dict[str, JsonValue] = {}
    revision: int
    revisions: dict[int, list[FileReference]]
    configs: list[DocumentConfig]


class ConfigurationDocument(Wire):
    """All that the agents of one cluster need to know, except secrets and the files' content."""

    format: Literal[1]
    revision: int
    cluster: DocumentCluster
    applying_until: datetime | None = None
    hosts: dict[HostName, HostDescription] = {}
    variables: dict[str, JsonValue] = {}
    probers: list[DocumentProber] = []

    def canonical_bytes(self) -> bytes:
        """The bytes that are stored, hashed, signed and sent."""
        return canonical_json(self.model_dump(mode="json"))

    def file_hashes(self) -> set[str]:
        """SHA-256 of every file that an agent of this cluster may fetch."""
        return {
            file.sha256
            for prober in self.probers
            for files in prober.revisions.values()
            for file in files
        }


class Secret(Wire):
    """The newest value of a sensitive variable; its version is the one in the document, or a newer one."""

    version: int
    value: JsonValue = Field(repr=False)


class ClusterSecrets(Wire):
    """What a cluster's agents get for the secrets that its probers name."""

    secrets: dict[str, Secret] = {}


def etag_of(document: bytes) -> str:
    """The strong ETag of a document's bytes, with its quotes."""
    return f'"{hashlib.sha256(document).hexdigest()}"'
