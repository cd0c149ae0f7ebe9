"""Probers and their configs: what runs, where, how often, with which variables and matrix."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, JsonValue, StringConstraints

from common.contracts.files import MAX_FILES, FileUpload
from common.contracts.identifiers import ProberVariableName, Slug
from common.contracts.recipes import Revision
from common.contracts.values import Input, Wire

Argument = Annotated[str, StringConstraints(max_length=8192, pattern=r"^[^\x00]*$")]
Command = Annotated[list[Argument], Field(min_length=1, max_length=100)]
Glob = Annotated[
    str, StringConstraints(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9*?._\[\]!-]+$")
]
CLUSTER_HOSTS = "${cluster.hosts}"


class MatrixAxis(Input):
    """A variable with a list of values; `deliver` says whether each value gets a run of its own."""

    # A list, or one reference such as ${cluster.hosts} that stands for a list.
    values: list[JsonValue] | str
    deliver: Literal["each", "batch"] = "each"


class ProberSettings(Input):
    """One layer of settings: an absent field says nothing, `null` resets to the built-in default."""

    enabled: bool | None = None
    interval_seconds: float | None = Field(default=None, ge=0.1, le=86400)
    time_limit_seconds: float | None = Field(default=None, ge=0.01, le=86400)
    grace_seconds: float | None = Field(default=None, ge=0, le=60)
    # Free text on purpose: an agent that does not know the word makes the prober broken.
    mode: str | None = Field(default=None, max_length=32)
    output: str | None = Field(default=None, max_length=32)
    variables: dict[ProberVariableName, JsonValue] | None = None
    matrix: dict[ProberVariableName, MatrixAxis | None] | None = None


class EffectiveAxis(Wire):
    """An axis as an agent reads it, which may be older than the API: it ignores what it does not know."""

    values: list[JsonValue] | str
    deliver: Literal["each", "batch"] = "each"


class EffectiveSettings(Wire):
    """Settings after all layers; the defaults here are the built-in ones."""

    enabled: bool = True
    interval_seconds: float = Field(default=60, ge=0.1, le=86400)
    time_limit_seconds: float = Field(default=10, ge=0.01, le=86400)
    grace_seconds: float = Field(default=2, ge=0, le=60)
    mode: str = "run"
    output: str = "none"
    variables: dict[ProberVariableName, JsonValue] = {}
    matrix: dict[ProberVariableName, EffectiveAxis] = {}


class ProberCreate(Input):
    """A new prober; its files become revision 1."""

    slug: Slug
    description: str = Field(default="", max_length=2000)
    owner: str = Field(default="", max_length=200)
    runbook_url: str = Field(default="", max_length=2000)
    command: Command
    defaults: ProberSettings = ProberSettings()
    files: list[FileUpload] = Field(default=[], max_length=MAX_FILES)
    managed_by: str = Field(default="", max_length=100)


class ProberUpdate(Input):
    """A change of a prober's own fields; absent fields stay."""

    description: str = Field(default="", max_length=2000)
    owner: str = Field(default="", max_length=200)
    runbook_url: str = Field(default="", max_length=2000)
    command: Command = ["true"]
    defaults: ProberSettings = ProberSettings()


class ProberConfigPut(Input):
    """Where a prober runs and with which settings; globs select, labels must be equal."""

    order: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    clusters: list[Glob] = Field(min_length=1, max_length=1000)
    hosts: list[Glob] = Field(default=[], max_length=1000)
    except_hosts: list[Glob] = Field(default=[], max_length=1000)
    host_labels: dict[str, str] = Field(default={}, max_length=16)
    settings: ProberSettings = ProberSettings()
    managed_by: str = Field(default="", max_length=100)


class ProberConfig(Wire):
    """A stored prober config; its slug is unique within the prober."""

    id: UUID
    slug: Slug
    etag: str = ""  # sent back as If-Match with a change
    order: int
    clusters: list[str]
    hosts: list[str]
    except_hosts: list[str]
    host_labels: dict[str, str]
    settings: dict[str, JsonValue]
    managed_by: str
    updated_at: datetime


class Prober(Wire):
    """A prober with its newest revision and its configs, which have ETags of their own."""

    id: UUID
    slug: Slug
    etag: str = ""  # sent back as If-Match with a change
    description: str
    owner: str
    runbook_url: str
    command: list[str]
    defaults: dict[str, JsonValue]
    managed_by: str
    revision: Revision
    configs: list[ProberConfig]
    created_at: datetime
    updated_at: datetime
