"""The loop: feel the pulse → read what has changed → decide for each cluster → give what is due to the workers."""

import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from uuid import UUID

from sqlalchemy.exc import OperationalError

from creator.lanes import Lane, Waiting, lane_of, next_to_start
from creator.leases import DURATION, Leases
from creator.metrics import Figures, Metrics
from creator.outlook import Outlook, Seen
from creator.pulse import Pulse, clusters_of_others, clusters_under_way
from creator.recipe_checks import RecipeChecks
from creator.silences import Silences
from creator.steps.detached import Launcher
from creator.turns import Turn, Turns
from database.session import DATABASE_IS_AWAY, Database

log = logging.getLogger(__name__)

# What no pulse tells: leases that ran out, changes that overtook each other.
_LONGEST_PAUSE = timedelta(seconds=15)
_SILENCES_EVERY = timedelta(minutes=1)
# How soon to look whether the lease of another Creator has run out.
_OTHERS_AT_WORK = DURATION / 6
_NOTHING_TO_DO = timedelta(seconds=0.5)
# A plan is called too old where the spread of checks explains it no more.
PLAN_AGE_SHOWN = 1.5
_CHECKS_LEASE = "recipe-checks"


@dataclass(frozen=True)
class Watch:
    """What the loop looks with."""

    database: Database
    outlook: Outlook
    silences: Silences
    leases: Leases
    recipe_checks: RecipeChecks
    launcher: Launcher


@dataclass(frozen=True)
class Habits:
    """How the loop works."""

    workers: int
    rest: timedelta  # of a cluster with which something went wrong that is no deployment
    maximum_plan_age: timedelta
    clock: Callable[[], datetime]
    stop: Event  # leave everything as it is, terraform too


@dataclass(frozen=True)
class Work:
    """A cluster that a worker deals with; while it only writes down how that ended, the next one may begin."""

    lane: Lane
    turn: Future[Turn]
    terraform_is_over: Event


