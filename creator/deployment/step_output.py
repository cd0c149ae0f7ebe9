"""Read: what a running or ended terraform has written since the last look, into events and log."""

from collections import deque
from pathlib import Path

from creator.deployment.events import Events
from creator.deployment.logs import DeploymentLog

_BLOCK_BYTES = 256 * 1024
# A look must end, however fast terraform writes.
_BLOCKS_PER_LOOK = 16
_LONGEST_LINE_BYTES = 1024 * 1024
_LINES_KEPT = 500


class StepOutput:
    """The output folder of one step; for one thread. A file that is not there (yet) is empty. OSError."""

    def __init__(self, folder: Path, events: Events, log: DeploymentLog) -> None:
        self._stdout = _GrowingFile(folder / "stdout")
        self._stderr = _GrowingFile(folder / "stderr")
        self._events = events
        self._log = log
        # The newest lines as people read them, secrets included.
        self.said: deque[str] = deque(maxlen=_LINES_KEPT)

    def read(self) -> None:
        """What has come since the last look."""
        for line in self._stdout.lines(_BLOCKS_PER_LOOK):
            self._add(self._events.read(line))
        for line in self._stderr.lines(_BLOCKS_PER_LOOK):
            self._add(line)

    def read_to_end(self) -> None:
        """All that is left; terraform has ended."""
        while self._stdout.has_more() or self._stderr.has_more():
            self.read()
            # A flood must not fill the memory, either.
            self._log.flush()
        for line in self._stdout.rest():
            self._add(self._events.read(line))
        for line in self._stderr.rest():
            self._add(line)

    def _add(self, text: str) -> None:
        if text:
            self.said.extend(text.splitlines())
            self._log.add(text)


class _GrowingFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._partial = b""

    def has_more(self) -> bool:
        """Whether there is something that nobody has read."""
        return self._path.exists() and self._path.stat().st_size > self._position

    def lines(self, blocks: int) -> list[str]:
        """Whole lines; one that never ends is cut."""
        if not self.has_more():
            return []
        with self._path.open("rb") as file:
            file.seek(self._position)
            read = file.read(blocks * _BLOCK_BYTES)
        self._position += len(read)
        *lines, self._partial = (self._partial + read).split(b"\n")
        if len(self._partial) > _LONGEST_LINE_BYTES:
            lines.append(self._partial)
            self._partial = b""
        return [line.decode(errors="replace").rstrip("\r") for line in lines]

    def rest(self) -> list[str]:
        """The line that was not ended."""
        rest, self._partial = self._partial, b""
        return [rest.decode(errors="replace")] if rest else []
