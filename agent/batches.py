"""One run for many combinations becomes a result for each of them: *decide*. Pure.

The prober prints `mr_prober_outcome{target="a"} 0|1|3` for each combination; `reason="…"` may say why.
What was printed stands, however the run ended; whatever is missing shares the end of the run, and at best is broken.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.costs import Cost
from agent.outputs.printed import MAX_SAMPLES, BadLineError, Bounds, Printed, Sample
from agent.outputs.prometheus import check_line, parsed_line
from agent.outputs.table import OUTPUTS
from agent.plan import Batch, RunKey, RunSpec
from agent.results import RunResult
from agent.verdict import Verdict, last_line
from common.contracts.reports import shortened
from common.contracts.states import Outcome
from common.masking import without_secrets

OUTCOME_METRIC = "mr_prober_outcome"
MAX_BATCH_SAMPLES = 20_000
# A verdict or a sample of one combination with its labels; so much more of the output is kept for each.
BYTES_PER_COMBINATION = 1024

_OUTCOMES = {0.0: Outcome.SUCCESS, 1.0: Outcome.FAILURE, 3.0: Outcome.BROKEN}
_Labels = frozenset[tuple[str, str]]


@dataclass
class _Read:
    """What the lines say; bad ones are counted as in any output."""

    keys: Mapping[_Labels, RunKey]
    verdicts: dict[RunKey, Verdict] = field(default_factory=dict)
    samples: dict[RunKey, list[Sample]] = field(default_factory=dict)
    bad_lines: int = 0
    first_problem: str = ""

    def refuse(self, problem: str, count: int = 1) -> None:
        self.bad_lines += count
        self.first_problem = self.first_problem or problem


def batch_results(
    whole: RunResult, spec: RunSpec, batch: Batch, lines: Sequence[str]
) -> list[RunResult]:
    """A result for each combination of the batch, which share the costs; bad lines are with the first one."""
    read = _Read({frozenset(labels.items()): key for key, labels in _members(batch)})
    others = []
    for line in lines:
        if line.lstrip().startswith(OUTCOME_METRIC):
            _read_verdict(read, line, spec.secrets)
        else:
            others.append(line)
    _read_samples(read, OUTPUTS[spec.output].samples(others, _bounds(batch)), batch)
    share = _share(whole.cost, len(batch.keys))
    results = []
    for number, key in enumerate(batch.keys):
        printed = Printed(
            tuple(read.samples.get(key, ())),
            0 if number else read.bad_lines,
            "" if number else read.first_problem,
        )
        said = read.verdicts.get(key) or _missing(whole.verdict)
        results.append(whole._replace(key=key, verdict=said, cost=share, printed=printed))
    return results


def _members(batch: Batch) -> Iterable[tuple[RunKey, Mapping[str, str]]]:
    return zip(batch.keys, batch.labels, strict=True)


def _bounds(batch: Batch) -> Bounds:
    # The labels of the matrix are for the prober to print here, they say whose sample it is.
    return Bounds(samples=min(MAX_SAMPLES * len(batch.keys), MAX_BATCH_SAMPLES))


def _read_verdict(read: _Read, line: str, secrets: Sequence[str]) -> None:
    try:
        key, said = _verdict_in(line, read.keys, secrets)
    except BadLineError as problem:
        read.refuse(f"{problem}: {line.strip()[:100]!r}")
    else:
        read.verdicts[key] = said


def _verdict_in(
    line: str, keys: Mapping[_Labels, RunKey], secrets: Sequence[str]
) -> tuple[RunKey, Verdict]:
    check_line(line)
    name, labels, value = parsed_line(line.strip())
    reason = last_line(without_secrets(labels.pop("reason", ""), secrets))
    key = keys.get(frozenset(labels.items()))
    if name != OUTCOME_METRIC or value not in _OUTCOMES:
        raise BadLineError(f"not {OUTCOME_METRIC} with 0, 1 or 3")
    if key is None:
        raise BadLineError("these labels are no combination of this run")
    outcome = _OUTCOMES[value]
    if outcome is Outcome.SUCCESS:
        return key, Verdict(outcome)
    return key, Verdict(outcome, shortened(reason) or f"printed {OUTCOME_METRIC} {value:g}")


def _read_samples(read: _Read, printed: Printed, batch: Batch) -> None:
    names = batch.labels[0].keys()
    if printed.bad_lines:
        read.refuse(printed.first_problem, printed.bad_lines)
    for sample in printed.samples:
        own = frozenset(pair for pair in sample.labels if pair[0] in names)
        key = read.keys.get(own)
        if key is None:
            read.refuse(f"the labels of {sample.name} are no combination of this run")
            continue
        labels = tuple(pair for pair in sample.labels if pair[0] not in names)
        read.samples.setdefault(key, []).append(replace(sample, labels=labels))


def _missing(whole: Verdict) -> Verdict:
    """The verdict about a combination about which nothing was printed."""
    if whole.outcome in {Outcome.TIMEOUT, Outcome.BROKEN}:
        return whole
    text = f"no {OUTCOME_METRIC} of it was printed"
    return Verdict(Outcome.BROKEN, shortened(f"{text}: {whole.reason}") if whole.reason else text)


def _share(cost: Cost, count: int) -> Cost:
    return Cost(cost.user_seconds / count, cost.system_seconds / count, cost.peak_rss_bytes)
