"""Agents and the grid as people see them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from common.contracts.identifiers import Slug
from common.contracts.states import State
from common.contracts.values import Wire


class Presence(StrEnum):
    """Whether somebody speaks for a host."""

    REPORTING = "reporting"
    SILENT = "silent"  # no report for three periods by the server's clock
    EXPECTED = "expected"  # the recipe names it, no agent ever came


class ChosenPresence(StrEnum):
    """By what agents can be chosen; who never came is no agent."""

    REPORTING = "reporting"
    SILENT = "silent"


class MissingHost(Wire):
    """A host that the recipe of a cluster named, and from which no agent ever came."""

    cluster: Slug
    host: str
    address: str


class AgentPause(Wire):
    """Somebody on a host paused one of its probers, or without `prober_id` all of them, until a moment."""

    prober_id: UUID | None = None
    since: datetime
    until: datetime
    who: str
    why: str


class Agent(Wire):
    """The newest report of one agent, without its states."""

    cluster: str = ""
    instance: UUID
    # With which version of the cluster's token it reported.
    token_version: int | None = None
    boot: int
    host: str
    labels: dict[str, str]
    version: str
    document_revision: int | None
    configuration_problem: str
    canary_problem: str = ""
    clock_skew_seconds: float
    first_seen_at: datetime
    reported_at: datetime
    presence: Presence
    # Another live instance reports for the same host.
    conflict: bool
    # As of the report; some may be over by now.
    pauses: list[AgentPause] = []


class GridCell(Wire):
    """One prober on one host: a state character per combination and what stands for all of them."""

    states: str
    state: State
    combinations: list[str]
    reasons: dict[int, str]
    # By combination the id of the evidence that its agent uploaded: …/uploads/{id}.
    uploads: dict[int, str] = {}
    last_run_at: datetime | None
    # The prober is paused on this host.
    pause: AgentPause | None = None


class GridHost(Wire):
    """One row of the grid."""

    name: str
    address: str
    presence: Presence
    reported_at: datetime | None
    agent_version: str
    problem: str
    # Why the states of this row are not to be believed.
    canary_problem: str = ""
    conflict: bool
    cells: dict[str, GridCell]
    # All probers are paused on this host.
    pause: AgentPause | None = None


class Grid(Wire):
    """Hosts and probers of one cluster, from the agents' reports alone."""

    cluster: str
    document_revision: int
    generated_at: datetime
    probers: list[str]
    hosts: list[GridHost]
