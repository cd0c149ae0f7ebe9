"""The key of a transport never shows."""

import pytest

from common.agent_transport import AgentTransport
from common.api_transport import ApiTransport
from common.errors import UnusableKeyError


@pytest.mark.parametrize("key", ["secret\nX-Injected: 1", "sec ret", "sécret", "secret\0"])
@pytest.mark.parametrize("transport", [ApiTransport, AgentTransport])
def test_a_key_that_no_header_can_carry_is_refused_without_repeating_it(
    transport: type[ApiTransport | AgentTransport], key: str
) -> None:
    with pytest.raises(UnusableKeyError) as raised:
        transport("http://127.0.0.1", key)
    assert key[:3] not in str(raised.value)
