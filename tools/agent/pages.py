"""What the commands show: renderables made of what the agent said. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from common.contracts.control import (
    AgentState,
    CombinationState,
    LinkState,
    NewestMetrics,
    Pause,
    ProberDetails,
    ProberExplanation,
    ProberState,
    RunFigures,
)
from common.contracts.host_configuration import ExplainedProber
from common.contracts.states import Outcome, State
from tools.agent.doctor import Check, Health
from tools.agent.judgement import Finding, Judgement, Weight, common_values
from tools.agent.marks import (
    ago,
    ahead,
    clock,
    history,
    party_mark,
    plain,
    size,
    span,
    state_mark,
)
from tools.agent.tables import FittedTable, table

_URGENCY = (
    State.FAILURE, State.TIMEOUT, State.BROKEN, State.NOT_RUN_YET, State.PAUSED, State.SUCCESS, State.GONE,
)  # fmt: skip

_HEALTH = {Health.WELL: "green", Health.DOUBT: "yellow", Health.ILL: "bold red"}


def status_page(state: AgentState, judgement: Judgement) -> RenderableType:
    """One screen: who is at fault, why, and how it goes with agent, host and probers."""
    style = "bold green" if judgement.culprit is None else "bold red"
    parts: list[RenderableType] = [Text(judgement.headline, style), Text()]
    if judgement.findings:
        parts += [findings_table(judgement.findings), Text()]
    parts += [_facts(state), Text(), prober_table(state)]
    return Group(*parts)


def findings_table(findings: Sequence[Finding]) -> Table:
    """Faults first, each with what to do."""
    made = table("who", "what", "what to do")
    for finding in sorted(findings, key=lambda one: one.weight is Weight.NOTE):
        made.add_row(
            party_mark(finding.party, finding.weight), plain(finding.text), plain(finding.advice)
        )
    return made


def checks_table(checks: Sequence[Check]) -> Table:
    """What the doctor found, a line each."""
    made = table("", "check", "found", "what to do")
    for check in checks:
        made.add_row(
            Text(check.health, _HEALTH[check.health]),
            check.name,
            plain(check.text),
            plain(check.advice),
        )
    return made


def prober_table(state: AgentState) -> RenderableType:
    """A line per prober, what needs a person first."""
    now = state.agent.clock
    made = FittedTable(
        "prober", "state", "since", "cells", "last run", "next run", "good", "why",
        spared=("next run", "last run", "good", "cells", "since"), long="why",
    )  # fmt: skip
    for prober in by_urgency(state.probers):
        made.add_row(
            plain(prober.slug),
            state_mark(prober.state),
            ago(prober.since, now),
            _cells(prober.states),
            ago(prober.last_run_at, now),
            ahead(None if prober.pause else prober.next_run_at, now),
            _good(prober.figures),
            plain(_why(prober)),
        )
    return made


def by_urgency(probers: Iterable[ProberState]) -> list[ProberState]:
    """What needs a person first, then by name."""
    return sorted(probers, key=lambda prober: (_URGENCY.index(prober.state), prober.slug))


def top_table(state: AgentState, before: AgentState | None) -> RenderableType:
    """What costs most, by CPU time since the look before (or since the start), then by runs that were not good."""
    earlier = {prober.slug: prober.figures for prober in before.probers} if before else {}
    seconds = (state.agent.clock - before.agent.clock).total_seconds() if before else 0.0
    rows = [(_growth(prober.figures, earlier.get(prober.slug)), prober) for prober in state.probers]
    rows.sort(key=lambda row: (-row[0].cpu_seconds, -_bad(row[0]), row[1].slug))
    made = FittedTable(
        "prober", "state", "cpu", "cpu per run", "seconds per run", "runs", "not good", "skipped", "now",
        spared=("now", "skipped", "seconds per run", "cpu per run", "state"),
    )  # fmt: skip
    for grown, prober in rows:
        runs = sum(grown.runs.values())
        cpu = f"{grown.cpu_seconds / seconds:.1%}" if seconds > 0 else span(grown.cpu_seconds)
        made.add_row(
            plain(prober.slug),
            state_mark(prober.state),
            cpu,
            f"{1000 * grown.cpu_seconds / runs:.1f} ms" if runs else "-",
            f"{grown.run_seconds / runs:.3f}" if runs else "-",
            str(runs),
            str(_bad(grown)),
            str(sum(grown.skipped.values())),
            str(prober.runs_in_progress),
        )
    return made


def details_page(details: ProberDetails, now: datetime) -> RenderableType:
    """A prober with its combinations."""
    prober = details.prober
    head = Text.assemble(
        plain(prober.slug, "bold"), f" revision {prober.revision}  ", state_mark(prober.state)
    )
    lines = [
        f"every {span(prober.interval_seconds)}" if prober.interval_seconds else "",
        f"time limit {span(prober.time_limit_seconds)}" if prober.time_limit_seconds else "",
        f"mode {prober.mode}" if prober.mode else "",
        f"as {prober.user}" if prober.user else "",
    ]
    parts: list[RenderableType] = [head, plain(", ".join(filter(None, lines)))]
    if why := _why(prober):
        parts.append(plain(why))
    parts += _mode_lines(prober.mode_problem)
    if shared := common_values(details.combinations):
        said = ", ".join(f"{name}={value}" for name, value in shared.items())
        parts.append(plain(f"All that fail have {said}, nothing that is good has.", "bold"))
    parts += [Text(), _combination_table(details.combinations, now)]
    if details.left_out:
        parts.append(Text(f"and {details.left_out} more"))
    return Group(*parts)


def _mode_lines(problem: str) -> list[RenderableType]:
    return [plain(f"not warm, started as in mode run: {problem}", "yellow")] if problem else []


def explanation_page(explanation: ProberExplanation) -> RenderableType:
    """Which layer set each value, what the files are, when it runs next."""
    prober = explanation.prober
    files = table("file", "mode", "bytes", "sha256")
    for file in explanation.files.files:
        files.add_row(plain(file.path), file.mode, str(file.size), file.sha256)
    runs = table("runs", "arguments", "environment")
    for run in prober.runs:
        which = "; ".join(_labels(one) for one in run.combinations[:3]) or "-"
        variables = " ".join(f"{name}={value}" for name, value in run.environment.items())
        runs.add_row(plain(which), plain(" ".join(run.arguments)), plain(variables))
    parts: list[RenderableType] = [
        Text.assemble(
            plain(prober.slug, "bold"),
            f" revision {prober.revision}, document {explanation.document_revision}",
        )
    ]
    if explanation.problem:
        parts.append(plain(f"cannot run: {explanation.problem}", "magenta"))
    parts += _mode_lines(explanation.mode_problem)
    if explanation.pause:
        parts.append(_pause_line(explanation.pause))
    if explanation.next_runs:
        parts.append(Text(f"next runs: {', '.join(map(clock, explanation.next_runs))}"))
    parts += [Text(), _settings_table(prober), Text(), runs]
    if prober.runs_in_all > len(prober.runs):
        parts.append(Text(f"and {prober.runs_in_all - len(prober.runs)} more runs"))
    parts += [Text(), files, plain(f"unpacked in {explanation.files.folder or 'no folder yet'}")]
    return Group(*parts)


def _settings_table(prober: ExplainedProber) -> Table:
    made = table("setting", "value", "from")
    for name, value in prober.settings.items():
        if any(other.startswith(f"{name}.") for other in prober.settings):
            continue  # its parts say more, each with its own origin
        origin = value.layer if not value.config else f"{value.layer}: config {value.config}"
        made.add_row(plain(name), plain(_shown(value.value)), plain(origin))
    return made


def pauses_page(pauses: Sequence[Pause]) -> RenderableType:
    """Who silenced what until when, and why."""
    if not pauses:
        return Text("Nothing is paused.")
    made = table("prober", "until", "by", "why")
    for pause in pauses:
        made.add_row(
            plain(pause.prober or "all"), clock(pause.until), plain(pause.who), plain(pause.why)
        )
    return made


def metrics_page(metrics: NewestMetrics) -> RenderableType:
    """The newest numbers, one series a line."""
    made = table("metric", "labels", "value")
    for point in metrics.points:
        if point.value is None:
            counted = sum(point.buckets) + point.above
            value = f"{counted} runs"
        else:
            value = f"{point.value:g}"
        made.add_row(plain(point.name), plain(_labels(point.labels)), value)
    return Group(
        plain(f"at {clock(metrics.at)}, all with {_labels(metrics.common_labels)}"), Text(), made
    )


def _facts(state: AgentState) -> Table:
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    for name, text in _fact_lines(state):
        made.add_row(name, plain(text))
    return made


def _fact_lines(state: AgentState) -> Iterator[tuple[str, str]]:
    agent, own, host = state.agent, state.own, state.host
    who = f"{agent.cluster}/{agent.host}, version {agent.version}, pid {agent.pid} as {agent.user}"
    yield "agent", f"{who}, up for {ago(agent.started_at, agent.clock)}, {size(own.rss_bytes)}"
    known = state.configuration
    confirmed = known.confirmed_seconds_ago
    told = "never confirmed" if confirmed is None else f"confirmed {span(confirmed)} ago"
    yield "configuration", f"revision {known.revision}, from {known.source}, {told}"
    links = (
        ("API", state.api), ("object storage", state.storage),
        ("reports", state.reports), ("Solomon", state.solomon),
    )  # fmt: skip
    yield "links", ", ".join(f"{name} {_link(link)}" for name, link in links)
    runs = f"{own.runs_in_progress} now of at most {own.slots}, {own.runs_started} started"
    yield "runs", f"{runs}; spool {size(state.sink.spool_bytes)}"
    load = " ".join(f"{load:.2f}" for load in host.load)
    free = f"{size(host.memory_available_bytes)} of memory and {size(host.disk_free_bytes)} of disk"
    yield "host", f"load {load} on {host.processors} processors, {free} free"


def _link(link: LinkState) -> str:
    if not link.is_used:
        return "not used"
    if link.problem:
        return "fails"
    if link.succeeded_seconds_ago is None:
        return "not asked yet"
    return f"ok {span(link.succeeded_seconds_ago)} ago"


def _combination_table(combinations: Sequence[CombinationState], now: datetime) -> RenderableType:
    made = FittedTable(
        "combination", "state", "since", "last runs", "last run", "next run", "good", "why",
        spared=("next run", "last run", "last runs", "good", "since"), long="why",
    )  # fmt: skip
    for one in sorted(combinations, key=lambda item: _URGENCY.index(item.state)):
        made.add_row(
            plain(_labels(one.labels) or "-"),
            state_mark(one.state),
            ago(one.since, now),
            history(one.recent),
            ago(one.last_run_at, now),
            ahead(one.next_run_at, now),
            _good(one.figures),
            plain(one.reason),
        )
    return made


def _why(prober: ProberState) -> str:
    if prober.problem:
        return f"cannot run: {prober.problem}"
    if prober.pause:
        return f"paused until {clock(prober.pause.until)} by {prober.pause.who}: {prober.pause.why}"
    return prober.reason


def _pause_line(pause: Pause) -> Text:
    return plain(f"paused until {clock(pause.until)} by {pause.who}: {pause.why}", "cyan")


def _cells(states: str) -> str:
    """`3`, or `1 of 3` if not all are good."""
    good = states.count(str(State.SUCCESS.value))
    return str(len(states)) if good == len(states) else f"{good} of {len(states)}"


def _good(figures: RunFigures) -> str:
    runs = sum(figures.runs.values())
    good = figures.runs.get(Outcome.SUCCESS, 0)
    # Rounded down: what failed once in a thousand is not 100 %.
    return f"{int(1000 * good / runs) / 10:g} % of {runs}" if runs else "-"


def _growth(figures: RunFigures, earlier: RunFigures | None) -> RunFigures:
    if earlier is None or sum(figures.runs.values()) < sum(earlier.runs.values()):
        return figures  # the agent was started anew
    return RunFigures(
        runs={
            outcome: count - earlier.runs.get(outcome, 0) for outcome, count in figures.runs.items()
        },
        skipped={
            why: count - earlier.skipped.get(why, 0) for why, count in figures.skipped.items()
        },
        starved=figures.starved - earlier.starved,
        run_seconds=figures.run_seconds - earlier.run_seconds,
        cpu_seconds=figures.cpu_seconds - earlier.cpu_seconds,
    )


def _bad(figures: RunFigures) -> int:
    return sum(figures.runs.values()) - figures.runs.get(Outcome.SUCCESS, 0)


def _labels(labels: Mapping[str, object]) -> str:
    return " ".join(f"{name}={_shown(value)}" for name, value in labels.items())


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
