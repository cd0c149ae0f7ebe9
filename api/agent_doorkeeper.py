"""Recognizes agents by their tokens; genuine ones are remembered, so that a known agent costs no cryptography."""

from api.permissions import AgentOf
from common.agent_tokens import claim_of, is_genuine

_MAX_REMEMBERED = 50_000


class AgentDoorkeeper:
    """Whose token is it? Pure but for its memory; whether a version is still valid is for the route to say."""

    def __init__(self, server_key: bytes, *, max_remembered: int = _MAX_REMEMBERED) -> None:
        self._server_key = server_key
        self._max_remembered = max_remembered
        self._genuine: dict[str, AgentOf] = {}

    def remembered(self, token: str) -> AgentOf | None:
        """The same as `agent_of` for a token that was found genuine before; costs one look."""
        return self._genuine.get(token)

    def agent_of(self, token: str) -> AgentOf | None:
        """The agent that a genuine token speaks for."""
        known = self.remembered(token)
        if known is not None:
            return known
        claim = claim_of(token)
        if claim is None or not is_genuine(token, self._server_key):
            return None  # not remembered: strangers must not push agents out
        if len(self._genuine) >= self._max_remembered:
            self._genuine.clear()
        agent = AgentOf(claim.cluster_id, claim.version)
        self._genuine[token] = agent
        return agent
