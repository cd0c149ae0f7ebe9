"""What an agent does to upload evidence."""

import hashlib
from typing import Any

from fastapi.testclient import TestClient

ADDRESS = "/api/v1/clusters/demo/uploads"
CONTENT = b"<script>alert(1)</script> connection refused\n"


def announcement(content: bytes = CONTENT, **changes: Any) -> dict[str, Any]:
    """The body that announces this content."""
    return {
        "host": "demo-1",
        "prober": "ping",
        "content_type": "text/plain",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        **changes,
    }


def announced(agent: TestClient, content: bytes = CONTENT, **changes: Any) -> dict[str, Any]:
    """An address for this content."""
    answer = agent.post(ADDRESS, json=announcement(content, **changes))
    assert answer.status_code == 201, answer.text
    given: dict[str, Any] = answer.json()
    return given


def put(client: TestClient, given: dict[str, Any], content: bytes = CONTENT) -> Any:
    """What comes of putting this content at an address of ours."""
    return client.request(given["method"], given["url"], content=content, headers=given["headers"])
