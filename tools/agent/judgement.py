"""Decide: who is at fault, the target, the prober, the host or the agent? Pure, over what the agent says of itself.

A failing target is believed only from a healthy host, so host and agent are judged first.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from common.contracts.control import (
    AgentState,
    CombinationState,
    HostState,
    LinkState,
    ProberDetails,
    ProberState,
)
from common.contracts.states import State

_STALE_CONFIGURATION = timedelta(minutes=5)
_OLD_SPOOL = timedelta(minutes=2)
# Shares of time in which somebody waited. On a small machine at work somebody often waits for a processor or a disk:
# only if it is nearly always, runs suffer; nobody should wait for memory.
_HIGH_PRESSURE = {"a processor": 0.95, "memory": 0.3, "a disk": 0.95}
_LITTLE_MEMORY = 0.05
_LITTLE_DISK = 0.05
_MANY_STARVED = 0.1
# So many probers that fail for different targets at the same time have something in common: this host.
_SUSPICIOUS_PROBERS = 3
_RED = frozenset({State.FAILURE, State.TIMEOUT})
_MIB = 1024 * 1024


class Party(StrEnum):
    """Whose fault something is."""

    AGENT = "agent"
    HOST = "host"
    PROBER = "prober"
    TARGET = "target"


class Weight(StrEnum):
    """How much a finding matters."""

    FAULT = "fault"  # something does not work
    NOTE = "note"  # worth knowing, nothing is wrong


@dataclass(frozen=True)
class Finding:
    """One fact and what to do about it."""

    party: Party
    weight: Weight
    text: str
    advice: str = ""


@dataclass(frozen=True)
class Judgement:
    """Who is at fault most probably, None if nobody is; and why."""

    culprit: Party | None
    headline: str
    findings: Sequence[Finding] = ()

    @property
    def faults(self) -> list[Finding]:
        """What does not work."""
        return [finding for finding in self.findings if finding.weight is Weight.FAULT]


def judged(state: AgentState, details: Mapping[str, ProberDetails]) -> Judgement:
    """The judgement about a living agent; `details` of its probers that are not green, by slug, as far as known."""
    findings = [
        *_about_agent(state),
        *_notes_about_agent(state),
        *_about_host(state),
        *_about_probers(state.probers),
        *_about_targets(state.probers, details, now=state.agent.clock),
    ]
    faults = [finding.party for finding in findings if finding.weight is Weight.FAULT]
    culprit = next((party for party in _order(state) if party in faults), None)
    return Judgement(culprit, _headline(culprit, state), findings)


def common_values(combinations: Sequence[CombinationState]) -> dict[str, str]:
    """What all red combinations share and no good one has: `{"target": "demo-2"}`; empty if there is no such thing."""
    red = [one.labels for one in combinations if one.state in _RED]
    good = [one.labels for one in combinations if one.state is State.SUCCESS]
    if not red or not good:
        return {}
    shared = set(red[0].items()).intersection(*(labels.items() for labels in red))
    return dict(sorted(shared.difference(*(labels.items() for labels in good))))


def _order(state: AgentState) -> Sequence[Party]:
    """Whom to ask first: on a host that is in trouble nothing else is to be believed."""
    if state.own.canary_problem:
        return (Party.AGENT, Party.HOST, Party.PROBER, Party.TARGET)
    if _is_cut_off(state):
        return (Party.HOST, Party.AGENT, Party.PROBER, Party.TARGET)
    # A push that fails says nothing about what the probers see.
    return (Party.HOST, Party.TARGET, Party.PROBER, Party.AGENT)


def _headline(culprit: Party | None, state: AgentState) -> str:
    if state.own.canary_problem:
        return "it is the agent: it would not notice, so do not believe what it says"
    if culprit is None:
        return "all is well" if state.probers else "no prober runs here"
    return {
        Party.AGENT: "it is the agent: look there, what the probers say is to be believed",
        Party.HOST: "it is this host: do not blame the targets before it is well",
        Party.PROBER: "it is a prober itself: its author has to look",
        Party.TARGET: "it is a target: agent and host are well",
    }[culprit]


def _about_agent(state: AgentState) -> Iterator[Finding]:
    yield from _about_configuration(state)
    for name, link in (("reports to the API", state.reports), ("push to Solomon", state.solomon)):
        if link.is_used and link.problem:
            yield _fault(Party.AGENT, f"{name}: {link.problem}", "probers go on meanwhile")
    if state.storage.is_used and state.storage.problem:
        yield _fault(
            Party.AGENT, f"object storage could not stand in for the API: {state.storage.problem}"
        )
    if state.sink.spool_age_seconds > _OLD_SPOOL.total_seconds():
        waiting = f"{state.sink.spool_bytes // 1024} KiB of points wait for Solomon"
        yield _fault(Party.AGENT, f"{waiting}, the oldest for {_ago(state.sink.spool_age_seconds)}")
    if state.own.canary_problem:
        yield _fault(
            Party.AGENT,
            f"a canary was judged wrongly: {state.own.canary_problem}",
            "believe no cell of this host until the agent is well",
        )
    if state.own.bugs:
        yield _fault(
            Party.AGENT, f"{state.own.bugs} steps of the agent failed by a bug", "see its log"
        )
    if state.recorder.problem:
        yield _fault(Party.AGENT, f"the recorder keeps nothing: {state.recorder.problem}")


def _notes_about_agent(state: AgentState) -> Iterator[Finding]:
    if lost := {reason: count for reason, count in state.sink.dropped.items() if count}:
        shown = ", ".join(f"{count} {reason}" for reason, count in sorted(lost.items()))
        yield _note(Party.AGENT, f"points were lost since the start: {shown}")
    for power in state.own.missing_powers:
        yield _note(Party.AGENT, power)
    for pause in state.pauses:
        whom = pause.prober or "all probers"
        yield _note(
            Party.AGENT,
            f"{whom} paused by {pause.who or 'somebody'} until {pause.until:%H:%M:%S}: {pause.why}",
            f"resume {pause.prober or 'all'}",
        )


def _about_configuration(state: AgentState) -> Iterator[Finding]:
    configuration = state.configuration
    if configuration.problem:
        yield _fault(Party.AGENT, f"configuration: {configuration.problem}")
    if configuration.source == "none":
        yield _fault(Party.AGENT, "there is no configuration yet", "see `doctor`")
        return
    if configuration.source == "file":
        return
    age = configuration.confirmed_seconds_ago
    if age is None or age > _STALE_CONFIGURATION.total_seconds():
        since = "since the start" if age is None else f"for {_ago(age)}"
        why = f": {state.api.problem}" if state.api.problem else ""
        yield _fault(
            Party.AGENT,
            f"the API has not confirmed the configuration {since}{why}",
            f"it may be old; it came from {configuration.source}",
        )


def _about_host(state: AgentState) -> Iterator[Finding]:
    yield from _about_machine(state.host)
    for prober in state.probers:
        runs = sum(prober.figures.runs.values())
        if runs and prober.figures.starved > _MANY_STARVED * runs:
            yield _fault(
                Party.HOST,
                f"{prober.figures.starved} of {runs} runs of {prober.slug} were starved",
                "the host was too busy to judge",
            )
    if _is_cut_off(state):
        red = [prober.slug for prober in state.probers if prober.state in _RED]
        yield _fault(
            Party.HOST,
            f"{', '.join(sorted(red)[:_SUSPICIOUS_PROBERS])} and the way to the API fail together",
            "look at this host's network first",
        )
    if state.configuration.applying_until:
        until = state.configuration.applying_until
        yield _note(
            Party.HOST,
            f"Creator changes the machines of this cluster, until {until:%H:%M:%S} at most",
        )


def _about_machine(host: HostState) -> Iterator[Finding]:
    for name, share in (
        ("a processor", host.pressure.cpu),
        ("memory", host.pressure.memory),
        ("a disk", host.pressure.io),
    ):
        if share is not None and share > _HIGH_PRESSURE[name]:
            yield _fault(Party.HOST, f"somebody waited for {name} in {share:.0%} of the last 10 s")
    if host.memory_bytes and host.memory_available_bytes < _LITTLE_MEMORY * host.memory_bytes:
        yield _fault(Party.HOST, f"{host.memory_available_bytes // _MIB} MiB of memory are left")
    if host.disk_bytes and host.disk_free_bytes < _LITTLE_DISK * host.disk_bytes:
        yield _fault(
            Party.HOST, f"{host.disk_free_bytes // _MIB} MiB of disk are left", "make room"
        )


def _about_probers(probers: Iterable[ProberState]) -> Iterator[Finding]:
    for prober in probers:
        if prober.problem:
            yield _fault(
                Party.PROBER,
                f"{prober.slug} cannot run: {prober.problem}",
                f"explain {prober.slug}",
            )
        elif prober.state is State.BROKEN:
            yield _fault(
                Party.PROBER,
                f"{prober.slug} is broken: {prober.reason}",
                f"logs {prober.slug} --failed",
            )


def _about_targets(
    probers: Iterable[ProberState], details: Mapping[str, ProberDetails], *, now: datetime
) -> Iterator[Finding]:
    for prober in probers:
        if prober.state not in _RED:
            continue
        word = "times out" if prober.state is State.TIMEOUT else "fails"
        since = f" for {_ago((now - prober.since).total_seconds())}" if prober.since else ""
        known = details.get(prober.slug)
        where = _where(known.combinations) if known else ""
        yield _fault(
            Party.TARGET,
            f"{prober.slug} {word}{since}{where}: {prober.reason or 'no reason given'}",
            f"run {prober.slug}",
        )


def _where(combinations: Sequence[CombinationState]) -> str:
    """` (2 of 5, all with target=demo-2)`; nothing for a prober without a matrix."""
    if len(combinations) < 2:
        return ""
    red = sum(one.state in _RED for one in combinations)
    shared = ", ".join(f"{name}={value}" for name, value in common_values(combinations).items())
    return f" ({red} of {len(combinations)}{f', all with {shared}' if shared else ''})"


def _is_cut_off(state: AgentState) -> bool:
    """Whether many probers and the API itself fail at once: then this host has lost its network."""
    ran = [prober for prober in state.probers if sum(prober.figures.runs.values())]
    red = [prober for prober in ran if prober.state in _RED]
    is_everything = len(red) >= _SUSPICIOUS_PROBERS and 2 * len(red) > len(ran)
    return is_everything and any(_is_down(link) for link in (state.api, state.reports))


def _is_down(link: LinkState) -> bool:
    return link.is_used and bool(link.problem)


def _ago(seconds: float) -> str:
    return f"{timedelta(seconds=round(seconds))}"


def _fault(party: Party, text: str, advice: str = "") -> Finding:
    return Finding(party, Weight.FAULT, text, advice)


def _note(party: Party, text: str, advice: str = "") -> Finding:
    return Finding(party, Weight.NOTE, text, advice)
