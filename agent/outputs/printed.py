"""Printed numbers as values, and the bounds within which each format keeps them. Pure.

Solomon never forgets a series: names, labels, their values and the number of samples are all bounded.
"""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

from common.contracts.identifiers import PROBER_VARIABLE_PATTERN

MAX_NAME_LENGTH = 200
MAX_LABEL_VALUE_LENGTH = 200
MAX_SAMPLES = 500
# 12 in all: `cluster_slug`, `host` and `prober_slug` are the agent's, the rest is shared with the matrix.
MAX_LABELS = 9
OUR_PREFIX = "mr_prober_"
# The agent's, and those that Solomon keeps for itself.
OUR_LABELS = frozenset(
    {"cluster_slug", "host", "prober_slug", "project", "cluster", "service", "name"}
)

SampleKind = Literal["gauge", "counter"]
LabelPairs = tuple[tuple[str, str], ...]

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(PROBER_VARIABLE_PATTERN)
_SHOWN_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """One printed number."""

    name: str
    labels: LabelPairs  # sorted
    value: float
    kind: SampleKind = "gauge"


@dataclass(frozen=True, slots=True)
class Printed:
    """The good lines, how many were bad, and what is wrong with the first bad one."""

    samples: tuple[Sample, ...] = ()
    bad_lines: int = 0
    first_problem: str = ""


NOTHING_PRINTED = Printed()


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one run may print."""

    # The names of the combination's own labels: they win, a printed one of the same name is bad.
    labels: Collection[str] = field(default=())
    samples: int = MAX_SAMPLES


class BadLineError(ValueError):
    """Why a line is not used."""


class Gathering:
    """The samples of one run while its lines are read; the last of equal ones counts."""

    def __init__(self, bounds: Bounds) -> None:
        self._taken = OUR_LABELS.union(bounds.labels)
        self._room = MAX_LABELS - len(bounds.labels)
        self._max_samples = bounds.samples
        self._samples: dict[tuple[str, LabelPairs], Sample] = {}
        self._bad_lines = 0
        self._first_problem = ""

    def add(self, sample: Sample) -> None:
        """Keep it; BadLineError if it is not within the bounds."""
        _check_name(sample.name)
        self._check_labels(sample.labels)
        if not math.isfinite(sample.value):
            raise BadLineError("not a finite number")
        if sample.kind == "counter" and sample.value < 0:
            raise BadLineError("a counter never falls")
        key = sample.name, sample.labels
        if key not in self._samples and len(self._samples) >= self._max_samples:
            raise BadLineError(f"more than {self._max_samples} samples")
        self._samples[key] = sample

    def refuse(self, line: str, problem: object) -> None:
        """Count a bad line."""
        self._bad_lines += 1
        if not self._first_problem:
            self._first_problem = f"{problem}: {line[:_SHOWN_CHARACTERS]!r}"

    def result(self) -> Printed:
        """What has come together."""
        return Printed(tuple(self._samples.values()), self._bad_lines, self._first_problem)

    def _check_labels(self, labels: LabelPairs) -> None:
        for name, value in labels:
            if not _LABEL.fullmatch(name):
                raise BadLineError(f"{name!r} is not a label name like {PROBER_VARIABLE_PATTERN}")
            if name in self._taken:
                raise BadLineError(f"the label {name} is not the prober's to set")
            if len(value) > MAX_LABEL_VALUE_LENGTH:
                raise BadLineError(
                    f"the value of {name} has more than {MAX_LABEL_VALUE_LENGTH} characters"
                )
        if len(labels) > self._room:
            raise BadLineError(f"more than {self._room} labels beside those of the matrix")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
        raise BadLineError(f"not a metric name of up to {MAX_NAME_LENGTH} characters")
    if name.startswith(OUR_PREFIX):
        raise BadLineError(f"the prefix {OUR_PREFIX} is the agent's")
