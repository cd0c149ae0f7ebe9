"""Runs that people ask for: each has a thread that waits for room, for its end, and then cleans up: *act*."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from pydantic import JsonValue

from agent.clocks import boot_ns
from agent.control.callers import Caller
from agent.control.desk import Desk
from agent.control.local_files import LocalFiles
from agent.control.messages import RefusedError
from agent.control.survey import Survey
from agent.control.trial_plan import trial_prober
from agent.control.window import Window
from agent.errors import LoopSilentError
from agent.flights import NOT_WANTED, Flight
from agent.plan import RunSpec, planned_prober, secrets_of
from agent.recorder.records import Moment, record_of
from agent.rules import Rules
from agent.running.users import Users
from common.contracts.control import RunPhase, RunProgress, RunTicket, RunWanted
from common.contracts.modes import RUN
from common.contracts.resolution import EffectiveProber, Host
from common.contracts.states import SkipReason

log = logging.getLogger(__name__)

MAX_GOING_ON = 4
_MAX_REMEMBERED = 20
_REMEMBERED_SECONDS = 600.0
_RETRY_SECONDS = 0.1
# Beyond time limit and grace: until even SIGKILL is given up.
_PATIENCE_SECONDS = 15.0
_ENDED_EARLY = "it was ended before its time"
_OBSTACLES = {
    SkipReason.SLOTS: "all slots are taken: as many programs run as may (MR_PROBER_AGENT_SLOTS)",
    SkipReason.EXCLUSIVE: "another prober of the same exclusion group runs all the time",
}


@dataclass
class _Trial:
    """One of them; changed by its own thread only, but for `is_wanted` and `is_begun`."""

    id: UUID
    spec: RunSpec
    folder: Path | None  # to be removed
    wait_seconds: float
    phase: RunPhase = RunPhase.WAITING
    problem: str = ""
    flight: Flight | None = None
    moment: Moment | None = None
    is_wanted: bool = True
    is_begun: bool = False
    changed: threading.Event = field(default_factory=threading.Event)  # it is over
    landed: threading.Event = field(default_factory=threading.Event)  # its flight is there
    over_at: float | None = None


@dataclass(frozen=True)
class TrialRules:
    """What decides whether a run may be, and as whom."""

    rules: Rules
    users: Users
    host: Host
    secrets: Callable[[], Mapping[str, JsonValue]]


class Trials:
    """Used by the threads of callers."""

    def __init__(
        self, desk: Desk[Window], survey: Survey, rules: TrialRules, files: LocalFiles
    ) -> None:
        self._desk = desk
        self._survey = survey
        self._rules = rules
        self._files = files
        self._lock = threading.Lock()
        self._trials: dict[UUID, _Trial] = {}

    def run(self, wanted: RunWanted, caller: Caller) -> RunTicket:
        """Begin; RefusedError says why not."""
        self._refuse_more()
        document = self._survey.news().document
        if document is None:
            raise RefusedError(409, "the agent has no configuration yet")
        prober = trial_prober(document, self._rules.host, wanted)
        self._refuse_forbidden(prober, is_local=wanted.local is not None, caller=caller)
        secrets = self._secrets(prober)
        unpacked = self._unpacked(wanted)
        folder = unpacked or self._folder_of(wanted.prober)
        planned = planned_prober(prober, folder=folder, secrets=secrets)
        if planned.problem:
            if unpacked:
                self._files.remove(unpacked)
            raise RefusedError(422, planned.problem)
        spec = replace(planned.specs[0], is_trial=True)
        if unpacked:
            # Its folder comes once only: no interpreter is worth to be kept warm for it.
            spec = replace(spec, mode=RUN)
        trial = _Trial(prober.id, spec, unpacked, wanted.wait_seconds)
        self._begin(trial)
        log.info("a run was asked for prober=%s who=%s", wanted.prober, caller.name)
        return RunTicket(
            id=trial.id,
            prober=wanted.prober,
            combination=dict(prober.combinations[prober.runs[0].combinations[0]]),
            combinations=len(prober.combinations),
            user=spec.sandbox.user or self._rules.users.default_name,
            longest_seconds=trial.wait_seconds + _longest_seconds(spec),
        )

    def progress(self, id_: UUID, *, wait_seconds: float = 0.0) -> RunProgress:
        """How it goes; RefusedError if nobody remembers it."""
        trial = self._known(id_)
        if wait_seconds:
            trial.changed.wait(wait_seconds)
        record = None
        if trial.flight and trial.moment:
            record = record_of(trial.flight, 0, trial.moment, user=self._rules.users.default_name)
        return RunProgress(id=id_, phase=trial.phase, problem=trial.problem, record=record)

    def end(self, id_: UUID) -> RunProgress:
        """Nobody wants it any more."""
        trial = self._known(id_)
        trial.is_wanted = False
        self._desk.ask(lambda window: window.end_trial(trial.spec.key))
        return self.progress(id_)

    def _known(self, id_: UUID) -> _Trial:
        with self._lock:
            trial = self._trials.get(id_)
        if trial is None:
            raise RefusedError(404, "no such run, or it ended long ago")
        return trial

    def _refuse_more(self) -> None:
        with self._lock:
            going_on = sum(1 for trial in self._trials.values() if trial.over_at is None)
        if going_on >= MAX_GOING_ON:
            raise RefusedError(503, f"{going_on} runs that were asked for still go on")

    def _refuse_forbidden(self, prober: EffectiveProber, *, is_local: bool, caller: Caller) -> None:
        if problem := self._rules.rules.problem_of(prober):
            raise RefusedError(403, problem)
        try:
            user = self._rules.users.chosen(prober.settings.user)
        except PermissionError as error:
            raise RefusedError(403, str(error.strerror)) from error
        runs_as_owner = user == "root" or (self._rules.users.may_change and not user)
        if is_local and runs_as_owner and not caller.is_owner:
            raise RefusedError(403, "only root may have files of its own run as root")

    def _secrets(self, prober: EffectiveProber) -> Mapping[str, JsonValue]:
        needed = secrets_of(prober)
        values = self._rules.secrets() if needed else {}
        if missing := sorted(needed - values.keys()):
            raise RefusedError(409, f"its secret {', '.join(missing)} cannot be had")
        return values

    def _unpacked(self, wanted: RunWanted) -> Path | None:
        if wanted.local is None:
            return None
        try:
            return self._files.unpack(wanted.local.files)
        except OSError as error:
            raise RefusedError(503, f"the files cannot be unpacked: {error.strerror}") from error

    def _folder_of(self, slug: str) -> Path:
        planned = self._survey.planned(slug)
        if not planned.specs:
            raise RefusedError(409, planned.problem or "it has no combination on this host")
        return planned.specs[0].folder

    def _begin(self, trial: _Trial) -> None:
        with self._lock:
            self._forget_old()
            self._trials[trial.id] = trial
        threading.Thread(
            target=self._follow, args=(trial,), name="control-run", daemon=True
        ).start()

    def _forget_old(self) -> None:
        now = time.monotonic()
        over = [trial for trial in self._trials.values() if trial.over_at is not None]
        for trial in sorted(over, key=lambda one: one.over_at or 0.0):
            is_old = now - (trial.over_at or now) > _REMEMBERED_SECONDS
            if is_old or len(self._trials) >= _MAX_REMEMBERED:
                del self._trials[trial.id]

    def _follow(self, trial: _Trial) -> None:
        """The whole life of one of them."""
        try:
            if self._started(trial):
                self._await_end(trial)
            else:
                trial.phase = RunPhase.NOT_RUN
                trial.problem = trial.problem or _ENDED_EARLY
        except LoopSilentError as error:
            trial.is_wanted = False
            trial.phase, trial.problem = RunPhase.NOT_RUN, str(error)
        # A bug of ours is told to who asked and to the log; without this the thread would take the agent with it.
        except Exception:
            log.exception("a run that was asked for failed prober=%s", trial.spec.prober_slug)
            trial.phase, trial.problem = RunPhase.NOT_RUN, "a bug of the agent; its log says more"
        finally:
            if trial.folder:
                self._files.remove(trial.folder)
            trial.over_at = time.monotonic()
            trial.changed.set()

    def _started(self, trial: _Trial) -> bool:
        """Whether there was room for it in time."""

        def landed(flight: Flight) -> None:
            trial.flight = flight
            trial.moment = Moment(datetime.now(UTC), boot_ns())
            trial.landed.set()

        def begin(window: Window) -> SkipReason | None:
            # On the loop's thread, as its end: whichever is asked for first, nothing starts after the end.
            if not trial.is_wanted:
                return None
            obstacle = window.start_trial(trial.spec, landed)
            trial.is_begun = obstacle is None
            return obstacle

        until = time.monotonic() + trial.wait_seconds
        while trial.is_wanted:
            trial.phase = RunPhase.RUNNING
            obstacle = self._desk.ask(begin)
            if obstacle is None:
                return trial.is_begun
            trial.phase = RunPhase.WAITING
            if time.monotonic() >= until:
                trial.problem = _OBSTACLES[obstacle]
                break
            time.sleep(_RETRY_SECONDS)
        return False

    def _await_end(self, trial: _Trial) -> None:
        if not trial.landed.wait(_longest_seconds(trial.spec) + _PATIENCE_SECONDS):
            trial.phase, trial.problem = RunPhase.NOT_RUN, "its end was never seen"
            return
        trial.phase = RunPhase.ENDED
        if trial.flight and trial.flight.ended_by == NOT_WANTED:
            trial.problem = _ENDED_EARLY


def _longest_seconds(spec: RunSpec) -> float:
    return spec.time_limit.total_seconds() + spec.grace.total_seconds()
