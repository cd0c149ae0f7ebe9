"""The output formats by their names: a new one is a file beside this one and a line here. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from agent.outputs.nagios import nagios_samples, nagios_verdict
from agent.outputs.none import no_samples
from agent.outputs.printed import Bounds, Printed
from agent.outputs.prometheus import prometheus_samples
from agent.verdict import ExitVerdict, verdict_of_exit


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """What is made of a run's stdout, and of its exit status if that decides."""

    # From lines with their newlines; never fails.
    samples: Callable[[Iterable[str], Bounds], Printed]
    verdict: ExitVerdict = verdict_of_exit
    # Whether one run can speak about many combinations.
    knows_batch: bool = True


OUTPUTS: Mapping[str, OutputFormat] = {
    "none": OutputFormat(no_samples),
    "prometheus": OutputFormat(prometheus_samples),
    "nagios": OutputFormat(nagios_samples, nagios_verdict, knows_batch=False),
}
