"""Starts probers, ends them at their time limit, cleans up behind them: *act*.

SIGTERM to the process group, grace, SIGKILL; the verdict is fixed when the first signal is decided.
The end of a run is the end of its process, not of its pipes: an orphan may hold those open.
"""

import heapq
import logging
import os
import secrets
import selectors
import signal
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.outputs import OUTPUTS
from agent.plan import RunKey, RunSpec
from agent.results import Cost, RunResult
from agent.running.orphans import Orphans
from agent.running.run import EndCause, RunningProcess
from agent.running.wiper import Wiper
from agent.scheduler import SECOND_NS
from agent.verdict import Ending, Verdict, cannot_start, verdict
from common import processes
from common.masking import without_secrets

log = logging.getLogger(__name__)

# After SIGKILL a process may hang in the kernel; its prober does not wait longer than this.
_UNKILLABLE_NS = 5 * SECOND_NS
_SWEEP_NS = SECOND_NS
# Right after the end of a run, and after a sweep that left something; longer each time, since it may never go.
_SWEEP_SOON_NS = SECOND_NS // 50


def run_environment(planned: Mapping[str, str], *, path: str, temporary: Path) -> dict[str, str]:
    """All variables that a prober sees: never the agent's own settings."""
    return {**planned, "PATH": path, "LANG": "C.UTF-8", "TMPDIR": str(temporary)}


