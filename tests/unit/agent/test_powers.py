"""What an agent cannot do on its host is said in one sentence each, and once."""

import logging
from dataclasses import replace

import pytest

from agent.powers import Powers, missing_powers, told_missing_powers

ALL = Powers(
    may_change_user=True, user="root", adopts_orphans=True, has_group=True, sees_pressure=True
)
LACKS = {
    "may_change_user": "not root",
    "adopts_orphans": "no sub-reaper",
    "has_group": "no cgroup",
    "sees_pressure": "no /proc/pressure",
}


def test_who_can_everything_says_nothing() -> None:
    assert missing_powers(ALL) == []


@pytest.mark.parametrize(("power", "words"), LACKS.items())
def test_one_missing_power_is_one_sentence(power: str, words: str) -> None:
    (sentence,) = missing_powers(replace(ALL, **{power: False}))  # type: ignore[arg-type]
    assert sentence.startswith(words)


def test_each_missing_power_is_logged_exactly_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="agent.powers")
    none = replace(ALL, **dict.fromkeys(LACKS, False))  # type: ignore[arg-type]
    told = told_missing_powers(none)
    assert len(told) == len(LACKS)
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"a power is missing: {sentence}" for sentence in told]
