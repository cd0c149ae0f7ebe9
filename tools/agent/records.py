"""Runs from the flight recorder, for people: a line each, or the whole with output, environment and cost. Pure."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from common.contracts.records import RecordedOutput, RunRecord
from common.contracts.states import Outcome
from tools.agent.marks import clock, outcome_mark, plain, size, span

_COMBINATIONS_SHOWN = 20


def line_of(record: RunRecord) -> Text:
    """`03:10:05 dns-resolve ✘ fails 0.52 s  exit 1  target=a: no answer`."""
    line = Text.assemble(
        clock(record.ended_at), " ", plain(record.prober, "bold"), " ", outcome_mark(record.outcome)
    )
    line.append(f" {span(record.seconds)}  {_end(record)}")
    for flag in _flags(record):
        line.append(f" [{flag}]", "yellow")
    if said := _said(record):
        line.append("  ").append_text(plain(said))
    return line


def page_of(record: RunRecord) -> RenderableType:
    """Everything that is known about one run."""
    ran = f"ran {span(record.seconds)} of at most {span(record.time_limit_seconds)}"
    cpu = span(record.cost.user_seconds + record.cost.system_seconds)
    facts = (
        f"started {clock(record.started_at)}, {span(record.start_lag_seconds)} late, {ran}",
        f"cost {cpu} of CPU, {size(record.cost.peak_rss_bytes)} of memory",
        f"as {record.user or 'the agent itself'} in {record.folder or '-'}",
    )
    parts: list[RenderableType] = [line_of(record), *(plain(f"  {fact}") for fact in facts)]
    parts.append(plain(f"  $ {' '.join(record.arguments)}", "bold"))
    parts += [plain(f"    {name}={value}", "dim") for name, value in record.environment.items()]
    for one in record.combinations[:_COMBINATIONS_SHOWN]:
        labels = " ".join(f"{name}={value}" for name, value in one.labels.items())
        parts.append(
            Text.assemble("  ", outcome_mark(one.outcome), plain(f" {labels}  {one.reason}"))
        )
    for name, output in (("stdout", record.stdout), ("stderr", record.stderr)):
        parts += _output(name, output)
    return Group(*parts)


def _output(name: str, output: RecordedOutput) -> Iterator[Text]:
    if not output.printed_bytes:
        return
    yield Text(f"  {name}, {size(output.printed_bytes)}:", "bold")
    for line in output.text().splitlines():
        yield plain(f"  | {line}")


def _end(record: RunRecord) -> str:
    if record.ended_by:
        return f"ended by {record.ended_by}"
    if record.exit_code is None:
        return "did not run"
    return f"signal {-record.exit_code}" if record.exit_code < 0 else f"exit {record.exit_code}"


def _flags(record: RunRecord) -> Iterator[str]:
    if record.starved:
        yield "starved"
    if record.during_apply:
        yield "during apply"
    if record.is_trial:
        yield "asked for"


def _said(record: RunRecord) -> str:
    """The reason, and for which combination; of several that are not good, how many."""
    bad = [one for one in record.combinations if one.outcome is not Outcome.SUCCESS]
    labels = " ".join(f"{name}={value}" for name, value in bad[0].labels.items()) if bad else ""
    more = f" and {len(bad) + record.left_out - 1} more" if len(bad) > 1 else ""
    return ": ".join(filter(None, (f"{labels}{more}", record.reason)))