@dataclass(frozen=True)
class Workplace:
    """Where runs happen."""

    temporary: Path  # absolute; each run has its TMPDIR in it
    path: str  # PATH of the probers
    wiper: Wiper


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
    ) -> None:
        """`on_end` is told about every run that is over, `on_result` only about those that count."""
        self._selector = selector
        self._workplace = workplace
        self._on_result = on_result
        self._on_end = on_end
        self._clock_ns = clock_ns
        self._runs: dict[RunKey, RunningProcess] = {}
        self._abandoned: set[RunningProcess] = set()
        # Keys, not runs: what finished long before its time limit must not stay in memory until then.
        self._deadlines: list[tuple[int, int, RunKey]] = []
        self._orphans = Orphans(workplace.temporary)
        self._orphans_left = 0
        self._sweep_at_ns = clock_ns()
        self._sweep_pause_ns = _SWEEP_SOON_NS
        self._number = 0

    @property
    def in_progress(self) -> int:
        """How many runs are going on."""
        return len(self._runs)

    def start(self, spec: RunSpec, due_ns: int) -> None:
        """Start a run; if that is impossible, it is broken at once."""
        self._number += 1
        temporary = self._workplace.temporary / f"{self._number}-{secrets.token_hex(8)}"
        started_ns = self._clock_ns()
        try:
            temporary.mkdir(mode=0o700)
            process = processes.start(
                spec.arguments,
                environment=run_environment(
                    spec.environment, path=self._workplace.path, temporary=temporary
                ),
                cwd=spec.folder,
                stdout=processes.PIPE,
                stderr=processes.PIPE,
            )
        except (OSError, ValueError) as error:
            self._refused(spec, due_ns, started_ns, temporary, error=error)
            return
        run = RunningProcess(
            spec=spec, process=process, temporary=temporary, due_ns=due_ns, started_ns=started_ns,
            pidfd=os.pidfd_open(process.pid),
        )  # fmt: skip
        self._runs[spec.key] = run
        run.watch(self._selector, lambda now_ns: self._exited(run, now_ns))
        self._set_deadline(run, started_ns + _nanoseconds(spec.time_limit.total_seconds()))

    def end(self, key: RunKey, now_ns: int) -> None:
        """End a run that nobody wants any more; it gives no result."""
        run = self._runs.get(key)
        if run and run.cause is None:
            self._ask_to_end(run, EndCause.NOT_WANTED, now_ns)

    def end_all(self, now_ns: int) -> None:
        """End every run, without results."""
        for key in list(self._runs):
            self.end(key, now_ns)

    def tick(self, now_ns: int) -> None:
        """Do what is due: signals for runs over their limits, and looking for orphans."""
        while self._deadlines and self._deadlines[0][0] <= now_ns:
            _, number, key = heapq.heappop(self._deadlines)
            run = self._runs.get(key)
            if run and run.deadline_number == number:
                self._deadline_passed(run, now_ns)
        if now_ns >= self._sweep_at_ns:
            self._sweep_pause_ns = min(_SWEEP_NS, 2 * self._sweep_pause_ns)
            self._sweep_at_ns = now_ns + (self._sweep_pause_ns if self.sweep() else _SWEEP_NS)

    def sweep(self) -> int:
        """Kill and reap orphans of finished runs; how many still live."""
        own = {run.process.pid for run in (*self._runs.values(), *self._abandoned)}
        active = {run.temporary.name: run.started_ns for run in self._runs.values()}
        before, self._orphans_left = self._orphans_left, self._orphans.sweep(own, active)
        if before and not self._orphans_left:
            self._wipe_all_but(active)
        return self._orphans_left

    def next_at_ns(self) -> int:
        """When `tick` has something to do."""
        if self._deadlines:
            return min(self._deadlines[0][0], self._sweep_at_ns)
        return self._sweep_at_ns

    def _wipe_all_but(self, active: Container[str]) -> None:
        """What orphans wrote while the folders of their runs were wiped, or after that."""
        for folder in self._workplace.temporary.iterdir():
            if folder.name not in active:
                self._workplace.wiper.wipe(folder)

    def _refused(
        self, spec: RunSpec, due_ns: int, started_ns: int, temporary: Path, *, error: Exception
    ) -> None:
        self._workplace.wiper.wipe(temporary)
        said = error if isinstance(error, OSError) else OSError(str(error))
        self._on_end(spec.key)
        self._on_result(
            RunResult(
                key=spec.key, verdict=cannot_start(spec.arguments, said), due_ns=due_ns,
                started_ns=started_ns, ended_ns=self._clock_ns(),
            )
        )  # fmt: skip

    def _set_deadline(self, run: RunningProcess, deadline_ns: int) -> None:
        self._number += 1
        run.deadline_number = self._number
        heapq.heappush(self._deadlines, (deadline_ns, self._number, run.spec.key))

    def _deadline_passed(self, run: RunningProcess, now_ns: int) -> None:
        if run.cause is None:
            self._ask_to_end(run, EndCause.TIME_LIMIT, now_ns)
        elif not run.killed:
            run.killed = True
            run.signal_group(signal.SIGKILL)
            self._set_deadline(run, now_ns + _UNKILLABLE_NS)
        else:
            self._abandon(run, now_ns)

    def _ask_to_end(self, run: RunningProcess, cause: EndCause, now_ns: int) -> None:
        run.cause = cause
        run.signal_group(signal.SIGTERM)
        self._set_deadline(run, now_ns + _nanoseconds(run.spec.grace.total_seconds()))

    def _abandon(self, run: RunningProcess, now_ns: int) -> None:
        """Stop waiting for a process that even SIGKILL does not end; it is still reaped if it ends some day."""
        log.error("cannot kill prober=%s pid=%d", run.spec.prober_slug, run.process.pid)
        run.abandoned = True
        run.close_pipes(self._selector)
        self._abandoned.add(run)
        self._finish(run, Cost(), now_ns)

    def _exited(self, run: RunningProcess, now_ns: int) -> None:
        cost = run.collect(self._selector)
        self._sweep_pause_ns = _SWEEP_SOON_NS
        self._sweep_at_ns = min(self._sweep_at_ns, now_ns + _SWEEP_SOON_NS)
        if run.abandoned:
            self._abandoned.discard(run)
        else:
            self._finish(run, cost, now_ns)

    def _finish(self, run: RunningProcess, cost: Cost, now_ns: int) -> None:
        del self._runs[run.spec.key]
        self._workplace.wiper.wipe(run.temporary)
        self._on_end(run.spec.key)
        if run.cause is EndCause.NOT_WANTED:
            return
        self._on_result(
            RunResult(
                key=run.spec.key, verdict=_verdict_of(run), due_ns=run.due_ns,
                started_ns=run.started_ns, ended_ns=now_ns, cost=cost,
                printed=OUTPUTS[run.spec.output](run.stdout.lines()),
            )
        )  # fmt: skip


def _verdict_of(run: RunningProcess) -> Verdict:
    return verdict(
        Ending(
            exit_code=run.exit_code if run.exit_code is not None else -signal.SIGKILL,
            time_limit_passed=run.cause is EndCause.TIME_LIMIT,
            time_limit=run.spec.time_limit,
            stdout=without_secrets(run.stdout.text(), run.spec.secrets),
            stderr=without_secrets(run.stderr.text(), run.spec.secrets),
        )
    )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * SECOND_NS)
