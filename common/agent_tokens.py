"""Tokens of agents: derived, so that each plan of a cluster's recipe holds the same one.

A token is `<version>.<cluster id>.<HMAC-SHA256 of both under the server key>`, all hexadecimal.
API (checks them) and Creator (hands them to recipes) share this file.
"""

import hmac
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class AgentTokenClaim:
    """Whom a token claims to speak for; worth nothing until `is_genuine` says so."""

    version: int
    cluster_id: UUID


def agent_token(server_key: bytes, cluster_id: UUID, *, version: int) -> str:
    """The token of a cluster's agents."""
    claim = f"{version}.{cluster_id.hex}"
    return f"{claim}.{hmac.digest(server_key, claim.encode(), 'sha256').hex()}"


def claim_of(token: str) -> AgentTokenClaim | None:
    """What the token claims, or None if it is no agent token at all."""
    version, _, rest = token.partition(".")
    cluster, _, signature = rest.partition(".")
    if not (version.isascii() and version.isdigit() and len(version) < 10 and signature):
        return None
    try:
        return AgentTokenClaim(version=int(version), cluster_id=UUID(hex=cluster))
    except ValueError:
        return None


def is_genuine(token: str, server_key: bytes) -> bool:
    """Whether the token was derived from this server key."""
    claim = claim_of(token)
    if claim is None or not token.isascii():
        return False
    expected = agent_token(server_key, claim.cluster_id, version=claim.version)
    return hmac.compare_digest(token, expected)
