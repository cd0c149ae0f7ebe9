"""What the agent's transport does with nonsense that it is told to do."""

import pytest

from common.agent_transport import AgentTransport
from common.errors import ApiUnreachableError


def test_an_upload_to_an_address_that_is_none_fails_like_one_to_nobody() -> None:
    """Another error would end the thread that uploads, and with it the agent."""
    transport = AgentTransport("http://127.0.0.1:1", "key")
    with pytest.raises(ApiUnreachableError):
        transport.put("http://[", b"", headers={})
