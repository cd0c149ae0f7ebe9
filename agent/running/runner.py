"""Has probers started, ends them at their time limit, turns their ends into results: *act*.

SIGTERM to the process group, grace, SIGKILL; the verdict is fixed when the first signal is decided.
The end of a run is the end of its process, not of its pipes: an orphan may hold those open.
"""

import heapq
import logging
import selectors
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from uuid import UUID

from agent.batches import batch_results
from agent.clocks import boot_ns
from agent.costs import Cost
from agent.flights import Flight
from agent.plan import RunKey, RunSpec
from agent.results import RunResult
from agent.running import wire
from agent.running.endings import flight_of, kept_bytes_of, printed_by, verdict_of
from agent.running.launchers import Launchers, Workplace
from agent.running.orphans import Orphans
from agent.running.run import EndCause, Pipe, Pipes, Run
from agent.running.servers import Servers
from agent.running.warm_places import WarmPlaces
from agent.scheduler import SECOND_NS
from agent.verdict import Verdict, cannot_start, launcher_died
from common.contracts.modes import SERVER

log = logging.getLogger(__name__)

# After SIGKILL a process may hang in the kernel; its prober does not wait longer than this.
_UNKILLABLE_NS = 5 * SECOND_NS
# How long we look for an answer that came in time, at most, if we were held up when its time was over.
_LONGEST_LOOK_NS = SECOND_NS
_SWEEP_NS = SECOND_NS
# Most runs are over before that, and to watch a pipe costs more than to read it; what it holds until then suffices.
_WATCH_AFTER_NS = SECOND_NS // 8
# Of a launcher that has two pipes for each start within the longest lead.
_OPEN_FILES_FOR_PLANS = 256
# Right after the death of a launcher, and after a sweep that left something.
_SWEEP_SOON_NS = SECOND_NS // 50


def run_environment(planned: Mapping[str, str], *, path: str) -> dict[str, str]:
    """All variables that a prober sees, but for TMPDIR: never the agent's own settings."""
    return {**planned, "PATH": path, "LANG": "C.UTF-8"}


