"""Pauses end by themselves, whatever the clock does."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.pauses import PauseFile, StandingPauses, with_pause, without_pause
from common.contracts.control import Pause

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND_NS = 10**9


def pause(prober: str | None = "tcp", *, seconds: float = 60) -> Pause:
    until = NOW + timedelta(seconds=seconds)
    return Pause(prober=prober, since=NOW, until=until, who="ann", why="the target is being moved")


def test_a_prober_is_paused_by_its_own_pause_or_by_that_of_all() -> None:
    own, every = pause("tcp"), pause(None)
    assert StandingPauses([own], now=NOW, now_ns=0).of("dns") is None
    both = StandingPauses([every, own], now=NOW, now_ns=0)
    assert both.of("tcp") == own
    assert both.of("dns") == every
    assert both.all() == (every, own)


def test_one_that_is_over_is_not_taken_up() -> None:
    assert StandingPauses([pause(seconds=0)], now=NOW, now_ns=0).all() == ()


def test_ends_by_the_time_of_day() -> None:
    standing = StandingPauses([pause(seconds=60), pause("dns", seconds=90)], now=NOW, now_ns=0)
    assert not standing.end(NOW + timedelta(seconds=59), 59 * SECOND_NS)
    assert standing.end(NOW + timedelta(seconds=60), 60 * SECOND_NS)
    assert standing.of("tcp") is None
    assert standing.of("dns")


def test_a_clock_that_is_set_back_does_not_silence_for_longer() -> None:
    standing = StandingPauses([pause(seconds=60)], now=NOW, now_ns=5 * SECOND_NS)
    long_ago = NOW - timedelta(days=30)
    assert not standing.end(long_ago, 64 * SECOND_NS)
    assert standing.end(long_ago, 65 * SECOND_NS)


def test_a_new_pause_replaces_an_earlier_one_of_the_same_prober() -> None:
    longer = pause(seconds=600)
    both = with_pause([pause(), pause(None)], longer)
    assert set(map(Pause.model_dump_json, both)) == set(
        map(Pause.model_dump_json, (longer, pause(None)))
    )
    assert without_pause(both, None) == (longer,)


def test_the_file_is_believed_or_forgotten(tmp_path: Path) -> None:
    file = PauseFile(tmp_path)
    assert file.pauses() == ()
    file.keep([pause(), pause(None)])
    assert list(file.pauses()) == [pause(), pause(None)]
    (tmp_path / "pauses.json").write_text('{"pauses": [{"who": 7}]}')
    assert file.pauses() == ()
