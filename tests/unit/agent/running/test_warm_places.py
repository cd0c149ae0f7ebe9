"""Who has a warm parent: within a bound, and said once."""

import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from agent.plan import RunKey, RunSpec
from agent.running.warm_places import WarmPlaces

MINUTE_NS = 60 * 10**9


def spec_of(name: str = "a", **changed: object) -> RunSpec:
    values: dict[str, object] = {
        "key": RunKey(UUID(int=1), "{}"),
        "prober_slug": name,
        "labels": {},
        "arguments": ("python3", "check.py", "an argument"),
        "environment": {},
        "folder": Path("/unpacked") / name,
        "interval": timedelta(seconds=5),
        "time_limit": timedelta(seconds=1),
        "grace": timedelta(seconds=1),
        "output": "none",
        "mode": "warm",
    }
    return RunSpec(**(values | changed))  # type: ignore[arg-type]


def test_only_what_is_said_to_be_warm_has_a_place() -> None:
    places = WarmPlaces(1)
    assert places.script(spec_of(mode="run"), 0) == 0
    assert places.script(spec_of(interval=timedelta(minutes=6)), 0) == 0
    assert places.script(spec_of(), 0) == 1


def test_a_trial_uses_a_parent_that_is_there_and_has_none_of_its_own() -> None:
    places = WarmPlaces(1)
    tried = spec_of(is_trial=True)
    assert places.script(tried, 0) == 0
    assert places.script(spec_of(), 0) == 1
    assert places.script(tried, 0) == 1


def test_combinations_share_one_and_versions_do_not(caplog: pytest.LogCaptureFixture) -> None:
    places = WarmPlaces(1)
    assert places.script(spec_of(), 0) == 1
    assert places.script(spec_of(arguments=("python3", "check.py", "another")), 0) == 1
    newer = spec_of(folder=Path("/unpacked/newer"))
    assert places.script(newer, 0) == 0
    assert places.script(newer, 1) == 0
    assert "all 1 places" in places.reason(newer)
    assert len(caplog.records) == 1


def test_a_place_that_nobody_uses_becomes_free() -> None:
    places = WarmPlaces(1)
    places.script(spec_of("a"), 0)
    assert places.script(spec_of("b"), 9 * MINUTE_NS) == 0
    assert places.script(spec_of("b"), 11 * MINUTE_NS) == 1
    assert places.script(spec_of("a"), 12 * MINUTE_NS) == 0


def test_says_once_why_somebody_is_not_warm_and_that_he_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    places = WarmPlaces(2)
    spec = spec_of()
    for _ in range(3):
        places.cold(spec, "its imports print: hello")
    assert [record.getMessage() for record in caplog.records] == [
        "prober=a is not warm, its runs are started as in mode run: its imports print: hello"
    ]
    assert not places.is_warm(spec)
    places.warmed(spec)
    assert places.is_warm(replace(spec, arguments=("python3", "check.py")))
    assert places.reason(spec) == ""


def test_a_place_is_free_as_soon_as_nobody_runs_what_had_it() -> None:
    places = WarmPlaces(1)
    old, new = spec_of("old"), spec_of("new")
    places.script(old, 0)
    places.warmed(old)
    assert places.script(new, 0) == 0
    assert places.forget_all_but([old, new]) == []
    other = replace(old, arguments=("python3", "check.py", "another"))
    assert places.forget_all_but([other]) == []
    assert places.is_warm(old)
    assert places.forget_all_but([new, replace(old, mode="run")]) == [
        (old.sandbox, "/unpacked/old", ("python3", "check.py"))
    ]
    assert not places.is_warm(old)
    assert places.script(new, 0) == 1
    # What it had said about who is gone is forgotten, too.
    places.cold(old, "its imports print: hello")
    places.forget_all_but([new])
    assert places.reason(old) == ""


def test_says_that_its_interval_is_too_long() -> None:
    places = WarmPlaces(1)
    seldom = spec_of(interval=timedelta(minutes=6))
    assert places.script(seldom, 0) == 0
    assert places.reason(seldom) == "its interval is longer than 5 minutes"
