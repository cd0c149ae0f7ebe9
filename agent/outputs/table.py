"""The output formats by their names: a new one is a file beside this one and a line here. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from agent.outputs.nagios import nagios_samples, nagios_verdict
from agent.outputs.none import no_samples
from agent.outputs.printed import Printed
from agent.outputs.prometheus import prometheus_samples
from agent.verdict import ExitVerdict, verdict_of_exit


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """What is made of a run's stdout, and of its exit status if that decides."""

    # Lines with their newlines, and the names of the combination's labels; never fails.
    samples: Callable[[Iterable[str], Collection[str]], Printed]
    verdict: ExitVerdict = verdict_of_exit


OUTPUTS: Mapping[str, OutputFormat] = {
    "none": OutputFormat(no_samples),
    "prometheus": OutputFormat(prometheus_samples),
    "nagios": OutputFormat(nagios_samples, nagios_verdict),
}
