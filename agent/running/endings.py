"""From the end of a run to its verdict and to what the flight recorder keeps of it: *decide*."""

from collections.abc import Sequence

from agent.batches import BYTES_PER_COMBINATION
from agent.costs import Cost
from agent.flights import KEPT_OF_A_FAILURE, KEPT_OF_A_SUCCESS, NOT_WANTED, Flight
from agent.outputs.printed import NOTHING_PRINTED, Bounds, Printed
from agent.outputs.table import OUTPUTS
from agent.plan import RunSpec
from agent.results import RunResult
from agent.running import wire
from agent.running.capture import KEPT_BYTES
from agent.running.run import EndCause, Run
from agent.verdict import Ending, LimitedCost, Verdict, verdict
from common.contracts.states import Outcome
from common.masking import without_secrets

_SUCCESS = Verdict(Outcome.SUCCESS)


def verdict_of(run: Run, end: wire.RunEnd, cost: Cost) -> Verdict:
    """What a run comes to whose process has ended like this."""
    spec = run.spec
    limited = LimitedCost(
        breach="output_mb" if run.cause is EndCause.OUTPUT_LIMIT else end.breach,
        cost=cost,
        memory_bytes=spec.sandbox.memory_bytes,
        cpu_seconds=spec.cpu_seconds,
    )
    # What nearly every run comes to needs no text.
    if end.exit_code == 0 and run.cause is None and not limited.breached_by(0):
        return _SUCCESS
    return verdict(
        Ending(
            exit_code=end.exit_code,
            time_limit_passed=run.cause is EndCause.TIME_LIMIT,
            time_limit=spec.time_limit,
            stdout=without_secrets(run.stdout.capture.text(), spec.secrets),
            stderr=without_secrets(run.stderr.capture.text(), spec.secrets),
            limited=limited,
        ),
        OUTPUTS[spec.output].verdict,
    )


def flight_of(run: Run, whole: RunResult, results: tuple[RunResult, ...]) -> Flight:
    """What the flight recorder gets; no `results`: nobody wanted the run any more."""
    flight = Flight(run.spec, whole, results, run.exit_code, ended_by=_ended_by(run))
    if run.printed_bytes:
        is_good = bool(results) and all(one.verdict.outcome is Outcome.SUCCESS for one in results)
        limit = KEPT_OF_A_SUCCESS if is_good and not run.spec.is_trial else KEPT_OF_A_FAILURE
        flight.stdout = run.stdout.capture.excerpt(limit)
        flight.stderr = run.stderr.capture.excerpt(limit)
    return flight


def _ended_by(run: Run) -> str:
    if run.cause is EndCause.NOT_WANTED:
        return NOT_WANTED
    return run.cause.value if run.cause else run.breach


def printed_by(spec: RunSpec, lines: Sequence[str]) -> Printed:
    """The numbers that were printed. Of a batch nothing yet: its lines belong to its combinations."""
    if spec.batch or not lines:
        return NOTHING_PRINTED
    return OUTPUTS[spec.output].samples(lines, Bounds(spec.labels.keys()))


def kept_bytes_of(spec: RunSpec) -> int:
    """How much of head and tail of its output is kept, each."""
    return KEPT_BYTES + BYTES_PER_COMBINATION * (len(spec.batch.keys) if spec.batch else 0)
