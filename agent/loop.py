"""The agent's one loop: wait, close the cell, serve running probers, take a new plan, start what is due, report.

It never waits for the network: configuration, reports and points go through mailboxes and queues to threads of their own.
"""

import gc
import logging
import select
import selectors
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from agent.accounts import Accounted
from agent.board import Board
from agent.changes import changes_between
from agent.clocks import Clocks
from agent.control.window import LoopParts, Window
from agent.flights import Flight
from agent.metrics import MetricBook, cell_end, closing_cell
from agent.own_figures import AgentFigures, agent_points, rss_bytes
from agent.plan import HostPlan, RunKey, RunSpec
from agent.ports import AboutAgent, Ports
from agent.pressure import CpuPressure, is_starved
from agent.reports import Circumstances, ReportTimer, agent_report
from agent.results import RunResult
from agent.running import kernel
from agent.running.launchers import Workplace
from agent.running.runner import Runner, can_be_planned
from agent.scheduler import PLANNING_NS, SECOND_NS, Past, Rhythm, Scheduler, Skip, Start, run_hash
from agent.sinks.port import Batch
from agent.standing_news import StandingNews
from common.contracts.states import Outcome, SkipReason, State

log = logging.getLogger(__name__)

Argument = TypeVar("Argument")

# The scheduler takes a much longer silence for a pause of the host.
_LONGEST_WAIT_NS = SECOND_NS
_LAST_SWEEPS_NS = 2 * SECOND_NS
# What happens so shortly before the next moment is served then: mostly, when the next starts are planned.
_NAP_SECONDS = 0.05 + PLANNING_NS / SECOND_NS


