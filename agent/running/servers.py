"""Mode `server`: processes that answer one request for each run over cloudprober's protocol: *act*.

A server is a program that a launcher has started like any other, but it stays.
Runs that differ only in their matrix variables share one; what differs comes with the request.
Who dies is started again, who no longer answers is replaced, both with growing pauses; its runs never wait for that.
"""

import contextlib
import logging
import os
import selectors
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.plan import RunKey, RunSpec, Sandbox
from agent.running import wire
from agent.running.launchers import Launchers, Listener
from agent.running.run import Pipe
from agent.running.server import Server, Surroundings
from agent.scheduler import SECOND_NS
from common.masking import without_secrets

log = logging.getLogger(__name__)

# So many requests without any answer between them, and another process has its turn.
_UNANSWERED = 3
_LONGEST_PAUSE_NS = 300 * SECOND_NS
_IDLE_NS = 600 * SECOND_NS
_LOOK_NS = SECOND_NS

_Key = tuple[Sandbox, Path, tuple[str, ...], frozenset[tuple[str, str]], bool]


class Pause:
    """None after the first time, then longer and longer ones until something good happens. Pure."""

    def __init__(self) -> None:
        self._next_ns = 0
        self.until_ns = 0

    def begin(self, now_ns: int) -> None:
        """It has happened again."""
        self.until_ns = now_ns + self._next_ns
        self._next_ns = min(_LONGEST_PAUSE_NS, max(SECOND_NS, 2 * self._next_ns))

    def reset(self) -> None:
        """Something good has happened."""
        self._next_ns = 0