class Loop:
    """Keeps every cluster as it is described, together with other Creators; one thread uses it."""

    def __init__(self, watch: Watch, turns: Turns, habits: Habits) -> None:
        self._watch = watch
        self._outlook = watch.outlook
        self._turns = turns
        self._habits = habits
        self._clock = habits.clock
        self._pulse = Pulse(watch.database)
        # Twice as many: as many may have a terraform, while others write down how theirs ended.
        self._workers = ThreadPoolExecutor(2 * habits.workers, thread_name_prefix="worker")
        # People wait for verdicts on recipes, so these do not stand in line behind deployments.
        self._checker = ThreadPoolExecutor(1, thread_name_prefix="checker")
        self._checking: Future[None] | None = None
        self._work: dict[UUID, Work] = {}
        self._waiting: dict[UUID, Waiting] = {}
        self._not_before: dict[UUID, datetime] = {}
        # A terraform of before runs there, as far as the last turn could see.
        self._elsewhere: set[UUID] = set()
        self._next_pass_at = self._clock()
        self._silences_at: datetime | None = None
        self._others_at: datetime | None = None
        self._a_worker_is_free = Event()
        self._closed = Event()
        self._database_is_away = False
        self.mistakes = 0
        self.metrics = Metrics(habits.clock)
        watch.leases.keep_renewing(self._closed)

    def run(
        self,
        pause: timedelta,
        drain: Event,
        *,
        waits: bool = False,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        """Until told to drain; then nothing new begins, and what runs is left to itself or (`waits`) finished first.

        `answered` is told whenever the database has answered.
        """
        try:
            while not drain.is_set():
                self._look_again()
                if not self._database_is_away:
                    answered()
                self._a_worker_is_free.wait(pause.total_seconds())
        except BaseException:
            # Workers would hold this process, and nobody would give them anything to do.
            self._habits.stop.set()
            self.close()
            raise
        if waits:
            self._bring_to_an_end(answered)
        else:
            self._habits.stop.set()
        self.close()

    def run_once(self) -> bool:
        """One pass over what is due, to its end; whether everything went well, and nobody ended it before."""
        mistakes = self.mistakes
        self._check_recipes()
        self.start_pass()
        went_well = True
        while self._waiting or self._work:
            self._start_turns()
            self._a_worker_is_free.wait(_LONGEST_PAUSE.total_seconds())
            went_well &= all(turn.went_well for _, turn in self._ended_turns())
        return self.mistakes == mistakes and went_well and not self._habits.stop.is_set()

    def outlook(self) -> list[Seen]:
        """What would be done about each cluster now; nothing is."""
        self._see(self._clock())
        return self._outlook.all()

    def close(self) -> None:
        """Wait for the workers, which see `stop` at once; nothing that waits is begun."""
        self._waiting.clear()
        for pool in (self._workers, self._checker):
            pool.shutdown(wait=True, cancel_futures=True)
        self._closed.set()
        self._pulse.close()
        self._watch.launcher.close()

    def start_pass(self) -> None:
        """Look at all clusters and queue what is due."""
        now = self._clock()
        self._see(now)
        self._queue()
        self._start_checks()
        self._start_turns()
        self._next_pass_at = self._pass_after(now)
        self._publish(now)

    def _see(self, now: datetime) -> None:
        self._outlook.look()
        if self._silences_at is None or now >= self._silences_at:
            applied_at = self._outlook.applied_at()
            self._outlook.hear(self._watch.silences.read(applied_at, now))
            self._silences_at = now + _SILENCES_EVERY

    def _bring_to_an_end(self, answered: Callable[[], None]) -> None:
        """Until nothing is under way that is ours: in a container a mishap of a turn would cost us terraform.

        Where the database is away nobody can tell: then `stop` comes (`creator/departure.py`).
        """
        self._turns.begin_nothing()
        self._waiting.clear()
        while not self._habits.stop.is_set():
            with suppress(*DATABASE_IS_AWAY):
                self._ended_turns()
                is_under_way = self._go_on_with_ours()
                answered()
                if not is_under_way and not self._work:
                    return
            self._a_worker_is_free.wait(_NOTHING_TO_DO.total_seconds())

    def _go_on_with_ours(self) -> bool:
        """Whether anything of ours is under way; what runs on another machine goes on without us."""
        with self._watch.database.reading() as session:
            ours = clusters_under_way(session, self._watch.leases.holder) - self._elsewhere
        now = self._clock()
        for cluster_id in ours - self._work.keys():
            if self._not_before.get(cluster_id, now) <= now:
                self._start_turn(cluster_id, Lane.PEOPLE)
        return bool(ours)

    def _look_again(self) -> None:
        try:
            self._look()
        except DATABASE_IS_AWAY as error:
            # All of a pass may be repeated. Once per absence, not once per pass.
            if not self._database_is_away:
                log.error("the database is away, Creator waits for it: %s", error)  # noqa: TRY400 - the traceback says nothing more
            self._database_is_away = True
            # The pulse may have been felt already when the rest failed.
            self._next_pass_at = self._clock()
        else:
            self._database_is_away = False

    def _look(self) -> None:
        ended = self._ended_turns()
        if self._pulse.has_changed() or self._clock() >= self._next_pass_at:
            self.start_pass()
        elif ended:
            self._outlook.look([cluster_id for cluster_id, _ in ended])
            self._queue()
            self._next_pass_at = min(self._next_pass_at, self._pass_after(self._clock()))
        self._start_turns()

    def _pass_after(self, now: datetime) -> datetime:
        """When a pass is due although the pulse is as it was."""
        moments = [self._outlook.next_at(), self._others_at, *self._not_before.values()]
        return min([moment for moment in moments if moment is not None] + [now + _LONGEST_PAUSE])

    def _queue(self) -> None:
        """Everything that is due and free waits for a worker; what is no longer due waits no more."""
        now = self._clock()
        self._not_before = {key: at for key, at in self._not_before.items() if at > now}
        with self._watch.database.reading() as session:
            under_way = clusters_under_way(session)
            wanted = {seen.cluster_id: lane_of(seen.decision) for seen in self._outlook.due()}
            wanted |= dict.fromkeys(under_way, Lane.PEOPLE)
            for key in (*self._work, *self._not_before):
                wanted.pop(key, None)
            taken = clusters_of_others(session, wanted.keys(), self._watch.leases.holder)
        # Their Creator may have died: the leases tell.
        self._others_at = now + _OTHERS_AT_WORK if taken else None
        self._waiting = {
            key: Waiting(key, lane, self._waiting[key].since if key in self._waiting else now)
            for key, lane in wanted.items()
            if key not in taken
        }

    def _publish(self, now: datetime) -> None:
        """What metrics show until the next pass."""
        planned = list(self._outlook.planned_at())
        too_old = now - PLAN_AGE_SHOWN * self._habits.maximum_plan_age
        self.metrics.figures = Figures(
            waiting=Counter(waiting.lane for waiting in self._waiting.values()),
            running=len(self._running()),
            oldest_plan_at=min(planned, default=None),
            plans_too_old=sum(moment < too_old for moment in planned),
        )

    def _start_turns(self) -> None:
        for one in next_to_start(
            self._waiting.values(), self._running(), workers=self._habits.workers, now=self._clock()
        ):
            del self._waiting[one.cluster_id]
            self._start_turn(one.cluster_id, one.lane)

    def _running(self) -> list[Lane]:
        """The lane of each worker that is not free."""
        return [work.lane for work in self._work.values() if not work.terraform_is_over.is_set()]

    def _start_turn(self, cluster_id: UUID, lane: Lane) -> None:
        is_over = Event()

        def terraform_is_over() -> None:
            is_over.set()
            self._a_worker_is_free.set()

        silence = self._outlook.silence(cluster_id)
        turn = self._workers.submit(self._turns.take, cluster_id, silence, terraform_is_over)
        self._work[cluster_id] = Work(lane, turn, is_over)
        turn.add_done_callback(lambda _: self._a_worker_is_free.set())

    def _ended_turns(self) -> list[tuple[UUID, Turn]]:
        """Turns that are over since the last call."""
        self._a_worker_is_free.clear()
        ended = [(key, work.turn.result()) for key, work in self._work.items() if work.turn.done()]
        for key, turn in ended:
            del self._work[key]
            self._count(turn)
            (self._elsewhere.add if turn.is_unsettled else self._elsewhere.discard)(key)
            if (rest := self._rest_after(turn)) is not None:
                self._not_before[key] = self._clock() + rest
                self._next_pass_at = min(self._next_pass_at, self._not_before[key])
        return ended

    def _count(self, turn: Turn) -> None:
        if turn.mishap:
            self.mistakes += 1
            self.metrics.failed(turn.mishap.value)
        if turn.outcome.failed_at:
            self.metrics.failed(turn.outcome.failed_at)
        if turn.outcome.converged_seconds is not None:
            self.metrics.converged(turn.outcome.converged_seconds)

    def _rest_after(self, turn: Turn) -> timedelta | None:
        """How long a cluster is left alone, so that nobody turns in circles."""
        if turn.mishap:
            return self._habits.rest
        if turn.is_unsettled:
            return _OTHERS_AT_WORK
        return None if turn.has_acted else _NOTHING_TO_DO

    def _start_checks(self) -> None:
        if self._checking is not None:
            if not self._checking.done():
                return
            if error := self._checking.exception():  # a bug of ours; clusters go on
                self.mistakes += 1
                log.error("recipes could not be checked", exc_info=error)
        self._checking = self._checker.submit(self._check_recipes)

    def _check_recipes(self) -> None:
        """One Creator at a time judges recipes."""
        try:
            if not self._watch.recipe_checks.is_due():
                return
            lease = self._watch.leases.claim(_CHECKS_LEASE)
            if lease is None:
                return
            try:
                self._watch.recipe_checks.run()
            finally:
                self._watch.leases.give_up(lease)
        except OperationalError as error:
            log.warning("the database is away, recipes wait for their check: %s", error)