class AgentLoop:
    """Everything that happens on the loop's thread."""

    def __init__(
        self,
        about: AboutAgent,
        ports: Ports,
        workplace: Workplace,
        *,
        clocks: Clocks,
        slots: int = 1_000_000,
    ) -> None:
        """`slots` is how many runs go on at once."""
        self._about = about
        self._ports = ports
        self._clocks = clocks
        now_ns = clocks.boot_ns()
        self._epoch_offset_ns = clocks.epoch_offset_ns()
        self._scheduler = Scheduler(
            epoch_offset_ns=self._epoch_offset_ns, now_ns=now_ns, slots=slots
        )
        # Only the first plan has a past: whatever comes later begins when it comes.
        self._past = ports.accounts.earlier()
        self._cell_number = self._past.cell if self._past else 0
        # When the end was counted: for what comes after that, the next agent accounts.
        self._balanced_ns: int | None = None
        self._pressure = CpuPressure()
        self._selector = selectors.DefaultSelector()
        self._selector.register(ports.waker.read_end, selectors.EVENT_READ, self._woken)
        self._outputs = selectors.EpollSelector()
        self._runner = self._runner_in(workplace)
        self._book = MetricBook()
        self._board = Board()
        self._report_timer = ReportTimer(now_ns=now_ns)
        self._window = Window(self._parts(), ports.pauses)
        self._canaries = ports.canaries(self._window.start_canary, now_ns)
        self._applying_until: float | None = None
        self._cell_end = cell_end(clocks.now().timestamp())
        self._clock_look_ns = now_ns
        # The first round takes whatever has come already.
        self._is_woken = True
        self._specs: dict[RunKey, RunSpec] = {}
        # The same ones by combination, of which a batch has many.
        self._spec_of: dict[RunKey, RunSpec] = {}
        self._cluster_id = UUID(int=0)
        self._standing = StandingNews(self._apply, ports.plan_taken)
        # Whose bad lines the log has shown under this plan.
        self._bad_output_told: set[RunKey] = set()
        self._bugs = 0

    def _runner_in(self, workplace: Workplace) -> Runner:
        runner = Runner(
            self._selector,
            workplace,
            on_result=self._record,
            on_end=self._scheduler.finished,
            clock_ns=self._clocks.boot_ns,
            on_flight=self._take_flight,
        )
        runner.flagged = self._flagged
        runner.outputs = self._outputs
        self._selector.register(self._outputs, selectors.EVENT_READ, self._serve_outputs)
        return runner

    def _parts(self) -> LoopParts:
        return LoopParts(
            self._board, self._book, self._scheduler, self._runner, self._clocks,
            skip=self._skip,
            changed=self._report_timer.changed,
            figures=self._figures,
        )  # fmt: skip

    def run(self, stopping: Callable[[], bool]) -> None:
        """Go round until told to stop, then end every run and hand over the last points and the last report."""
        try:
            while not stopping():
                self._go_round()
        finally:
            # Also after a bug of ours: nobody else knows the running programs.
            self._ports.desk.close()
            self._end_runs()
        self._close_cell(self._cell_end)
        self._send_report()
        self._outputs.close()
        self._selector.close()

    def _go_round(self) -> None:
        self._wait_and_serve(self._next_moment_ns())
        now_ns = self._clocks.boot_ns()
        if self._is_woken:
            self._is_woken = False
            self._take_news(now_ns)
            self._guarded(self._ports.desk.serve, self._window)
        self._start_due(now_ns)
        self._report_if_due(now_ns)

    def _wait_and_serve(self, until_ns: int) -> None:
        """Serve the running probers, and the 15 s grid, until something happens or that moment comes."""
        seconds = self._wait_seconds(until_ns)
        if seconds < _NAP_SECONDS and self._runner.is_patient:
            # To be woken by every end of a short run would cost more than to start it.
            # A program that prints more than a pipe holds stands still until it is read.
            select.select((self._outputs,), (), (), seconds)
            seconds = 0.0
        events = self._selector.select(seconds)
        now_ns = self._clocks.boot_ns()
        if now_ns >= self._clock_look_ns:
            self._look_at_the_clock(now_ns)
        for key, _ in events:
            self._guarded(key.data, now_ns)
        self._guarded(self._runner.tick, now_ns)

    def _serve_outputs(self, now_ns: int) -> None:
        for key, _ in self._outputs.select(0):
            self._guarded(key.data, now_ns)

    def _next_moment_ns(self) -> int:
        """When there is something to start or to report."""
        start_ns = self._scheduler.next_at_ns()
        report_ns = self._report_timer.due_at_ns
        return report_ns if start_ns is None else min(start_ns, report_ns)

    def _wait_seconds(self, until_ns: int) -> float:
        now_ns = self._clocks.boot_ns()
        moment_ns = min(self._clock_look_ns, self._runner.next_at_ns(), until_ns)
        return max(0.0, (moment_ns - now_ns) / SECOND_NS)

    def _woken(self, now_ns: int) -> None:
        del now_ns
        self._is_woken = True
        self._ports.waker.clear()

    def _guarded(self, step: Callable[[Argument], object], argument: Argument) -> None:
        """One step for one prober, or for all of them that can be left out once."""
        try:
            step(argument)
        # One of the three edges: whatever is wrong with one prober must not stop the others.
        except Exception:
            self._bugs += 1
            log.exception("a step of the loop failed")

    def _take_news(self, now_ns: int) -> None:
        news = self._ports.news.take()
        if news is None:
            return
        if self._standing.take(news, now_ns):
            self._report_timer.changed(now_ns)
        self._window.news = self._standing.news

    def _apply(self, plan: HostPlan, now_ns: int) -> None:
        wanted = plan.specs()
        changes = changes_between(self._specs, wanted)
        self._cluster_id = plan.cluster_id
        self._board.apply(plan)
        self._book.apply(plan, now_ns)
        # From here on, should something fail, the way back begins at what is wanted.
        before, self._specs = self._specs, wanted
        for key in changes.stop:
            self._scheduler.remove(key)
        for key in (*changes.stop, *(spec.key for spec in changes.replace)):
            # Its beat has been started and will have no outcome: it makes room for the new version, if there is one.
            self._skip_of(before[key], SkipReason.OVERLAP, self._runner.end(key, now_ns))
        self._spec_of = {key: spec for spec in wanted.values() for key in spec.combinations}
        self._applying_until = plan.applying_until
        for spec in (*changes.start, *changes.replace):
            self._begin(spec, now_ns)
        self._runner.keep_warm(wanted.values())
        self._window.apply(plan, self._spec_of)
        self._past = None
        self._bad_output_told.clear()
        # A look through everything that stays would hold up starts for tens of milliseconds, again and again.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        kernel.give_back_memory()
        log.info(
            "plan in force revision=%d start=%d stop=%d replace=%d keep=%d",
            plan.document_revision, *map(len, (changes.start, changes.stop, changes.replace, changes.keep)),
        )  # fmt: skip

    def _begin(self, spec: RunSpec, now_ns: int) -> None:
        rhythm = Rhythm(
            hash=self._hash_of(spec.key),
            interval_ns=round(spec.interval.total_seconds() * SECOND_NS),
            allow_overlap=spec.allow_overlap,
            exclusive=spec.exclusive,
            early=can_be_planned(spec),
        )
        past = None
        if self._past:
            until_ns = self._past.until_unix_ns - self._epoch_offset_ns
            past = Past(until_ns, self._past.open_beats.get(rhythm.hash, 0))
        missed = self._scheduler.add(spec.key, rhythm, now_ns=now_ns, past=past)
        self._skip(spec.key, SkipReason.AGENT_RESTART, missed)

    def _skip(self, key: RunKey, reason: SkipReason, count: int) -> None:
        """So many beats of the schedule passed without a run: each of its combinations has one less."""
        self._skip_of(self._specs[key], reason, count)

    def _skip_of(self, spec: RunSpec, reason: SkipReason, count: int) -> None:
        for combination in spec.combinations:
            self._book.skip(combination, reason, count)

    def _hash_of(self, key: RunKey) -> int:
        return run_hash(self._cluster_id, self._about.host, key)

    def _start_due(self, now_ns: int) -> None:
        for decision in self._scheduler.decide(now_ns):
            if isinstance(decision, Skip):
                self._skip(decision.key, decision.reason, decision.count)
            else:
                self._guarded(self._start, decision)
        self._runner.send()

    def _start(self, start: Start) -> None:
        self._book.runs_started += 1
        try:
            spec = self._specs[start.key]
            self._runner.start(spec, start.due_ns, counted=start.counted, at_ns=start.at_ns)
        except BaseException:
            self._scheduler.finished(start.key)
            raise

    def _record(self, result: RunResult) -> None:
        spec = self._spec_of.get(result.key)
        before = self._board.state(result.key)
        if spec is None or before is None:
            return
        standing = self._board.record(result, self._clocks.now(), confirm=spec.confirm)
        self._book.record(result, standing.state if standing else before)
        if self._board.state(result.key) is not before:
            self._report_timer.changed(result.ended_ns)
            self._log_change(result, before)
        if result.printed.bad_lines and result.key not in self._bad_output_told:
            self._bad_output_told.add(result.key)
            log.warning(
                "prober=%s %s prints bad lines: %s",
                self._slug_of(result.key), result.key.combination, result.printed.first_problem,
            )  # fmt: skip

    def _take_flight(self, flight: Flight) -> None:
        """A run is over, and its results are told."""
        if not self._window.take_flight(flight):
            self._ports.record_flight(flight)

    def _flagged(self, result: RunResult) -> RunResult:
        """With what else is known of its circumstances."""
        share = self._pressure.share_since(result.started_ns, result.ended_ns)
        until = self._applying_until
        starved = is_starved(start_lag_seconds=result.start_lag_seconds, waiting_share=share)
        during_apply = until is not None and self._clocks.now().timestamp() < until
        if starved or during_apply:
            return result._replace(starved=starved, during_apply=during_apply)
        return result

    def _log_change(self, result: RunResult, before: State) -> None:
        said = result.verdict
        level = logging.INFO if said.outcome is Outcome.SUCCESS else logging.WARNING
        if said.outcome is Outcome.SUCCESS and before is State.NOT_RUN_YET:
            level = logging.DEBUG
        log.log(
            level, "prober=%s %s is now %s %s",
            self._slug_of(result.key), result.key.combination, said.outcome.value, said.reason,
        )  # fmt: skip

    def _slug_of(self, key: RunKey) -> str:
        spec = self._spec_of.get(key)
        return spec.prober_slug if spec else str(key.prober_id)

    def _report_if_due(self, now_ns: int) -> None:
        if now_ns >= self._report_timer.due_at_ns:
            # Even if this one cannot be made, the next one is not due at once.
            self._report_timer.sent(now_ns)
            self._guarded(lambda _: self._send_report(), now_ns)

    def _send_report(self) -> None:
        news = self._standing.news
        circumstances = Circumstances(
            identity=self._about.identity,
            host=self._about.host,
            document_revision=news.plan.document_revision if news.plan else None,
            configuration_problem=news.problem,
            canary_problem=self._canaries.problem,
            pauses=self._window.reported_pauses(),
        )
        self._ports.send_report(agent_report(self._board, circumstances, self._clocks.now()))

    def _look_at_the_clock(self, now_ns: int) -> None:
        """Close the cell if it is over; look again at its end, or in a second: the clock may be set meanwhile."""
        unix_seconds = self._clocks.now().timestamp()
        closed, self._cell_end = closing_cell(self._cell_end, unix_seconds)
        left_ns = round((self._cell_end - unix_seconds) * SECOND_NS)
        self._clock_look_ns = now_ns + min(_LONGEST_WAIT_NS, left_ns)
        self._pressure.sample(now_ns)
        self._guarded(self._look_at_canaries, now_ns)
        self._window.look(now_ns)
        if closed is not None:
            self._guarded(self._close_cell, closed)

    def _look_at_canaries(self, now_ns: int) -> None:
        is_ending = self._balanced_ns is not None
        if self._canaries.look(now_ns, may_start=not (is_ending or self._window.is_all_paused)):
            self._report_timer.changed(now_ns)

    def _close_cell(self, end: int) -> None:
        now_ns = self._clocks.boot_ns()
        accounted = self._accounted(now_ns)
        points = self._book.close_cell(now_ns) + agent_points(self._figures(now_ns))
        labels = {"cluster_slug": self._about.cluster_slug, "host": self._about.host}
        at = datetime.fromtimestamp(end, UTC)
        write = self._ports.accounts.write
        self._ports.sink.accept(
            Batch(at, points, labels, accounted.cell, on_kept=lambda: write(accounted))
        )

    def _accounted(self, now_ns: int) -> Accounted:
        """What the counters hold now."""
        self._cell_number += 1
        if self._past:
            # Nobody has looked yet at the beats since then: the first plan does.
            return replace(self._past, cell=self._cell_number)
        if self._balanced_ns is not None:
            until_ns = self._balanced_ns + self._epoch_offset_ns
            return Accounted(until_ns, cell=self._cell_number)
        open_beats = self._scheduler.open_beats(now_ns)
        return Accounted(
            now_ns + self._epoch_offset_ns,
            {self._hash_of(key): count for key, count in open_beats.items()},
            self._cell_number,
        )

    def _figures(self, now_ns: int) -> AgentFigures:
        confirmed_ns = self._standing.news.confirmed_ns
        dropped = {"bad_line": self._book.bad_lines, "bug": self._bugs}
        return AgentFigures(
            configuration_age_seconds=(
                None if confirmed_ns is None else (now_ns - confirmed_ns) / SECOND_NS
            ),
            runs_started=self._book.runs_started,
            runs_in_progress=self._runner.in_progress,
            dropped=dropped,
            cpu_seconds=time.process_time(),
            rss_bytes=rss_bytes(),
            sink=self._ports.sink.figures(),
            canary_runs={"right": self._canaries.right, "wrong": self._canaries.wrong},
            canary_problem=self._canaries.problem,
        )

    def _end_runs(self) -> None:
        """Within the longest grace, and five seconds more only for what even SIGKILL does not end."""
        now_ns = self._clocks.boot_ns()
        for key, count in self._scheduler.open_beats(now_ns).items():
            self._skip(key, SkipReason.AGENT_RESTART, count)
        self._balanced_ns = now_ns
        self._guarded(self._runner.end_all, now_ns)
        while self._runner.in_progress:
            # Not until the next start or report: nobody attends to those any more, and they would be due for ever.
            self._wait_and_serve(self._clocks.boot_ns() + _LONGEST_WAIT_NS)
        self._guarded(lambda _: self._runner.close(), None)
        limit_ns = self._clocks.boot_ns() + _LAST_SWEEPS_NS
        while self._runner.sweep() and self._clocks.boot_ns() < limit_ns:
            time.sleep(0.01)
