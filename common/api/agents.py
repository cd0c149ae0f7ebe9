"""Calls of the API about agents, hosts and what runs on them."""

from dataclasses import asdict, dataclass

from common.api.calls import Calls, path_of
from common.contracts.agents import Agent, ChosenPresence, Grid, MissingHost
from common.contracts.host_configuration import HostConfiguration


@dataclass(frozen=True)
class AgentQuery:
    """Which agents, and in which order; None: whatever it is."""

    presence: ChosenPresence | None = None
    version: str | None = None
    stale: bool | None = None
    clock_skew_above_seconds: float | None = None
    sort: str = ""


_ALL = AgentQuery()


class AgentCalls(Calls):
    """Agents of one cluster and of all, and what the hosts run."""

    def agents(self, cluster: str, wanted: AgentQuery = _ALL) -> list[Agent]:
        """Agents of a cluster, as their newest reports describe them."""
        return self.listed(path_of("clusters", cluster, "agents"), Agent, asdict(wanted))

    def fleet(self, wanted: AgentQuery = _ALL) -> list[Agent]:
        """Agents of all clusters."""
        return self.listed("/agents", Agent, asdict(wanted))

    def missing_hosts(self) -> list[MissingHost]:
        """Hosts that recipes named and from which no agent ever came."""
        return self.listed("/agents/missing", MissingHost)

    def host_configuration(self, cluster: str, host: str) -> HostConfiguration:
        """What runs on one host, each setting with its origin."""
        path = path_of("clusters", cluster, "hosts", host, "configuration")
        return self.got(path, HostConfiguration)

    def grid(self, cluster: str) -> Grid:
        """Hosts and probers of a cluster with their states."""
        return self.got(path_of("clusters", cluster, "grid"), Grid)
