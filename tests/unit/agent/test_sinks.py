"""The outbox in front of Solomon: bounded, oldest out first."""

from agent.sinks import SPREAD_SECONDS, Outbox, send_offset_seconds
from common.solomon import EncodedPush


def push(size: int, points: int = 1) -> EncodedPush:
    return EncodedPush(b"x" * size, points, 0)


def test_the_oldest_goes_out_first() -> None:
    outbox = Outbox()
    outbox.append(push(1))
    outbox.append(push(2))
    assert outbox.oldest() == outbox.pop() == push(1)
    assert len(outbox) == 1


def test_when_full_the_oldest_is_dropped_and_counted() -> None:
    outbox = Outbox(max_bytes=10)
    assert outbox.append(push(6, points=5)) == 0
    assert outbox.append(push(3, points=2)) == 0
    assert outbox.append(push(5, points=1)) == 5
    assert [outbox.pop().points for _ in range(len(outbox))] == [2, 1]


def test_hosts_send_at_different_moments_of_ten_seconds() -> None:
    offsets = [send_offset_seconds(f"host-{number}") for number in range(200)]
    assert offsets[0] == send_offset_seconds("host-0")
    assert min(offsets) >= 0
    assert max(offsets) < SPREAD_SECONDS
    assert len({int(offset) for offset in offsets}) == SPREAD_SECONDS
