"""One process of mode `server` and the requests that it has not answered yet: *act*.

To the runner it is what a launcher is: it holds runs and ends them when it is told to.
The end of a run is the answer to its request; a run over its time limit is over, and its late answer is known by its number.
"""

import contextlib
import os
import selectors
import signal
from collections.abc import Callable
from dataclasses import dataclass

from agent.plan import RunSpec
from agent.running import kernel, wire
from agent.running.launchers import Launcher, Listener
from agent.running.probe_protocol import ProbeReply, ProtocolError, ReplyReader, request_frame
from agent.running.run import Pipe
from agent.scheduler import SECOND_NS
from agent.verdict import last_line

_READ_BYTES = 64 * 1024
_READS_PER_EVENT = 4
_READS_AT_THE_END = 8
_KEPT_SAID_BYTES = 4096
# Requests that it has not read: a batch may be large.
_MAX_OUTBOX_BYTES = 16 * 1024 * 1024
_UNKILLABLE_NS = 5 * SECOND_NS
_BROKEN_STATUS = 3
_MAX_MILLISECONDS = 2**31 - 1


def request_options(spec: RunSpec) -> dict[str, str]:
    """What a request says: the prober's variables by their own names, and MR_PROBER_…; targets of a batch as JSON."""
    options = {
        name.removeprefix("VAR_").lower() if name.startswith("VAR_") else name: value
        for name, value in spec.environment.items()
    }
    if spec.batch:
        options[wire.TARGETS] = spec.batch.targets
    return options


@dataclass(eq=False)
class Request:
    """A run that waits for its answer."""

    number: int
    spec: RunSpec
    stdout: Pipe
    stderr: Pipe
    started_ns: int
    said_bytes: int  # how much the server had said by then


@dataclass(frozen=True)
class Surroundings:
    """Whom a server tells what."""

    selector: selectors.BaseSelector
    listener: Listener
    # After each run that is over.
    on_answer: Callable[["Server"], None]
    clock_ns: Callable[[], int]