class Runner:
    """The running probers; used by one thread only."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        workplace: Workplace,
        *,
        on_result: Callable[[RunResult], None],
        on_end: Callable[[RunKey], None],
        clock_ns: Callable[[], int],
        on_flight: Callable[[Flight], None] = lambda _: None,
    ) -> None:
        """`on_end` is told about every run that is over, and `on_flight` after that; `on_result` only about those that count."""
        # Waits for what programs print; another one may take its place before the first start.
        self.outputs = selector
        self._workplace = workplace
        self._on_result = on_result
        self._on_end = on_end
        self._on_flight = on_flight
        # Adds what whoever works with us knows of the circumstances of a run.
        self.flagged: Callable[[RunResult], RunResult] = lambda result: result
        self._clock_ns = clock_ns
        self._orphans = Orphans(str(workplace.temporary))
        self._launchers = Launchers(selector, workplace, self)
        self.warm = WarmPlaces(workplace.warm_parents)
        self._servers = Servers(
            selector, self._launchers, self,
            path=workplace.path, clock_ns=clock_ns, next_number=self._next_number,
        )  # fmt: skip
        self._runs: dict[int, Run] = {}
        # What is sent to start a run, as long as its spec stays the same.
        self._programs: dict[RunKey, tuple[RunSpec, bytes]] = {}
        # Numbers, not runs: what finished long before its time limit must not stay in memory until then.
        self._deadlines: list[tuple[int, int, int]] = []
        self._sweep_at_ns = clock_ns()
        self._number = 0

    @property
    def in_progress(self) -> int:
        """How many runs are going on; servers that are ending are not over either."""
        return len(self._runs) + self._servers.ending

    def in_progress_by_prober(self) -> Counter[UUID]:
        """The same, by prober."""
        return Counter(run.spec.key.prober_id for run in self._runs.values())

    @property
    def is_patient(self) -> bool:
        """Whether nothing but what programs print suffers from being served a little later: ends carry their own time."""
        return not self._servers.is_busy

    def start(
        self, spec: RunSpec, due_ns: int, *, counted: bool = True, at_ns: int | None = None
    ) -> None:
        """Start a run; if that is impossible, it is broken at once. `counted` is passed on to its result.

        `at_ns`: not now but then, which the launcher is told by the next `send`.
        """
        number = self._next_number()
        started_ns = self._clock_ns() if at_ns is None else at_ns
        try:
            run = self._started(number, spec, due_ns, started_ns, is_planned=at_ns is not None)
        except (OSError, ValueError) as error:
            self._refuse(spec, due_ns, started_ns, error=error, counted=counted)
            return
        run.counted = counted
        self._runs[number] = run
        limit_ns = _nanoseconds(spec.time_limit.total_seconds())
        # Early enough to read what it prints before its time is over.
        self._set_deadline(run, started_ns + min(_WATCH_AFTER_NS, limit_ns // 2))

    def send(self) -> None:
        """Tell the launchers what they start later than now."""
        self._launchers.send()

    def end(self, key: RunKey, now_ns: int) -> int:
        """End the runs of a combination that nobody wants any more: they give no result; how many beats that were due had them."""
        self._programs.pop(key, None)
        ended = [run for run in self._runs.values() if run.spec.key == key and run.cause is None]
        for run in ended:
            self._ask_to_end(run, EndCause.NOT_WANTED, now_ns)
        self._servers.leave(key)
        return sum(run.counted and run.due_ns <= now_ns for run in ended)

    def keep_warm(self, specs: Iterable[RunSpec]) -> None:
        """Only these are run from now on: nobody waits in memory for the runs of others."""
        for sandbox, folder, command in self.warm.forget_all_but(specs):
            self._launchers.forget(sandbox, folder, command)

    def end_all(self, now_ns: int) -> None:
        """End every run, without results: also of those that are over a limit and have not ended yet, or they would count twice."""
        for run in list(self._runs.values()):
            if run.cause is None:
                self._ask_to_end(run, EndCause.NOT_WANTED, now_ns)
            run.cause = EndCause.NOT_WANTED
        self._servers.end_all()

    def close(self) -> None:
        """End the launchers, and with them whatever is left of any run."""
        self._launchers.close()

    def tick(self, now_ns: int) -> None:
        """Do what is due: signals for runs over their limits, and looking for orphans."""
        while self._deadlines and self._deadlines[0][0] <= now_ns:
            deadline_ns, deadline_number, number = heapq.heappop(self._deadlines)
            run = self._runs.get(number)
            if run and run.deadline_number == deadline_number:
                self._deadline_passed(run, now_ns, late_ns=now_ns - deadline_ns)
        self._servers.tick(now_ns)
        if now_ns >= self._sweep_at_ns:
            self._sweep_at_ns = now_ns + (_SWEEP_SOON_NS if self.sweep() else _SWEEP_NS)
            self._launchers.look_after(now_ns)

    def sweep(self) -> int:
        """Kill and reap what launchers left behind that were killed; how many still live."""
        left = self._orphans.sweep(self._launchers.pids, {})
        for pid in left:
            log.info("kill an orphan of a killed launcher pid=%d", pid)
        return len(left)

    def next_at_ns(self) -> int:
        """When `tick` has something to do."""
        next_ns = min(self._sweep_at_ns, self._servers.next_at_ns() or self._sweep_at_ns)
        while self._deadlines:
            deadline_ns, deadline_number, number = self._deadlines[0]
            run = self._runs.get(number)
            if run and run.deadline_number == deadline_number:
                return min(deadline_ns, next_ns)
            heapq.heappop(self._deadlines)
        return next_ns

    def ended(self, end: wire.RunEnd) -> None:
        """See `Listener`."""
        run = self._runs.get(end.number)
        if run is None:  # it was abandoned long ago, or is no run
            self._servers.ended(end)
            return
        run.close_pipes(self.outputs)
        run.exit_code, run.breach = end.exit_code, end.breach
        run.started_ns += end.late_us * 1000
        if _ended_in_time(run, end):
            run.cause = None
        cost = Cost(end.user_us / 1e6, end.system_us / 1e6, end.peak_rss_bytes)
        self._finish(run, verdict_of(run, end, cost), cost, elapsed_us=end.elapsed_us)

    def refused(self, number: int, error: OSError) -> None:
        """See `Listener`."""
        if run := self._runs.get(number):
            run.close_pipes(self.outputs)
            self._finish(run, cannot_start(run.spec.arguments, error), Cost())
        else:
            self._servers.refused(number, error)

    def begun(self, number: int, pid: int) -> None:
        """See `Listener`."""
        self._servers.begun(number, pid)

    def cold(self, number: int, reason: str) -> None:
        """See `Listener`."""
        if (run := self._runs.get(number)) and run.cause is not EndCause.NOT_WANTED:
            self.warm.cold(run.spec, reason)

    def warmed(self, number: int) -> None:
        """See `Listener`."""
        if (run := self._runs.get(number)) and run.cause is not EndCause.NOT_WANTED:
            self.warm.warmed(run.spec)

    def lost(self, numbers: Sequence[int]) -> None:
        """See `Listener`."""
        self._sweep_at_ns = self._clock_ns()
        for run in [self._runs[number] for number in numbers if number in self._runs]:
            run.close_pipes(self.outputs)
            self._finish(run, launcher_died(), Cost())
        self._servers.lost(numbers)

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _started(
        self, number: int, spec: RunSpec, due_ns: int, started_ns: int, *, is_planned: bool
    ) -> Run:
        if spec.mode == SERVER:
            return self._asked(number, spec, due_ns, started_ns)
        launcher = self._launchers.launcher_for(spec.sandbox, started_ns)
        program = self._program_of(spec)
        with Pipes() as pipes:
            script = self.warm.script(spec, started_ns)
            if is_planned:
                # The launcher reads the clock itself, whatever ours is.
                at_ns = started_ns - self._clock_ns() + boot_ns()
                ends = pipes.hand_over()
                launcher.plan(number, program, ends, script=script, at_ns=at_ns)
            else:
                launcher.start(number, program, pipes.its_ends, script=script)
            return Run(
                number=number, spec=spec, launcher=launcher,
                stdout=Pipe(pipes.out, kept_bytes=kept_bytes_of(spec)), stderr=Pipe(pipes.err),
                due_ns=due_ns, started_ns=started_ns,
            )  # fmt: skip

    def _asked(self, number: int, spec: RunSpec, due_ns: int, started_ns: int) -> Run:
        streams = Pipe(None, kept_bytes=kept_bytes_of(spec)), Pipe(None)
        server = self._servers.request(number, spec, streams)
        return Run(
            number=number, spec=spec, launcher=server, stdout=streams[0], stderr=streams[1],
            due_ns=due_ns, started_ns=started_ns,
        )  # fmt: skip

    def _program_of(self, spec: RunSpec) -> bytes:
        known = self._programs.get(spec.key)
        if known and known[0] is spec:
            return known[1]
        environment = run_environment(spec.environment, path=self._workplace.path)
        if spec.batch:
            environment[wire.TARGETS] = spec.batch.targets
        program = wire.encoded_program(
            spec.arguments, environment, folder=str(spec.folder), cpu_seconds=spec.cpu_seconds
        )
        self._programs[spec.key] = spec, program
        return program

    def _refuse(
        self, spec: RunSpec, due_ns: int, started_ns: int, *, error: Exception, counted: bool
    ) -> None:
        said = error if isinstance(error, OSError) else OSError(str(error))
        self._on_end(spec.key)
        result = self.flagged(RunResult(
            key=spec.key, verdict=cannot_start(spec.arguments, said), due_ns=due_ns,
            started_ns=started_ns, ended_ns=self._clock_ns(), counted=counted,
        ))  # fmt: skip
        self._on_flight(Flight(spec, result, self._tell(result, spec, lines=())))

    def _check_output(self, run: Run, now_ns: int) -> None:
        if run.printed_bytes <= run.spec.output_bytes or run.killed:
            return
        if run.cause is None:
            run.cause = EndCause.OUTPUT_LIMIT
        self._kill(run, now_ns)

    def _set_deadline(self, run: Run, deadline_ns: int) -> None:
        run.deadline_number = self._next_number()
        heapq.heappush(self._deadlines, (deadline_ns, run.deadline_number, run.number))

    def _watch(self, run: Run) -> None:
        def check_output(now_ns: int) -> None:
            self._check_output(run, now_ns)

        run.is_watched = True
        run.stdout.watch(self.outputs, check_output)
        run.stderr.watch(self.outputs, check_output)
        limit_ns = _nanoseconds(run.spec.time_limit.total_seconds())
        self._set_deadline(run, run.started_ns + limit_ns)

    def _deadline_passed(self, run: Run, now_ns: int, *, late_ns: int) -> None:
        if not run.is_watched:
            self._watch(run)
        elif run.cause is None and run.spec.mode == SERVER and not run.is_overtime:
            # Nobody notes when it answered, and a pipe that we did not empty may hold up the rest: as long as we were late.
            run.is_overtime = True
            self._set_deadline(run, now_ns + max(1, min(late_ns, _LONGEST_LOOK_NS)))
        elif run.cause is None:
            self._ask_to_end(run, EndCause.TIME_LIMIT, now_ns)
        elif not run.killed:
            self._kill(run, now_ns)
        else:
            self._abandon(run)

    def _ask_to_end(self, run: Run, cause: EndCause, now_ns: int) -> None:
        run.cause = cause
        if not run.is_watched:
            self._watch(run)
        run.launcher.signal(run.number, signal.SIGTERM)
        self._set_deadline(run, now_ns + _nanoseconds(run.spec.grace.total_seconds()))

    def _kill(self, run: Run, now_ns: int) -> None:
        run.killed = True
        run.launcher.signal(run.number, signal.SIGKILL)
        self._set_deadline(run, now_ns + _UNKILLABLE_NS)

    def _abandon(self, run: Run) -> None:
        """Stop waiting for a process that even SIGKILL does not end; its launcher reaps it if it ends some day."""
        log.error("cannot kill a run of prober=%s", run.spec.prober_slug)
        if run.launcher.is_stopped():
            run.launcher.kill()
        run.close_pipes(self.outputs)
        end = wire.RunEnd(run.number, -signal.SIGKILL, "", (0, 0, 0))
        self._finish(run, verdict_of(run, end, Cost()), Cost())

    def _finish(
        self, run: Run, said: Verdict, cost: Cost, *, elapsed_us: int | None = None
    ) -> None:
        del self._runs[run.number]
        spec = run.spec
        self._on_end(spec.key)
        is_wanted = run.cause is not EndCause.NOT_WANTED
        ended_ns = self._clock_ns()
        if elapsed_us is not None:
            # We may hear of it later.
            ended_ns = min(ended_ns, run.started_ns + elapsed_us * 1000)
        lines = run.stdout.capture.lines() if is_wanted else ()
        result = self.flagged(RunResult(
            key=spec.key, verdict=said, due_ns=run.due_ns, started_ns=run.started_ns,
            ended_ns=ended_ns, cost=cost, counted=run.counted, printed=printed_by(spec, lines),
        ))  # fmt: skip
        results = self._tell(result, spec, lines=lines) if is_wanted else ()
        self._on_flight(flight_of(run, result, results))

    def _tell(
        self, result: RunResult, spec: RunSpec, *, lines: Sequence[str]
    ) -> tuple[RunResult, ...]:
        """The results that were told."""
        results: tuple[RunResult, ...] = (result,)
        if spec.batch:
            results = tuple(batch_results(result, spec, spec.batch, lines))
        for one in results:
            self._on_result(one)
        return results


def can_be_planned(spec: RunSpec) -> bool:
    """Whether a launcher may be told to start it later; it holds the pipes until then, of all that it was told."""
    return spec.mode != SERVER and spec.sandbox.open_files >= _OPEN_FILES_FOR_PLANS


def _ended_in_time(run: Run, end: wire.RunEnd) -> bool:
    """Whether it was over by itself before its time limit, and only we heard of it late: we had been held up."""
    if run.cause is not EndCause.TIME_LIMIT or end.signalled or end.elapsed_us is None:
        return False
    return end.elapsed_us * 1000 < _nanoseconds(run.spec.time_limit.total_seconds())


def _nanoseconds(seconds: float) -> int:
    return round(seconds * SECOND_NS)
