"""Where a cluster's configuration is published, for agents that cannot reach the API.

Shared by the API, which publishes, and Creator, which hands the address to recipes.
"""

import hmac
from uuid import UUID

DOCUMENT = "configuration.json"
SIGNATURE = "configuration.sig"


def publication_folder(server_key: bytes, cluster_id: UUID) -> str:
    """The folder of a cluster's publication; nobody guesses it who lacks the server key."""
    return hmac.digest(server_key, b"publication of " + cluster_id.bytes, "sha256").hex()


def published_file(sha256: str) -> str:
    """The name of a file's content inside the folder."""
    return f"files/{sha256}"


def fallback_url(published_url: str, server_key: bytes, cluster_id: UUID) -> str:
    """The address that agents of the cluster get; empty if nothing is published where agents could read."""
    if not published_url:
        return ""
    return f"{published_url.rstrip('/')}/{publication_folder(server_key, cluster_id)}"
