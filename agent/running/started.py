"""A program that a launcher was asked to start; for `launcher.py` and `warm_parents.py` alone.

The imports of this module are memory of every launcher: it has few.
"""

import contextlib
import os
import resource

from agent.running import wire

# Whoever has runs looks around more often than this; who did not stood still.
_STANDSTILL_NS = 1_000_000_000


class Run:
    """A run of a program, from the request on; all that is known before its start is made ready before it."""

    name = ""  # of its TMPDIR
    pid = 0  # of its process, which is not waited for yet, so that nobody else can have the number
    started_ns = 0  # or when a warm parent was asked
    is_limited = False
    breach = ""
    signalled = False
    status = 0
    took_ns = 0
    usage: resource.struct_rusage | None = None

    def __init__(self, request: bytes, descriptors: list[int]) -> None:
        """`request` is a `wire.start_request`; its descriptors are taken from these, and are ours until its start."""
        self.number, self.script, self.at_ns, count, self.program = wire.parsed_start(request)
        self.environment = self.program.environment.copy()
        self.descriptors = descriptors[:count]
        del descriptors[:count]

    def close_descriptors(self) -> None:
        """Others have them now, or nobody needs them."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []

    def note_end(
        self, status: int, usage: resource.struct_rusage, *, now_ns: int, alive_ns: int
    ) -> None:
        """Its process was waited for now; at `alive_ns`, or at its start, it was surely alive.

        After a standstill of ours nobody knows when it ended: then it took as long as is sure, in favour of who ended by itself.
        """
        self.status, self.usage = status, usage
        alive_ns = max(alive_ns, self.started_ns)
        stood_still = now_ns - alive_ns > _STANDSTILL_NS
        self.took_ns = (alive_ns if stood_still else now_ns) - self.started_ns

    def end_message(self) -> bytes:
        """What the agent is told at its end."""
        usage = self.usage
        figures = (0, 0, 0)
        if usage:
            figures = (
                round(usage.ru_utime * 1e6),
                round(usage.ru_stime * 1e6),
                usage.ru_maxrss * 1024,
            )
        late_ns = self.started_ns - self.at_ns if self.at_ns else 0
        end = wire.RunEnd(
            self.number, os.waitstatus_to_exitcode(self.status), self.breach, figures,
            elapsed_us=self.took_ns // 1000, signalled=self.signalled,
        )  # fmt: skip
        end.late_us = late_ns // 1000
        return wire.end_message(end)

    def limit_cpu(self) -> None:
        """The kernel's own limit is per process; the sum is looked at with the other limits of the run."""
        if self.program.cpu_seconds and not self.is_limited:
            self.is_limited = True
            with contextlib.suppress(OSError):
                limits = self.program.cpu_seconds, self.program.cpu_seconds + 1
                resource.prlimit(self.pid, resource.RLIMIT_CPU, limits)
