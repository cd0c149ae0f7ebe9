"""Agents and the grid as people see them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from common.contracts.states import State
from common.contracts.values import Wire


class Presence(StrEnum):
    """Whether somebody speaks for a host."""

    REPORTING = "reporting"
    SILENT = "silent"  # no report for three periods by the server's clock
    EXPECTED = "expected"  # the recipe names it, no agent ever came


class Agent(Wire):
    """The newest report of one agent, without its states."""

    instance: UUID
    boot: int
    host: str
    labels: dict[str, str]
    version: str
    document_revision: int | None
    configuration_problem: str
    clock_skew_seconds: float
    first_seen_at: datetime
    reported_at: datetime
    presence: Presence
    # Another live instance reports for the same host.
    conflict: bool


class GridCell(Wire):
    """One prober on one host: a state character per combination and what stands for all of them."""

    states: str
    state: State
    combinations: list[str]
    reasons: dict[int, str]
    last_run_at: datetime | None


class GridHost(Wire):
    """One row of the grid."""

    name: str
    address: str
    presence: Presence
    reported_at: datetime | None
    agent_version: str
    problem: str
    conflict: bool
    cells: dict[str, GridCell]


class Grid(Wire):
    """Hosts and probers of one cluster, from the agents' reports alone."""

    cluster: str
    document_revision: int
    generated_at: datetime
    probers: list[str]
    hosts: list[GridHost]
