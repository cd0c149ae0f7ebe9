"""What probers print, by the name of the format: text in, samples out. Pure.

A new format is one function and one line in `OUTPUTS`.
A bad line is counted and never drops the good ones.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from common.contracts.identifiers import PROBER_VARIABLE_PATTERN

MAX_NAME_LENGTH = 200
MAX_SAMPLES = 500
MAX_PRINTED_LABELS = 8
OUR_PREFIX = "mr_prober_"

SampleKind = Literal["gauge", "counter"]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(PROBER_VARIABLE_PATTERN)
_TYPE = re.compile(r"#\s*TYPE\s+(\S+)\s+(\w+)\s*")
_COUNTER_SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}


@dataclass(frozen=True, slots=True)
class Sample:
    """One printed number."""

    name: str
    labels: tuple[tuple[str, str], ...]  # sorted
    value: float
    kind: SampleKind = "gauge"


@dataclass(frozen=True, slots=True)
class Printed:
    """The good lines, how many were bad, and what is wrong with the first bad one."""

    samples: tuple[Sample, ...] = ()
    bad_lines: int = 0
    first_problem: str = ""


class _BadLineError(ValueError):
    """Why a line is not used."""


def nothing(lines: Iterable[str]) -> Printed:
    """`output: none`: whatever the prober prints is for people."""
    del lines
    return Printed()


def prometheus_text(lines: Iterable[str]) -> Printed:
    """`output: prometheus`: the text exposition format, each line by itself."""
    kinds: dict[str, str] = {}
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], Sample] = {}
    problems = []
    for line in map(str.strip, lines):
        if declared := _TYPE.fullmatch(line):
            kinds[declared[1]] = declared[2]
        if not line or line.startswith("#"):
            continue
        try:
            sample = _sample(line, kinds)
        except _BadLineError as problem:
            problems.append(f"{problem}: {line[:100]!r}")
            continue
        if (sample.name, sample.labels) not in samples and len(samples) == MAX_SAMPLES:
            problems.append(f"more than {MAX_SAMPLES} samples")
            continue
        samples[sample.name, sample.labels] = sample
    return Printed(tuple(samples.values()), len(problems), problems[0] if problems else "")


OUTPUTS: Mapping[str, Callable[[Iterable[str]], Printed]] = {
    "none": nothing,
    "prometheus": prometheus_text,
}


def _sample(line: str, kinds: Mapping[str, str]) -> Sample:
    name, printed_labels, value = _parsed(line)
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
        raise _BadLineError(f"not a metric name of up to {MAX_NAME_LENGTH} characters")
    if name.startswith(OUR_PREFIX):
        raise _BadLineError(f"the prefix {OUR_PREFIX} is the agent's")
    if not math.isfinite(value):
        raise _BadLineError("not a finite number")
    if wrong := [label for label in printed_labels if not _LABEL.fullmatch(label)]:
        raise _BadLineError(f"{wrong[0]!r} is not a label name like {PROBER_VARIABLE_PATTERN}")
    if len(printed_labels) > MAX_PRINTED_LABELS:
        raise _BadLineError(f"more than {MAX_PRINTED_LABELS} labels")
    kind = _kind(name, kinds)
    if kind == "counter" and value < 0:
        raise _BadLineError("a counter never falls")
    return Sample(name, tuple(sorted(printed_labels.items())), value, kind)


def _parsed(line: str) -> tuple[str, dict[str, str], float]:
    # Here and not on top: only agents with such a prober pay for the import's memory.
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415

    try:
        (family,) = text_string_to_metric_families(f"{line}\n")
        (sample,) = family.samples
    except (ValueError, IndexError, KeyError) as error:
        raise _BadLineError('not a line like `name{label="value"} 1.5`') from error
    return sample.name, dict(sample.labels), float(sample.value)


def _kind(name: str, kinds: Mapping[str, str]) -> SampleKind:
    if "counter" in (kinds.get(name), kinds.get(name.removesuffix("_total"))):
        return "counter"
    for kind, suffixes in _COUNTER_SUFFIXES.items():
        for suffix in suffixes:
            if name.endswith(suffix) and kinds.get(name.removesuffix(suffix)) == kind:
                return "counter"
    return "gauge"
