"""Reads what a flight recorder left on disk, whether its agent lives or not: *read*."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from agent.recorder.format import FOLDER, NEWEST, OLD, Kind, Line, lines_in
from common.contracts.control import MAX_RECORDS, Records


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records: of one prober or all, bad ones only; the newest `limit`, or the first ones after a number."""

    prober: str | None = None
    failed: bool = False
    limit: int = 50
    after: int | None = None


@dataclass
class Found:
    """What was found; records come by `number` once only."""

    lines: dict[int, Line] = field(default_factory=dict)
    damaged: int = 0

    def records(self, wanted: Wanted) -> Records:
        """Those that are wanted, by ascending number."""
        limit = max(0, min(wanted.limit, MAX_RECORDS))
        numbers = [one for one in self.lines if wanted.after is None or one > wanted.after]
        pick = heapq.nlargest if wanted.after is None else heapq.nsmallest
        chosen = [self.lines[number].record() for number in sorted(pick(limit, numbers))]
        records = [record for record in chosen if record is not None]
        newest = records[-1].number if records else max(self.lines, default=wanted.after or 0)
        return Records(
            records=records,
            newest=max(newest, wanted.after or 0),
            damaged=self.damaged + len(chosen) - len(records),
        )


def read_records(agent_folder: Path, wanted: Wanted) -> Records:
    """What is on disk; nothing if there is nothing or nobody may read it."""
    return found_on_disk(agent_folder, wanted).records(wanted)


def found_on_disk(agent_folder: Path, wanted: Wanted) -> Found:
    """The lines, not read yet."""
    found = Found()
    for path in _files(agent_folder / FOLDER, wanted):
        try:
            content = path.read_bytes()
        except OSError:
            continue  # it has just become the old one, or nobody may read it
        for line in lines_in(content):
            if line is None:
                found.damaged += 1
            else:
                found.lines[line.number] = line
    return found


def _files(folder: Path, wanted: Wanted) -> Iterable[Path]:
    try:
        names = [wanted.prober] if wanted.prober else sorted(path.name for path in folder.iterdir())
    except OSError:
        return
    for name in names:
        for kind in (Kind.FAILURES,) if wanted.failed else Kind:
            # The newest first: should it become the old one meanwhile, it is read twice and not never.
            for suffix in (NEWEST, OLD):
                yield folder / name / f"{kind.value}{suffix}"
