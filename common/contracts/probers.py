"""Probers and their configs: what runs, where, how often, with which variables and matrix."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from common.contracts.files import MAX_FILES, FileUpload
from common.contracts.identifiers import ManagerName, ProberVariableName, Slug
from common.contracts.recipes import Revision, Stop
from common.contracts.values import Input, Wire

Argument = Annotated[str, StringConstraints(max_length=8192, pattern=r"^[^\x00]*$")]
Command = Annotated[list[Argument], Field(min_length=1, max_length=100)]
MAX_WILDCARDS = 8
# Each matrix variable is a label of its metrics; of 12 labels, four are ours.
MAX_MATRIX_VARIABLES = 8


def bounded_glob(glob: str) -> str:
    """The glob itself, unless it has so many wildcards that matching it takes long."""
    if glob.count("*") + glob.count("[") > MAX_WILDCARDS:
        raise ValueError(f"at most {MAX_WILDCARDS} wildcards")
    return glob


Glob = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9*?._\[\]!-]+$"),
    AfterValidator(bounded_glob),
]
# Labels of ours and of Solomon, which no matrix variable can be.
RESERVED_LABELS = frozenset(
    {
        "project", "cluster", "service", "name", "cluster_slug", "host", "prober_slug",
        "outcome", "reason", "flag", "mode", "bin",
    }
)  # fmt: skip
CLUSTER_HOSTS = "${cluster.hosts}"


UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
GroupName = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
MAX_CONFIRMING_RUNS = 20


def confirmation(text: str) -> tuple[int, int]:
    """(2, 3) of `2 of 3`; ValueError that says what was expected."""
    found = re.fullmatch(r"([1-9][0-9]?) of ([1-9][0-9]?)", text)
    if found is None or not int(found[1]) <= int(found[2]) <= MAX_CONFIRMING_RUNS:
        raise ValueError(f"expected `N of M` with 1 <= N <= M <= {MAX_CONFIRMING_RUNS}")
    return int(found[1]), int(found[2])


def _checked_confirmation(text: str) -> str:
    confirmation(text)
    return text


Confirmation = Annotated[str, AfterValidator(_checked_confirmation)]


class Severity(StrEnum):
    """How bad it is when the prober fails."""

    NONE = ""
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


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
    # The time limit may be longer than the interval: runs may be due while one still runs.
    allow_overlap: bool | None = None
    # Free text on purpose: an agent that does not know the word makes the prober broken.
    mode: str | None = Field(default=None, max_length=32)
    output: str | None = Field(default=None, max_length=32)
    # Of a gauge that is printed several times in 15 seconds: last, min, max, avg, sum.
    aggregate: str | None = Field(default=None, max_length=32)
    user: UserName | None = None
    memory_mb: int | None = Field(default=None, ge=16, le=1_048_576)
    processes: int | None = Field(default=None, ge=1, le=100_000)
    cpu_seconds: int | None = Field(default=None, ge=1, le=86400)
    open_files: int | None = Field(default=None, ge=16, le=1_000_000)
    output_mb: int | None = Field(default=None, ge=1, le=1_048_576)
    exclusive: GroupName | None = None
    confirm: Confirmation | None = None
    # Which runs' records the agent uploads, with what they printed.
    evidence: Literal["never", "on_failure", "always"] | None = None
    variables: dict[ProberVariableName, JsonValue] | None = None
    matrix: dict[ProberVariableName, MatrixAxis | None] | None = None


DEFAULT_TIME_LIMIT_SECONDS = 10.0


def default_time_limit_seconds(interval_seconds: float) -> float:
    """The built-in time limit: with an interval that is shorter, the interval itself, so that runs do not overlap."""
    return min(DEFAULT_TIME_LIMIT_SECONDS, interval_seconds)


class EffectiveAxis(Wire):
    """An axis as an agent reads it, which may be older than the API: it ignores what it does not know."""

    values: list[JsonValue] | str
    deliver: Literal["each", "batch"] = "each"


class EffectiveSettings(Wire):
    """Settings after all layers; the defaults here are the built-in ones.

    That of the time limit is `default_time_limit_seconds`, which `resolve` puts in where no layer sets one.
    """

    enabled: bool = True
    interval_seconds: float = Field(default=60, ge=0.1, le=86400)
    time_limit_seconds: float = Field(default=DEFAULT_TIME_LIMIT_SECONDS, ge=0.01, le=86400)
    grace_seconds: float = Field(default=2, ge=0, le=60)
    allow_overlap: bool = False
    mode: str = "run"
    output: str = "none"
    aggregate: str = "last"
    # Whose rights the program has; empty: those that the host's owner gives to every prober.
    user: str = Field(default="", max_length=32)
    # Of all processes of a run together, but for `open_files`, which each of them may have.
    memory_mb: int = Field(default=256, ge=16, le=1_048_576)
    processes: int = Field(default=64, ge=1, le=100_000)
    cpu_seconds: int = Field(default=60, ge=1, le=86400)
    open_files: int = Field(default=256, ge=16, le=1_000_000)
    output_mb: int = Field(default=64, ge=1, le=1_048_576)
    # Members of one group never run together on a host: the later one is skipped.
    exclusive: str = Field(default="", max_length=63)
    # Of the last M runs, N must say the same bad thing before the state says it.
    confirm: Confirmation = "1 of 1"
    # `never`, `on_failure`, `always`; any other word of a newer API is as good as `never`.
    evidence: str = Field(default="on_failure", max_length=32)
    variables: dict[ProberVariableName, JsonValue] = {}
    matrix: dict[ProberVariableName, EffectiveAxis] = {}


class ProberCreate(Input):
    """A new prober; its files become revision 1."""

    slug: Slug
    description: str = Field(default="", max_length=2000)
    owner: str = Field(default="", max_length=200)
    runbook_url: str = Field(default="", max_length=2000)
    severity: Severity = Severity.NONE
    command: Command
    defaults: ProberSettings = ProberSettings()
    files: list[FileUpload] = Field(default=[], max_length=MAX_FILES)
    managed_by: ManagerName = ""


class ProberStop(Input):
    """Why a prober is stopped everywhere; with `revision` only that one is."""

    reason: str = Field(min_length=1, max_length=1000)
    revision: int | None = Field(default=None, ge=1, le=2**31 - 1)


class ProberStart(Input):
    """What may run again: the prober, or one of its revisions."""

    revision: int | None = Field(default=None, ge=1, le=2**31 - 1)


class ProberUpdate(Input):
    """A change of a prober's own fields; absent fields stay."""

    description: str = Field(default="", max_length=2000)
    owner: str = Field(default="", max_length=200)
    runbook_url: str = Field(default="", max_length=2000)
    severity: Severity = Severity.NONE
    command: Command = ["true"]
    defaults: ProberSettings = ProberSettings()
    managed_by: ManagerName = ""


class ProberConfigPut(Input):
    """Where a prober runs and with which settings; globs select, labels must be equal.

    Of a config that is there, `managed_by` stays where it is unsaid.
    """

    order: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    clusters: list[Glob] = Field(min_length=1, max_length=1000)
    hosts: list[Glob] = Field(default=[], max_length=1000)
    except_hosts: list[Glob] = Field(default=[], max_length=1000)
    host_labels: dict[str, str] = Field(default={}, max_length=16)
    settings: ProberSettings = ProberSettings()
    managed_by: ManagerName = ""


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
    severity: Severity = Severity.NONE
    command: list[str]
    defaults: dict[str, JsonValue]
    managed_by: str
    revision: Revision
    configs: list[ProberConfig]
    stopped: Stop | None = None
    created_at: datetime
    updated_at: datetime
