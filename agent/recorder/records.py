"""From a run as it left the loop to its record, without secrets; and a record as people read it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.flights import Excerpt, Flight
from agent.results import RunResult
from common.contracts.records import (
    RecordedCombination,
    RecordedCost,
    RecordedOutput,
    RunRecord,
)
from common.contracts.states import STATE_OF_OUTCOME, Outcome, most_urgent
from common.masking import MASK, without_partial_secrets, without_secrets

MAX_COMBINATIONS = 100
# What is shown first; states have the same order.
URGENCY = {Outcome.FAILURE: 0, Outcome.TIMEOUT: 1, Outcome.BROKEN: 2, Outcome.SUCCESS: 3}


@dataclass(frozen=True, slots=True)
class Moment:
    """Now on both clocks, so that times of the one can be told in the other."""

    now: datetime
    now_ns: int

    def at(self, ns: int) -> datetime:
        """The time of day of a moment of the scheduler's clock."""
        return self.now + timedelta(microseconds=(ns - self.now_ns) // 1000)


def is_good(flight: Flight) -> bool:
    """Whether every combination was a success."""
    return all(one.verdict.outcome is Outcome.SUCCESS for one in flight.results)


def record_of(flight: Flight, number: int, moment: Moment, *, user: str = "") -> RunRecord:
    """The record; `user` is whose rights a prober has that names none."""
    spec, whole = flight.spec, flight.whole
    worst = _worst(flight.results or (whole,))
    listed = _listed(flight)
    return RunRecord(
        number=number,
        prober_id=spec.key.prober_id,
        prober=spec.prober_slug,
        revision=spec.revision,
        is_trial=spec.is_trial,
        outcome=worst.verdict.outcome,
        reason=worst.verdict.reason,
        combinations=listed,
        left_out=len(flight.results) - len(listed),
        due_at=moment.at(whole.due_ns),
        started_at=moment.at(whole.started_ns),
        ended_at=moment.at(whole.ended_ns),
        start_lag_seconds=whole.start_lag_seconds,
        exit_code=flight.exit_code,
        ended_by=flight.ended_by,
        cost=RecordedCost(
            user_seconds=whole.cost.user_seconds,
            system_seconds=whole.cost.system_seconds,
            peak_rss_bytes=whole.cost.peak_rss_bytes,
        ),
        starved=whole.starved,
        during_apply=whole.during_apply,
        arguments=[without_secrets(one, spec.secrets) for one in spec.arguments],
        environment=_environment(flight),
        folder=str(spec.folder),
        user=spec.sandbox.user or user,
        time_limit_seconds=spec.time_limit.total_seconds(),
        stdout=_output(flight.stdout, spec.secrets),
        stderr=_output(flight.stderr, spec.secrets),
    )


def record_text(record: RunRecord) -> str:
    """All of it for a person: facts line by line, then what was printed."""
    lines = [
        f"prober: {record.prober} (revision {record.revision})",
        f"outcome: {record.outcome.value}{': ' if record.reason else ''}{record.reason}",
        *(f"  {_combination_text(one)}" for one in record.combinations if one.labels),
        *([f"  … and {record.left_out} more"] if record.left_out else []),
        f"started: {record.started_at.isoformat(timespec='milliseconds')}, {record.start_lag_seconds:.3f} s late",
        f"took: {record.seconds:.3f} s of at most {record.time_limit_seconds:g} s",
        f"exit: {_exit_text(record)}",
        f"cost: {record.cost.user_seconds:.3f} s user, {record.cost.system_seconds:.3f} s system, {record.cost.peak_rss_bytes // 1024} KiB",
        *([f"flags: {_flags_text(record)}"] if _flags_text(record) else []),
        f"user: {record.user}",
        f"folder: {record.folder}",
        f"command: {' '.join(record.arguments)}",
        *(f"environment: {name}={text}" for name, text in sorted(record.environment.items())),
    ]
    for name, output in (("stdout", record.stdout), ("stderr", record.stderr)):
        lines += ["", f"--- {name}, {output.printed_bytes} bytes", output.text().rstrip("\n")]
    return "\n".join(lines) + "\n"


def _worst(results: Sequence[RunResult]) -> RunResult:
    states = {str(int(STATE_OF_OUTCOME[one.verdict.outcome])): one for one in reversed(results)}
    return states[str(int(most_urgent("".join(states))))]


def _listed(flight: Flight) -> list[RecordedCombination]:
    labels = flight.spec.batch.labels if flight.spec.batch else (flight.spec.labels,)
    pairs = list(zip(labels, flight.results, strict=False))
    # The worst first; among equals the order of `resolve` stays.
    pairs.sort(key=lambda pair: URGENCY[pair[1].verdict.outcome])
    return [
        RecordedCombination(
            labels=dict(own), outcome=one.verdict.outcome, reason=one.verdict.reason
        )
        for own, one in pairs[:MAX_COMBINATIONS]
    ]


def _environment(flight: Flight) -> dict[str, str]:
    spec = flight.spec
    return {
        # A short secret is not looked for in texts, so its variable is hidden by name.
        name: MASK if name in spec.secret_names else without_secrets(text, spec.secrets)
        for name, text in spec.environment.items()
    }


def _output(excerpt: Excerpt, secrets: Iterable[str]) -> RecordedOutput:
    if not excerpt.printed_bytes:
        return RecordedOutput()
    known = tuple(secrets)
    head = without_secrets(excerpt.head.decode(errors="replace"), known)
    tail = without_secrets(excerpt.tail.decode(errors="replace"), known)
    if excerpt.cut_bytes:
        head, tail = without_partial_secrets(head, tail, known)
    return RecordedOutput(
        head=head, tail=tail, cut_bytes=excerpt.cut_bytes, printed_bytes=excerpt.printed_bytes
    )


def _combination_text(one: RecordedCombination) -> str:
    named = ", ".join(f"{name}={text}" for name, text in one.labels.items())
    return f"{named}: {one.outcome.value}{': ' if one.reason else ''}{one.reason}"


def _exit_text(record: RunRecord) -> str:
    if record.exit_code is None:
        text = "none"
    elif record.exit_code < 0:
        text = f"killed by signal {-record.exit_code}"
    else:
        text = f"status {record.exit_code}"
    return f"{text}, ended by the agent: {record.ended_by}" if record.ended_by else text


def _flags_text(record: RunRecord) -> str:
    flags = {"starved": record.starved, "during_apply": record.during_apply}
    return ", ".join(name for name, is_set in flags.items() if is_set)
