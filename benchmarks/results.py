"""The file of results: one section for each part, so that a part that is measured again replaces its own tables only. Pure but for the description of the machine."""

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TITLE = """# Benchmarks: the newest results

Made by `make bench`, or part by part with `make bench PARTS="…"`, as each section says. Columns beside each other come from one run: compare them, not machines.
"""
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class ResultTable:
    """A table with what a reader must know before it."""

    prose: str  # sentences, or nothing
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """The prose and the table."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
        return f"{self.prose}\n\n{table}" if self.prose else table


def section(part: str, tables: Iterable[ResultTable], machine: str) -> str:
    """What the file says about a part."""
    said = f"`make bench PARTS={part}` on {machine}."
    return "\n".join([said, "", *(table.markdown() for table in tables)])


def sections_of(text: str) -> dict[str, str]:
    """The sections of a file by part."""
    _, *found = _HEADING.split(text)
    return {
        part: content.strip() + "\n" for part, content in zip(found[::2], found[1::2], strict=True)
    }


def text_of(sections: Mapping[str, str], order: Sequence[str]) -> str:
    """The whole file; parts that there are no more are left out."""
    known = [part for part in order if part in sections]
    return "\n".join([_TITLE, *(f"## {part}\n\n{sections[part]}" for part in known)])


def this_machine() -> str:
    """The machine, in words."""
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    system = ".".join(platform.release().split(".")[:2])
    return (
        f"{len(os.sched_getaffinity(0))} cores ({model[1] if model else platform.machine()}), "
        f"{memory_gb:.0f} GB, Linux {system}, Python {platform.python_version()}"
    )
