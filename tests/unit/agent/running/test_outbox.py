"""When a launcher says what has come together."""

import socket

import pytest

from agent.running.outbox import Outbox

MS_NS = 10**6


@pytest.mark.parametrize(
    ("now_ms", "awake_at_ms", "is_due"),
    [
        (5, 12, False),  # it will be awake in time
        (5, 21, True),  # it would wait for more than 20 ms
        (5, 10**9, True),  # nothing else wakes the launcher
        (21, 22, True),
    ],
)
def test_a_message_waits_for_others_for_20_ms_at_most(
    *, now_ms: int, awake_at_ms: int, is_due: bool
) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        outbox = Outbox(ours)
        assert not outbox.is_due(0, awake_at_ns=awake_at_ms * MS_NS)
        outbox.put(b"x", 0)
        assert outbox.is_due(now_ms * MS_NS, awake_at_ns=awake_at_ms * MS_NS) is is_due
        outbox.say()
        assert theirs.recv(100) == b"1\0x"
