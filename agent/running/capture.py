"""What is kept of a stream: its head and its tail, each within a bound, whatever comes in between. Pure."""

from agent.flights import NOTHING, Excerpt

KEPT_BYTES = 64 * 1024
_NOTHING = bytearray()


class Capture:
    """Takes chunks as they come; never holds more than about three times the bound."""

    __slots__ = ("_head", "_kept", "_tail", "_tail_cut", "fed_bytes")

    def __init__(self, *, kept_bytes: int = KEPT_BYTES) -> None:
        """`kept_bytes` bounds head and tail, each by itself."""
        self._kept = kept_bytes
        # Most runs print nothing.
        self._head = self._tail = _NOTHING
        self._tail_cut = 0
        self.fed_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the stream."""
        if not self.fed_bytes:
            self._head, self._tail = bytearray(), bytearray()
        self.fed_bytes += len(chunk)
        room = self._kept - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        self._tail += chunk
        if len(self._tail) > 2 * self._kept:
            self._cut_tail()

    @property
    def cut_bytes(self) -> int:
        """How many bytes between head and tail are lost."""
        return self._tail_cut + max(0, len(self._tail) - self._kept)

    def excerpt(self, limit: int) -> Excerpt:
        """Head and tail, together at most `limit` bytes."""
        if not self.fed_bytes:
            return NOTHING
        kept = len(self._head) + len(self._tail)
        if kept <= limit and not self._tail_cut:
            return Excerpt(bytes(self._head + self._tail), printed_bytes=self.fed_bytes)
        half = limit // 2
        tail = bytes(self._tail[-half:])
        if len(tail) < half and not self._tail_cut:
            # The two are one piece still.
            tail = bytes(self._head[len(tail) - half :]) + tail
        head = bytes(self._head[:half])
        return Excerpt(head, tail, self.fed_bytes - len(head) - len(tail), self.fed_bytes)

    def text(self) -> str:
        """Head and tail; the cut between them is marked on a line of its own."""
        self._cut_tail()
        if not self._tail_cut:
            return (self._head + self._tail).decode(errors="replace")
        mark = f"\n{self._mark()}"
        head, tail = (part.decode(errors="replace") for part in (self._head, self._tail))
        return f"{head}{mark}{tail}"

    def lines(self) -> list[str]:
        """The lines with their newlines; the mark stands for those through which the cut goes."""
        if not self.fed_bytes:
            return []
        self._cut_tail()
        if not self._tail_cut:
            return _lines(self._head + self._tail)
        _, newline, tail = self._tail.partition(b"\n")
        head = self._head[: self._head.rfind(b"\n") + 1]
        return [*_lines(head), self._mark(), *(_lines(tail) if newline else [])]

    def _mark(self) -> str:
        return f"[... {self._tail_cut} bytes cut ...]\n"

    def _cut_tail(self) -> None:
        surplus = len(self._tail) - self._kept
        if surplus > 0:
            del self._tail[:surplus]
            self._tail_cut += surplus


def _lines(content: bytearray) -> list[str]:
    # No `splitlines`: to that, much else ends a line.
    lines = content.decode(errors="replace").split("\n")
    return [f"{line}\n" for line in lines[:-1]] + [line for line in lines[-1:] if line]
