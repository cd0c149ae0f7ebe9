"""Runs that people ask for: none begins after its end was asked for, and a bug in one costs only that one."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from agent.control.desk import Desk
from agent.control.local_files import LocalFiles
from agent.control.survey import Survey
from agent.control.trials import TrialRules, Trials, _Trial
from agent.control.window import Window
from agent.flights import Flight
from agent.plan import RunKey, RunSpec
from common.contracts.control import RunPhase
from common.contracts.states import SkipReason
from tests.unit.agent.recorder.flights import flight


class FakeWindow:
    """Counts starts and ends; a start may fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.started: list[RunSpec] = []
        self.ended: list[RunKey] = []
        self._error = error

    def start_trial(self, spec: RunSpec, on_flight: Callable[[Flight], None]) -> SkipReason | None:
        if self._error:
            raise self._error
        self.started.append(spec)
        on_flight(flight())
        return None

    def end_trial(self, key: RunKey) -> None:
        self.ended.append(key)


def trials_at(desk: Desk[Any]) -> Trials:
    nobody = cast("Survey", None), cast("TrialRules", None)
    return Trials(cast("Desk[Window]", desk), *nobody, LocalFiles(Path("/nowhere")))


def a_trial() -> _Trial:
    spec = replace(flight().spec, key=RunKey(UUID(int=9), "{}"), is_trial=True)
    return _Trial(UUID(int=9), spec, None, wait_seconds=60.0)


def test_what_was_ended_before_the_loop_began_it_does_not_run() -> None:
    asked = threading.Semaphore(0)
    desk: Desk[FakeWindow] = Desk(asked.release)
    trials, window, trial = trials_at(desk), FakeWindow(), a_trial()
    trials._begin(trial)
    asked.acquire()  # the start waits for the loop
    ending = threading.Thread(target=trials.end, args=(trial.id,))
    ending.start()
    asked.acquire()
    while not trial.changed.is_set() or ending.is_alive():
        desk.serve(window)
    assert window.started == []
    progress = trials.progress(trial.id)
    assert progress.phase is RunPhase.NOT_RUN
    assert progress.problem == "it was ended before its time"


def test_what_the_loop_began_runs() -> None:
    desk: Desk[FakeWindow] = Desk(lambda: None)
    trials, window, trial = trials_at(desk), FakeWindow(), a_trial()
    trials._begin(trial)
    while not trial.changed.is_set():
        desk.serve(window)
    assert window.started == [trial.spec]
    assert trial.phase is RunPhase.ENDED


def test_a_bug_in_one_of_them_is_told_and_hurts_nobody() -> None:
    desk: Desk[FakeWindow] = Desk(lambda: None)
    trials, trial = trials_at(desk), a_trial()
    trials._begin(trial)
    while not trial.changed.is_set():
        desk.serve(FakeWindow(ZeroDivisionError()))
    progress = trials.progress(trial.id)
    assert progress.phase is RunPhase.NOT_RUN
    assert "a bug of the agent" in progress.problem
