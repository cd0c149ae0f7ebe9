"""A program that a launcher has started; for `launcher.py` alone.

The imports of this module are memory of every launcher: it has few.
"""

import contextlib
import resource

from agent.running import wire

# Whoever has runs looks around far more often; who did not stood still.
_STANDSTILL_NS = 1_000_000_000


class Run:
    """A started program; `pid` is not waited for yet, so that nobody else can have it."""

    __slots__ = (
        "breach", "cpu_seconds", "is_limited", "late_ns", "name", "number",
        "pid", "signalled", "started_ns",
    )  # fmt: skip

    def __init__(self, request: wire.StartRequest, name: str, pid: int, *, started_ns: int) -> None:
        """`name` is that of its TMPDIR."""
        self.number = request.number
        self.name = name
        self.cpu_seconds = request.cpu_seconds
        self.pid = pid
        self.started_ns = started_ns
        self.late_ns = started_ns - request.at_ns if request.at_ns else 0
        self.is_limited = False
        self.breach = ""
        self.signalled = False

    def took_ns(self, now_ns: int, *, alive_ns: int) -> int:
        """From its start to its end, which was noticed now; then, or at its start, it was surely alive.

        After a standstill of ours nobody knows when it ended: then as long as it surely took, in favour of who ended by itself.
        """
        alive_ns = max(alive_ns, self.started_ns)
        stood_still = now_ns - alive_ns > _STANDSTILL_NS
        return (alive_ns if stood_still else now_ns) - self.started_ns

    def limit_cpu(self) -> None:
        """The kernel's own limit is per process; the sum is looked at with the other limits of the run."""
        if self.cpu_seconds and not self.is_limited:
            self.is_limited = True
            with contextlib.suppress(OSError):
                limits = self.cpu_seconds, self.cpu_seconds + 1
                resource.prlimit(self.pid, resource.RLIMIT_CPU, limits)
