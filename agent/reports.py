"""What is reported and when: *decide*; and the thread that sends it: *act*."""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from agent.board import Board
from agent.identity import Identity
from agent.links import Link
from agent.mailboxes import Mailbox
from agent.scheduler import SECOND_NS
from common.contracts.reports import MAX_PAUSES, REPORT_PERIOD_SECONDS, AgentReport, ReportedPause
from common.errors import ApiError
from common.version import VERSION

log = logging.getLogger(__name__)

# A change is reported within two seconds; others that come right after it travel along.
_SETTLE_NS = SECOND_NS * 3 // 10
_LEAST_DISTANCE_NS = 2 * SECOND_NS
_LAST_REPORT_TIME_LIMIT = timedelta(seconds=3)
_FIRST_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 15.0


@dataclass(frozen=True)
class Circumstances:
    """What a report says beside states."""

    identity: Identity
    host: str
    document_revision: int | None
    configuration_problem: str
    canary_problem: str = ""
    pauses: Sequence[ReportedPause] = ()


def agent_report(board: Board, circumstances: Circumstances, now: datetime) -> AgentReport:
    """The report of this moment."""
    return AgentReport(
        instance=circumstances.identity.instance,
        boot=circumstances.identity.boot,
        host=circumstances.host,
        version=VERSION,
        clock=now,
        document_revision=circumstances.document_revision,
        configuration_problem=circumstances.configuration_problem,
        canary_problem=circumstances.canary_problem,
        probers=board.prober_reports(),
        reasons=board.reasons(),
        pauses=list(circumstances.pauses[:MAX_PAUSES]),
    )


class ReportTimer:
    """When the next report is due: soon after a change, at most one per 2 s, else every 30 s ± 20 %."""

    def __init__(self, *, now_ns: int, jitter: Callable[[], float] = random.random) -> None:
        """`jitter` gives a number from 0 to 1."""
        self._jitter = jitter
        self._earliest_ns = now_ns
        self.due_at_ns = now_ns + _SETTLE_NS

    def changed(self, now_ns: int) -> None:
        """Something that people look at has changed."""
        self.due_at_ns = min(self.due_at_ns, max(now_ns + _SETTLE_NS, self._earliest_ns))

    def sent(self, now_ns: int) -> None:
        """A report is on its way."""
        period_ns = int(REPORT_PERIOD_SECONDS * SECOND_NS * (0.8 + 0.4 * self._jitter()))
        self._earliest_ns = now_ns + _LEAST_DISTANCE_NS
        self.due_at_ns = now_ns + period_ns


class ReportReceiver(Protocol):
    """Takes reports; ApiError if it does not."""

    def report(self, report: AgentReport, *, time_limit: timedelta) -> None:
        """Replace what is known about this agent; may be repeated."""


class ReportSender:
    """Sends the newest report; one that could not be sent is repeated until a newer one takes its place."""

    def __init__(self, receiver: ReportReceiver, *, link: Link | None = None) -> None:
        self._receiver = receiver
        self._link = link or Link()
        self._reports: Mailbox[AgentReport] = Mailbox()
        self._failures = 0
        self._thread = threading.Thread(target=self._work, name="reports", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def send(self, report: AgentReport) -> None:
        """Send this one soon; never blocks."""
        self._reports.put(report)

    def close(self, *, time_limit_seconds: float) -> None:
        """Send what is left once, as far as the time limit permits."""
        self._reports.close()
        self._thread.join(time_limit_seconds)

    def _work(self) -> None:
        unsent: AgentReport | None = None
        while not self._reports.closed:
            pause = self._retry_seconds() if unsent else REPORT_PERIOD_SECONDS
            report = self._reports.take(wait_seconds=pause) or unsent
            unsent = report if report and not self._sent(report, timedelta(seconds=15)) else None
        if last := self._reports.take() or unsent:
            self._sent(last, _LAST_REPORT_TIME_LIMIT)

    def _sent(self, report: AgentReport, time_limit: timedelta) -> bool:
        fresh = report.model_copy(update={"clock": datetime.now(UTC)})
        try:
            self._receiver.report(fresh, time_limit=time_limit)
        except ApiError as error:
            if not self._failures:
                log.warning("reports do not reach the API: %s", error)
            self._failures += 1
            self._link.failed(error)
            return False
        if self._failures:
            log.info("reports reach the API again")
        self._failures = 0
        self._link.succeeded()
        return True

    def _retry_seconds(self) -> float:
        back_off = _FIRST_RETRY_SECONDS * 2.0 ** min(self._failures, 10)
        return min(_LONGEST_RETRY_SECONDS, back_off) * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
