"""What runs on one host, as people see it: each value with the layer that gave it."""

from typing import Literal
from uuid import UUID

from pydantic import JsonValue

from common.contracts.identifiers import Slug
from common.contracts.values import Wire


class ExplainedValue(Wire):
    """A setting and where it comes from: built in, the prober's defaults, or a config of a cluster or of hosts."""

    value: JsonValue
    layer: Literal["built-in", "prober", "cluster", "host"]
    config: str = ""
    order: int = 0


class ExplainedRun(Wire):
    """One start of the program, as the agent makes it; secrets stay references."""

    combinations: list[dict[str, JsonValue]]
    is_batch: bool
    arguments: list[str]
    environment: dict[str, str]


class ExplainedProber(Wire):
    """A prober on one host; with a `problem` it is broken there and has no runs."""

    id: UUID
    slug: Slug
    revision: int
    problem: str
    # By setting: `interval_seconds`, `variables.port`, `matrix.target`.
    settings: dict[str, ExplainedValue]
    combinations: int
    runs: list[ExplainedRun]  # the first ones
    runs_in_all: int


class HostConfiguration(Wire):
    """The effective configuration of one host, by the rules that its agent uses."""

    cluster: Slug
    host: str
    labels: dict[str, str]  # the agent's own labels win over the recipe's
    document_revision: int
    probers: list[ExplainedProber]
