"""Whose loop it is, and what connects it with the threads around it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agent.accounts import Accounts
from agent.canaries import Canaries, StartCanary, no_canaries
from agent.configuration import ConfigurationNews
from agent.control.desk import Desk
from agent.control.window import Window
from agent.flights import Flight
from agent.identity import Identity
from agent.in_force import PlanTaken
from agent.mailboxes import Mailbox, Waker
from agent.sinks.port import MetricSink
from common.contracts.control import Pause
from common.contracts.reports import AgentReport


@dataclass(frozen=True)
class AboutAgent:
    """Whose loop this is."""

    identity: Identity
    host: str
    cluster_slug: str


@dataclass(frozen=True)
class Ports:
    """Where plans come from, and where reports and points go; none of them ever blocks."""

    news: Mailbox[ConfigurationNews]
    waker: Waker
    sink: MetricSink
    send_report: Callable[[AgentReport], None]
    accounts: Accounts
    desk: Desk[Window] = field(default_factory=lambda: Desk(lambda: None))
    record_flight: Callable[[Flight], None] = lambda _: None
    plan_taken: Callable[[PlanTaken], None] = lambda _: None
    pauses: Sequence[Pause] = ()  # from before the start
    canaries: Callable[[StartCanary, int], Canaries] = no_canaries
