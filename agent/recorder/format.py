"""How records lie on disk. Pure.

    recorder/<slug of the prober>/failures.jsonl        the newest runs that were not good
    recorder/<slug of the prober>/failures.old.jsonl    those before them
    recorder/<slug of the prober>/successes.jsonl
    recorder/<slug of the prober>/successes.old.jsonl

One `RunRecord` (common/contracts/records.py) as JSON on each line, the newest last; `format` and `number` come first.
A line that is no record, cut off by a crash, is skipped and counted.
A file that is full becomes the old one, and the old one goes: so there is always at least half of what there is room for.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from common.contracts.records import RECORD_FORMAT, RunRecord

FOLDER = "recorder"
NEWEST, OLD = ".jsonl", ".old.jsonl"
_BEGINNING = re.compile(rb'\{"format":(\d{1,9}),"number":(\d{1,19}),')


class Kind(StrEnum):
    """Which file a record is in."""

    FAILURES = "failures"
    SUCCESSES = "successes"


@dataclass(frozen=True, slots=True)
class Line:
    """A record that is not read yet."""

    number: int
    content: bytes

    def record(self) -> RunRecord | None:
        """None if it is damaged."""
        try:
            return RunRecord.model_validate_json(self.content)
        except ValidationError:
            return None


def line_of(record: RunRecord) -> bytes:
    """The record with its newline."""
    return record.model_dump_json().encode() + b"\n"


def lines_in(content: bytes) -> Iterator[Line | None]:
    """What a file holds; None for each line that is no record of a format that we know."""
    for line in content.split(b"\n"):
        if not line:
            continue
        found = _BEGINNING.match(line)
        # Its end tells whether it is whole; whether it is sound is looked at only if it is wanted.
        if found is None or int(found[1]) != RECORD_FORMAT or not line.endswith(b"}"):
            yield None
        else:
            yield Line(int(found[2]), line)