class _Place:
    """Where one server is after the other."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.users: set[RunKey] = set()
        self.deaths = Pause()
        self.replacements = Pause()
        self.last_end = ""


class Servers:
    """All servers of one agent; used by one thread."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        launchers: Launchers,
        listener: Listener,
        *,
        path: str,
        clock_ns: Callable[[], int],
        next_number: Callable[[], int],
    ) -> None:
        """`listener` hears of the end of each run; `path` is the servers' PATH."""
        self._selector = selector
        self._launchers = launchers
        self._listener = listener
        self._path = path
        self._clock_ns = clock_ns
        self._next_number = next_number
        self._places: dict[_Key, _Place] = {}
        # By the number under which their launchers know them; those that are ending, too.
        self._servers: dict[int, Server] = {}
        self._look_at_ns = 0

    @property
    def is_busy(self) -> bool:
        """Whether answers may come any moment."""
        return any(server.pending for server in self._servers.values())

    @property
    def ending(self) -> int:
        """How many servers were told to end and have not."""
        return sum(server.is_ending for server in self._servers.values())

    def request(self, number: int, spec: RunSpec, streams: tuple[Pipe, Pipe]) -> Server:
        """Have a server answer for this run; its streams get what it says. OSError if there can be none now."""
        now_ns = self._clock_ns()
        key = _key(spec)
        place = self._places.setdefault(key, _Place())
        place.users.add(spec.key)
        server = place.server
        if server is None:
            if now_ns < place.deaths.until_ns:
                seconds = (place.deaths.until_ns - now_ns + SECOND_NS - 1) // SECOND_NS
                raise OSError(None, f"{place.last_end}; it is started again in {seconds} s")
            server = place.server = self._started(spec, now_ns)
        server.ask(number, spec, streams, now_ns)
        return server

    def begun(self, number: int, pid: int) -> None:
        """The process of a server."""
        if server := self._servers.get(number):
            server.pid = pid

    def ended(self, end: wire.RunEnd) -> None:
        """If this was a server, its runs are broken, and the next one starts another."""
        if server := self._servers.get(end.number):
            server.read_rest()
            self._gone(server, server.last_words(end), breach=end.breach or server.breach)

    def refused(self, number: int, error: OSError) -> None:
        """If this was a server, there is none."""
        if server := self._servers.get(number):
            self._gone(server, f"the server cannot be started: {error.strerror}")

    def lost(self, numbers: Iterable[int]) -> None:
        """Their launcher was killed, and they will be."""
        for server in [self._servers[number] for number in numbers if number in self._servers]:
            self._gone(server, "the process that started the server was killed, and it, too")

    def leave(self, key: RunKey) -> None:
        """Nobody wants the runs of this schedule any more; a server that has no others ends."""
        for name, place in list(self._places.items()):
            place.users.discard(key)
            if not place.users:
                del self._places[name]
                if place.server:
                    place.server.end(self._clock_ns())

    def end_all(self) -> None:
        """End all of them."""
        self._places.clear()
        for server in self._servers.values():
            server.end(self._clock_ns())

    def next_at_ns(self) -> int | None:
        """When `tick` has something to do; None: never."""
        if not self._servers:
            return None
        deadlines = [one.deadline_ns for one in self._servers.values() if one.deadline_ns]
        return min([self._look_at_ns, *deadlines])

    def tick(self, now_ns: int) -> None:
        """End who hangs, is idle, or takes too much."""
        for server in list(self._servers.values()):
            is_due = 0 < server.deadline_ns <= now_ns
            if is_due and not server.deadline_passed():
                self._gone(server, "the server cannot be killed")
        if now_ns >= self._look_at_ns:
            self._look_at_ns = now_ns + _LOOK_NS
            for server in list(self._servers.values()):
                server.check_cpu()
            for place in self._places.values():
                self._look_at(place, now_ns)

    def _look_at(self, place: _Place, now_ns: int) -> None:
        server = place.server
        if server is None or server.pending:
            return
        if now_ns - server.used_ns > max(_IDLE_NS, 2 * server.interval_ns):
            place.server = None
            server.end(now_ns)

    def _answered(self, server: Server) -> None:
        """A run of this server is over."""
        place = self._place_of(server)
        if place is None:  # it was replaced
            if not server.pending:
                server.end(self._clock_ns())
        elif server.is_for_one_run:
            place.server = None
            server.end(self._clock_ns())
        elif not server.unanswered:
            place.replacements.reset()
        elif server.unanswered >= _UNANSWERED:
            self._replace(place, server)

    def _replace(self, place: _Place, server: Server) -> None:
        """The next run starts another one; what this one still owes it may still answer."""
        now_ns = self._clock_ns()
        if now_ns < place.replacements.until_ns:
            return
        place.replacements.begin(now_ns)
        place.server = None
        log.warning(
            "the server of prober=%s has left %d requests unanswered, another one follows pid=%d",
            server.prober_slug, server.unanswered, server.pid,
        )  # fmt: skip
        if not server.pending:
            server.end(now_ns)

    def _gone(self, server: Server, words: str, *, breach: str = "") -> None:
        del self._servers[server.number]
        place = self._place_of(server)
        if place:
            place.server = None
            place.last_end = words
            if server.has_answered:
                place.deaths.reset()
            place.deaths.begin(self._clock_ns())
            log.warning(
                "the server of prober=%s is gone pid=%d: %s", server.prober_slug, server.pid,
                without_secrets(words, server.secrets),
            )  # fmt: skip
        server.gone(words, breach=breach)

    def _place_of(self, server: Server) -> _Place | None:
        return next((one for one in self._places.values() if one.server is server), None)

    def _started(self, spec: RunSpec, now_ns: int) -> Server:
        launcher = self._launchers.launcher_for(spec.sandbox, now_ns)
        environment = {**_shared(spec), "PATH": self._path, "LANG": "C.UTF-8"}
        # How long it lives has nothing to do with what a run may take.
        program = wire.encoded_program(
            spec.arguments, environment, folder=str(spec.folder), cpu_seconds=0
        )
        number = self._next_number()
        with contextlib.ExitStack() as stack:
            theirs, ours = [], []
            for is_input in (True, False, False):
                read_end, write_end = os.pipe2(os.O_CLOEXEC)
                mine, its = (write_end, read_end) if is_input else (read_end, write_end)
                stack.callback(os.close, its)
                theirs.append(its)
                ours.append(mine)
                os.set_blocking(mine, False)
            launcher.start(number, program, tuple(theirs))
        around = Surroundings(self._selector, self._listener, self._answered, self._clock_ns)
        server = Server(number, spec, launcher, (ours[0], ours[1], ours[2]), around)
        self._servers[number] = server
        return server


def _shared(spec: RunSpec) -> dict[str, str]:
    """The environment without the variables of the matrix: those come with each request."""
    own = {f"VAR_{name.upper()}{end}" for name in spec.labels for end in ("", "_ADDRESS")}
    return {name: value for name, value in spec.environment.items() if name not in own}


def _key(spec: RunSpec) -> _Key:
    shared = frozenset(_shared(spec).items())
    return spec.sandbox, spec.folder, spec.arguments, shared, spec.is_trial
