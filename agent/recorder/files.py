"""The files of the recorder, within a bound in all: *act*. Nothing here raises; what could not be kept is counted."""

import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from agent.recorder.format import FOLDER, NEWEST, OLD, Kind

log = logging.getLogger(__name__)

# Of what a prober may have; failures are worth more.
_SHARE = {Kind.FAILURES: 3 / 8, Kind.SUCCESSES: 1 / 8}  # of each of two files
_MOST_OF_ONE_PROBER = 4 * 1024 * 1024
_FIRST_PROBERS = 8  # as if there were so many, so that the first one does not take all


class RecordFiles:
    """Not for several threads at once. A folder for each prober; the one that was written to least lately goes first."""

    def __init__(self, agent_folder: Path, *, max_bytes: int) -> None:
        self._folder = agent_folder / FOLDER
        self._max_bytes = max_bytes
        # Bytes by prober and name of the file; probers in the order of their last write.
        self._sizes: dict[str, dict[str, int]] = {}
        self.size = 0  # bytes of all of them
        self.lost = 0
        self.problem = ""

    def open(self) -> None:
        """Find what an earlier agent left."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folders = [path for path in self._folder.iterdir() if path.is_dir()]
            for folder in sorted(folders, key=lambda path: path.stat().st_mtime_ns):
                sizes = {path.name: _whole_size(path) for path in folder.iterdir()}
                self._sizes[folder.name] = sizes
                self.size += sum(sizes.values())
        except OSError as error:
            self._complain(error)
        self._make_room("")

    @property
    def room_for_a_record(self) -> int:
        """So long may the line of one record be."""
        return int(self._quota() * _SHARE[Kind.SUCCESSES])

    def append(self, prober: str, kind: Kind, lines: Sequence[bytes]) -> None:
        """Keep these lines; the oldest ones go if there is no room."""
        sizes = self._sizes.pop(prober, None) or {}
        self._sizes[prober] = sizes
        for part in _within(lines, int(self._quota() * _SHARE[kind])):
            try:
                self._append(prober, kind, part)
            except OSError as error:
                self.lost += len(part)
                self._complain(error)
            else:
                self.problem = ""
        self._make_room(prober)

    def _append(self, prober: str, kind: Kind, lines: Sequence[bytes]) -> None:
        try:
            self._append_to(prober, kind, lines)
        except FileNotFoundError:
            # Somebody has made room by hand: what was there is gone, and what comes is kept all the same.
            self.size -= sum(self._sizes[prober].values())
            self._sizes[prober].clear()
            self._append_to(prober, kind, lines)

    def _append_to(self, prober: str, kind: Kind, lines: Sequence[bytes]) -> None:
        sizes, name = self._sizes[prober], f"{kind.value}{NEWEST}"
        content = b"".join(lines)
        folder = self._folder / prober
        if not sizes:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        size = sizes.get(name, 0)
        if size and size + len(content) > self._quota() * _SHARE[kind]:
            old = f"{kind.value}{OLD}"
            (folder / name).replace(folder / old)
            self.size -= sizes.get(old, 0)
            sizes[old], sizes[name], size = size, 0, 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(folder / name, flags, 0o600)
        try:
            # Where somebody has shortened it, there is nothing up to the end that we know.
            self.size -= size - min(size, os.fstat(descriptor).st_size)
            size = min(size, os.fstat(descriptor).st_size)
            # At the end that we know: a line that a crash cut off is written over.
            os.ftruncate(descriptor, size)
            _write(descriptor, content, size)
        finally:
            os.close(descriptor)
        sizes[name] = size + len(content)
        self.size += len(content)

    def _quota(self) -> int:
        """What one prober may have."""
        probers = max(len(self._sizes), _FIRST_PROBERS)
        return min(_MOST_OF_ONE_PROBER, self._max_bytes // probers)

    def _make_room(self, but_not: str) -> None:
        if self.size <= self._max_bytes:
            return
        for prober in [name for name in self._sizes if name != but_not]:
            shutil.rmtree(self._folder / prober, ignore_errors=True)
            self.size -= sum(self._sizes.pop(prober).values())
            if self.size <= self._max_bytes:
                return

    def _complain(self, error: OSError) -> None:
        """Once until something works again: a full disk is the same news for hours."""
        text = error.strerror or str(error)
        if text != self.problem:
            log.error("recorder folder=%s: %s", self._folder, text)
        self.problem = text


def _whole_size(path: Path) -> int:
    """Up to the end of the last whole line."""
    content = path.read_bytes()
    return content.rfind(b"\n") + 1


def _within(lines: Sequence[bytes], limit: int) -> list[list[bytes]]:
    """The lines in parts that fit into a file; a line that never does is a part of its own."""
    parts: list[list[bytes]] = []
    size = limit
    for line in lines:
        if size + len(line) > limit:
            parts.append([])
            size = 0
        parts[-1].append(line)
        size += len(line)
    return parts


def _write(descriptor: int, content: bytes, offset: int) -> None:
    """All of it or nothing; OSError."""
    left = memoryview(content)
    try:
        while left:
            left = left[os.pwrite(descriptor, left, offset + len(content) - len(left)) :]
    except OSError:
        os.ftruncate(descriptor, offset)
        raise
