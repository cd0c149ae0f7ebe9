"""When a launcher says what has come together."""

import socket

from agent.running.outbox import NEVER_NS, Outbox

MS_NS = 10**6


def test_a_message_waits_for_others_for_20_ms_at_most() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        outbox = Outbox(ours)
        assert outbox.say_at_ns == NEVER_NS
        outbox.put(b"x", 5 * MS_NS)
        outbox.put(b"y", 15 * MS_NS)
        assert outbox.say_at_ns == 25 * MS_NS
        outbox.say()
        assert outbox.say_at_ns == NEVER_NS
        assert theirs.recv(100) == b"1\0x1\0y"


def test_many_messages_wait_for_no_more() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        outbox = Outbox(ours)
        for number in range(32):
            outbox.put(b"x", number)
        assert theirs.recv(1000) == b"1\0x" * 32
        assert outbox.say_at_ns == NEVER_NS