class Server:
    """One process; used by one thread."""

    def __init__(
        self,
        number: int,
        spec: RunSpec,
        launcher: Launcher,
        descriptors: tuple[int, int, int],
        around: Surroundings,
    ) -> None:
        """`descriptors`: our ends of its input, output and errors, which do not block."""
        self.number = number
        self.prober_slug = spec.prober_slug
        self.interval_ns = round(spec.interval.total_seconds() * SECOND_NS)
        self.is_for_one_run = spec.is_trial
        self.secrets = spec.secrets
        self.pid = 0
        self.pending: dict[int, Request] = {}
        # Requests whose time was over, since the last answer.
        self.unanswered = 0
        self.has_answered = False
        self.is_ending = False
        self.used_ns = around.clock_ns()
        self.deadline_ns = 0
        self.breach = ""
        self._spec = spec
        self._launcher = launcher
        self._around = around
        self._input: int | None = descriptors[0]
        self._outputs: dict[int, Callable[[bytes], None]] = {
            descriptors[1]: self._take_output, descriptors[2]: self._take_said,
        }  # fmt: skip
        for descriptor in self._outputs:
            around.selector.register(descriptor, selectors.EVENT_READ, self._reading(descriptor))
        self._reader = ReplyReader(max_bytes=spec.output_bytes)
        self._outbox = bytearray()
        self._is_writing = False
        self._said = bytearray()
        self._said_bytes = 0
        self._idle_bytes = 0  # printed since the last answer
        self._next_id = 0
        self._ticks = self._user_ticks = 0
        self._busy_ticks = self._busy_requests = 0
        self._is_killed = False

    def ask(self, number: int, spec: RunSpec, streams: tuple[Pipe, Pipe], now_ns: int) -> None:
        """Send the request of a run; OSError if it has not read those before."""
        milliseconds = round(spec.time_limit.total_seconds() * 1000)
        self._next_id += 1
        frame = request_frame(
            self._next_id,
            time_limit_milliseconds=min(_MAX_MILLISECONDS, milliseconds),
            options=request_options(spec),
        )
        if len(self._outbox) + len(frame) > _MAX_OUTBOX_BYTES:
            raise OSError(None, "the server does not read its requests")
        if not self.pending:
            self._busy_requests = 0
            self._busy_ticks = self._ticks
        self._busy_requests += 1
        self.used_ns = now_ns
        self.pending[self._next_id] = Request(number, spec, *streams, now_ns, self._said_bytes)
        self._outbox += frame
        self._write(now_ns)

    def signal(self, number: int, which: signal.Signals) -> None:
        """The run shall end: its time is over, or nobody wants it. The process goes on."""
        found = next((one for one, asked in self.pending.items() if asked.number == number), None)
        if found is None:
            return
        request = self.pending.pop(found)
        waited_ns = self._around.clock_ns() - request.started_ns
        if waited_ns >= request.spec.time_limit.total_seconds() * SECOND_NS:
            self.unanswered += 1
        self._finish(request, -which)

    def is_stopped(self) -> bool:
        """Nobody waits for a run that was told to end."""
        return False

    def kill(self) -> None:
        """End the process at once."""
        self._is_killed = True
        self.deadline_ns = self._around.clock_ns() + _UNKILLABLE_NS
        self._launcher.signal(self.number, signal.SIGKILL)

    def end(self, now_ns: int) -> None:
        """Ask it to end; what it still prints belongs to nobody."""
        if self.is_ending:
            return
        self.is_ending = True
        self._close_input()
        self._launcher.signal(self.number, signal.SIGTERM)
        self.deadline_ns = now_ns + round(self._spec.grace.total_seconds() * SECOND_NS)

    def deadline_passed(self) -> bool:
        """Kill it if it was only asked to end; False if it was killed before and is still there."""
        if self._is_killed:
            return False
        self.kill()
        return True

    def gone(self, words: str, *, breach: str) -> None:
        """It has ended, and what it has not answered is broken."""
        self._close_input()
        for descriptor in list(self._outputs):
            self._close_output(descriptor)
        for request in list(self.pending.values()):
            self._finish(request, _BROKEN_STATUS, text=words.encode(), breach=breach)
        self.pending.clear()

    def read_rest(self) -> None:
        """What it printed before its end."""
        for descriptor in list(self._outputs):
            self._read(descriptor, _READS_AT_THE_END)

    def last_words(self, end: wire.RunEnd) -> str:
        """How it ended, with the last line of its errors."""
        said = last_line(self._said.decode(errors="replace"))
        if end.exit_code < 0:
            how = f"the server was killed by {_signal_name(-end.exit_code)}"
        else:
            how = f"the server ended with exit status {end.exit_code}"
        return f"{how}: {said}" if said else how

    def check_cpu(self) -> None:
        """Kill it if its requests take more than they may; each of them may take as much as a run."""
        stat = self._stat() if self.pending else None
        if stat is None or self._is_killed:
            return
        used_ns = (stat.cpu_ticks - self._busy_ticks) * kernel.TICK_NS
        if used_ns > self._spec.cpu_seconds * self._busy_requests * SECOND_NS:
            self._break("cpu_seconds")

    def _break(self, breach: str) -> None:
        self.breach = breach
        self.kill()

    def _finish(
        self, request: Request, exit_code: int, *, text: bytes = b"", breach: str = ""
    ) -> None:
        """Tell the end of a run; what it cost is what the server has used since the end of the one before."""
        said_bytes = min(self._said_bytes - request.said_bytes, len(self._said))
        said = bytes(self._said[len(self._said) - said_bytes :]) if exit_code else b""
        request.stderr.capture.feed(said + b"\n" + text if text else said)
        user = system = rss_bytes = 0
        if stat := self._stat():
            user = stat.user_ticks - self._user_ticks
            system = stat.cpu_ticks - self._ticks - user
            self._ticks, self._user_ticks = stat.cpu_ticks, stat.user_ticks
            rss_bytes = stat.rss_bytes
        microseconds = kernel.TICK_NS // 1000
        elapsed_us = (self._around.clock_ns() - request.started_ns) // 1000
        usage = user * microseconds, system * microseconds, rss_bytes
        self._around.listener.ended(
            wire.RunEnd(request.number, exit_code, breach, usage, elapsed_us=elapsed_us)
        )
        self._around.on_answer(self)

    def _stat(self) -> kernel.Stat | None:
        return kernel.process_stat(self.pid) if self.pid else None

    def _reading(self, descriptor: int) -> Callable[[int], None]:
        return lambda _: self._read(descriptor, _READS_PER_EVENT)

    def _read(self, descriptor: int, times: int) -> None:
        for _ in range(times):
            # What was read may have ended the server.
            if descriptor not in self._outputs:
                return
            try:
                chunk = os.read(descriptor, _READ_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self._close_output(descriptor)
                return
            self._idle_bytes += len(chunk)
            self._outputs[descriptor](chunk)
            if self._idle_bytes > self._spec.output_bytes and not self._is_killed:
                self._break("output_mb")

    def _take_said(self, chunk: bytes) -> None:
        self._said_bytes += len(chunk)
        self._said += chunk
        del self._said[:-_KEPT_SAID_BYTES]

    def _take_output(self, chunk: bytes) -> None:
        try:
            for reply in self._reader.replies(chunk):
                self._take_reply(reply)
        except ProtocolError:
            self._break("output_mb")

    def _take_reply(self, reply: ProbeReply) -> None:
        self._idle_bytes = self.unanswered = 0
        self.has_answered = True
        request = self.pending.pop(reply.request_id, None)
        if request is None:  # its time was over
            return
        payload = reply.payload
        # The payload is whole, whether its last line ends with a newline or not.
        request.stdout.capture.feed(payload if payload.endswith(b"\n") else payload + b"\n")
        if reply.error_message:
            self._finish(request, 1, text=reply.error_message.encode())
        else:
            self._finish(request, 0)

    def _write(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                while self._outbox and self._input is not None:
                    written = os.write(self._input, self._outbox[:_READ_BYTES])
                    del self._outbox[:written]
            except BrokenPipeError:  # it ends, or will be replaced: it reads no more
                self._close_input()
        self._write_later(wanted=bool(self._outbox) and self._input is not None)

    def _write_later(self, *, wanted: bool) -> None:
        if self._input is None or wanted == self._is_writing:
            return
        self._is_writing = wanted
        if wanted:
            self._around.selector.register(self._input, selectors.EVENT_WRITE, self._write)
        else:
            self._around.selector.unregister(self._input)

    def _close_input(self) -> None:
        self._write_later(wanted=False)
        self._outbox.clear()
        if self._input is not None:
            os.close(self._input)
            self._input = None

    def _close_output(self, descriptor: int) -> None:
        if self._outputs.pop(descriptor, None):
            self._around.selector.unregister(descriptor)
            os.close(descriptor)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
