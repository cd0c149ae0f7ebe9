"""The API as typed methods: contracts in, contracts out. Tools and tests use it; agents need only the transport.

Every method may raise ApiUnreachableError and ApiRefusedError (common/errors.py).
What changes or deletes an object takes the `etag` of what its caller saw: ApiRefusedError with status 412
if the object is another one by now, or gone. ANY_VERSION overwrites whatever is there.
What is asked again after a lost answer: reads, changes of one version, and switches; nothing else.
"""

from common.api.agents import AgentCalls, AgentQuery
from common.api.calls import ANY_VERSION, PAGE_SIZE, Transport
from common.api.clusters import ClusterCalls
from common.api.deployments import DeploymentCalls
from common.api.evidence import EvidenceCalls
from common.api.installation import InstallationCalls
from common.api.probers import ProberCalls
from common.api.recipes import RecipeCalls

__all__ = ["ANY_VERSION", "PAGE_SIZE", "AgentQuery", "ApiClient", "Transport"]


class ApiClient(
    RecipeCalls,
    ClusterCalls,
    DeploymentCalls,
    AgentCalls,
    EvidenceCalls,
    ProberCalls,
    InstallationCalls,
):
    """The API of one installation; not for several threads at once."""
