"""Cells on disk between their end and their push, so that what an agent has counted survives kill -9 meanwhile: *act*.

A file for each cell beside the spool's, gone as soon as the cell is pushed or in the spool. Its number goes into the accounts
(`accounts.py`), which are written after it: a cell that they do not know is none, since its beats are still open there.
Nothing here raises: without these files a cell is as safe as the process that holds it.
"""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.sinks.spool_records import RecordHead, heads_in, packed, unpacked
from common.solomon.encoder import EncodedPush

log = logging.getLogger(__name__)

_SUFFIX = ".fresh"


@dataclass(frozen=True, slots=True)
class FreshCell:
    """A cell, encoded; `at` is Unix seconds."""

    number: int
    at: int
    pushes: Sequence[EncodedPush]


class FreshCells:
    """Not for several threads at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, cell: FreshCell) -> None:
        """Have it outlast this process, and a loss of power: accounts that are on disk without it would lose its beats for nobody to see."""
        content = b"".join(
            packed(push.body, points=push.metrics, at=cell.at) for push in cell.pushes
        )
        try:
            with self._path(cell.number).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            log.debug("a cell is not kept: %s", error)

    def done(self, number: int) -> None:
        """It is pushed, or waits elsewhere."""
        with contextlib.suppress(OSError):
            self._path(number).unlink(missing_ok=True)

    def left(self, handed_over: int) -> Iterator[tuple[RecordHead, bytes]]:
        """What an earlier process had handed over and not pushed; all of it is gone once it was looked at."""
        for path in self._files():
            if int(path.stem) <= handed_over:
                yield from _records_in(path)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        try:
            found = [path for path in self._folder.glob(f"*{_SUFFIX}") if path.stem.isdigit()]
        except OSError:
            return []
        return sorted(found)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:020d}{_SUFFIX}"


def _records_in(path: Path) -> Iterator[tuple[RecordHead, bytes]]:
    try:
        content = path.read_bytes()
    except OSError:
        return
    offset = 0
    for head in heads_in(content):
        yield head, unpacked(content[offset : offset + head.size])
        offset += head.size
