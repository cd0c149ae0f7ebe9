"""`output: prometheus`: the text exposition format, each line by itself, so that a bad one spoils no other. Pure."""

import re
from collections.abc import Iterable, Mapping

from agent.outputs.printed import BadLineError, Bounds, Gathering, Printed, Sample, SampleKind

# What a longer line says is no number; the parser would take seconds for it.
MAX_LINE_LENGTH = 10_000
# The loop waits while lines are parsed: a flood of them is not.
MAX_LINES_PER_SAMPLE = 10

_TYPE = re.compile(r"#[ \t]*TYPE[ \t]+(\S+)[ \t]+(\w+)[ \t]*")
_COUNTER_SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}


def prometheus_samples(lines: Iterable[str], bounds: Bounds) -> Printed:
    """The samples of these lines, each with its newline as those of a file: one without it is half a line."""
    kinds: dict[str, str] = {}
    gathering = Gathering(bounds)
    most = MAX_LINES_PER_SAMPLE * bounds.samples
    for number, line in enumerate(lines):
        if number >= most:
            gathering.refuse(line, f"more than {most} lines")
            continue
        text = line.strip()
        try:
            check_line(line)
            if declared := _TYPE.fullmatch(text):
                kinds[declared[1]] = declared[2]
            if text and not text.startswith("#"):
                name, pairs, value = parsed_line(text)
                gathering.add(Sample(name, tuple(sorted(pairs.items())), value, _kind(name, kinds)))
        except BadLineError as problem:
            gathering.refuse(text, problem)
    return gathering.result()


def check_line(line: str) -> None:
    """BadLineError if it is not whole or far too long; an empty one is never half."""
    if line and not line.endswith("\n"):
        raise BadLineError("half a line: no newline at its end")
    if len(line) > MAX_LINE_LENGTH:
        raise BadLineError(f"longer than {MAX_LINE_LENGTH} characters")


def parsed_line(text: str) -> tuple[str, dict[str, str], float]:
    """Name, labels and value; BadLineError."""
    # Here and not on top: only agents with such a prober pay for the import's memory.
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415

    try:
        (family,) = text_string_to_metric_families(f"{text}\n")
        (sample,) = family.samples
        return sample.name, dict(sample.labels), float(sample.value)
    # Of what it says about bad text the parser promises nothing: these are what was seen.
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise BadLineError('not a line like `name{label="value"} 1.5`') from error


def _kind(name: str, kinds: Mapping[str, str]) -> SampleKind:
    if "counter" in (kinds.get(name), kinds.get(name.removesuffix("_total"))):
        return "counter"
    for kind, suffixes in _COUNTER_SUFFIXES.items():
        for suffix in suffixes:
            if name.endswith(suffix) and kinds.get(name.removesuffix(suffix)) == kind:
                return "counter"
    return "gauge"
