"""The distance between the two clocks."""

from datetime import UTC, datetime, timedelta

from agent.clocks import Clocks

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)


def test_a_look_that_was_interrupted_does_not_count() -> None:
    passed_ns = 0
    # The process stands still between the two clocks in all looks but the third.
    pauses = iter([5_000_000, 70_000_000, 1_000, 20_000_000, 9_000_000])

    def boot_ns() -> int:
        return passed_ns

    def now() -> datetime:
        nonlocal passed_ns
        passed_ns += next(pauses)
        return BEGIN + timedelta(microseconds=passed_ns / 1000)

    offset_ns = Clocks(boot_ns, now).epoch_offset_ns() - round(BEGIN.timestamp() * 1e9)
    assert 0 <= offset_ns <= 2_000
