"""The configuration document: one per cluster, the same bytes for all its agents.

Stored and sent as canonical JSON; the ETag is the SHA-256 of the bytes.
Agents of older and newer versions read it, so unknown fields are ignored and fields are only ever added.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field, JsonValue

from common.contracts.clusters import HostDescription
from common.contracts.files import FileReference
from common.contracts.identifiers import HostName, Sha256, Slug
from common.contracts.values import Wire, canonical_json

FORMAT = 1
# Of a variable's canonical JSON; a larger value is a file.
MAX_INLINE_BYTES = 16 * 1024


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


class VariableFile(Wire):
    """A value that is too large for the document: its canonical JSON is a file, fetched like those of probers."""

    sha256: Sha256
    size: int


class ConfigurationDocument(Wire):
    """All that the agents of one cluster need to know, except secrets and the files' content."""

    format: Literal[1]
    revision: int
    cluster: DocumentCluster
    applying_until: datetime | None = None
    hosts: dict[HostName, HostDescription] = {}
    variables: dict[str, JsonValue] = {}
    # By name, apart from `variables`: so nobody's value can be taken for a reference to a file.
    variable_files: dict[str, VariableFile] = {}
    probers: list[DocumentProber] = []

    def canonical_bytes(self) -> bytes:
        """The bytes that are stored, hashed, signed and sent."""
        return canonical_json(self.model_dump(mode="json"))

    def file_hashes(self) -> set[str]:
        """SHA-256 of every file that an agent of this cluster may fetch."""
        of_probers = {
            file.sha256
            for prober in self.probers
            for files in prober.revisions.values()
            for file in files
        }
        return of_probers | {file.sha256 for file in self.variable_files.values()}

    def filled(self, values: Mapping[str, JsonValue]) -> "ConfigurationDocument":
        """The document with the values of files, by SHA-256, in their places; what is not given stays a reference."""
        known = {
            name: values[file.sha256]
            for name, file in self.variable_files.items()
            if file.sha256 in values
        }
        return self.model_copy(update={"variables": {**self.variables, **known}})


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
