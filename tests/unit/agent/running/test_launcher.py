"""What a launcher does first when there is much to do: starts, what is asked, looks at its runs."""

import os
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.running import kernel, launcher, wire
from agent.running.launcher import Launcher
from agent.running.sandbox import Sandbox
from agent.running.started import Run

MS_NS = 10**6
STARTS = 20
SIGNAL = (STARTS - 1, 15)


class SlowLauncher(Launcher):
    """Needs a while for each start, and starts nothing."""

    def __init__(self, agent: socket.socket, folder: Path) -> None:
        limits = ("-1", "-1", "", "1000000", "10", "256")
        super().__init__(agent, Sandbox([*limits, str(folder), ""]))
        self.now_ns = 1000 * MS_NS
        self.start_takes_ns = 2 * MS_NS
        self.started: list[int] = []
        self.signalled: list[tuple[int, int]] = []

    def hear(self) -> None:
        assert self._hear_agent()

    def go_on(self) -> float:
        return self._go_on()

    def say(self, message: bytes) -> None:
        self._send(message)

    def _spawn(self, run: Run) -> int:
        self.now_ns += self.start_takes_ns
        self.started.append(run.number)
        return 2**31 - 1 - run.number  # nobody's

    def _signal(self, number: int, signal_number: int) -> None:
        self.signalled.append((number, signal_number))


@pytest.fixture
def agent() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[SlowLauncher], None]:
    """Has the module go by the time of one launcher."""
    monkeypatch.setattr(kernel, "ends_of_children", lambda: os.open(os.devnull, os.O_RDONLY))
    return lambda one: monkeypatch.setattr(launcher, "_now_ns", lambda: one.now_ns)


@pytest.fixture
def slow(
    agent: tuple[socket.socket, socket.socket],
    tmp_path: Path,
    clock: Callable[[SlowLauncher], None],
) -> SlowLauncher:
    made = SlowLauncher(agent[1], tmp_path)
    clock(made)
    return made


def plan(ours: socket.socket, one: SlowLauncher, *moments_ns: int) -> None:
    """Have it hear of starts at these moments."""
    program = wire.encoded_program(["true"], {}, folder="/", cpu_seconds=1)
    starts = [
        wire.start_request(number, program, at_ns=at_ns) for number, at_ns in enumerate(moments_ns)
    ]
    with Path(os.devnull).open("wb") as null:
        rights = struct.pack(f"{2 * len(starts)}i", *[null.fileno()] * (2 * len(starts)))
        ours.sendmsg([wire.packet_of(starts)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    one.hear()


def ask(ours: socket.socket, one: SlowLauncher) -> None:
    """Have it hear of something that it does at once."""
    ours.send(wire.packet_of([wire.signal_request(*SIGNAL)]))
    one.hear()


def test_late_starts_leave_room_for_what_is_asked_meanwhile(
    agent: tuple[socket.socket, socket.socket], slow: SlowLauncher
) -> None:
    ours, _ = agent
    plan(ours, slow, *[1] * STARTS)
    while len(slow.started) < STARTS // 2:
        before = len(slow.started)
        assert slow.go_on() < 0.01
        slow.now_ns += MS_NS
        assert len(slow.started) <= before + 1
    ask(ours, slow)
    ask(ours, slow)
    slow.go_on()
    # In a backlog everything that was asked has its turn between two starts.
    assert slow.signalled == [SIGNAL, SIGNAL]
    assert len(slow.started) <= STARTS // 2 + 1


def test_who_was_just_started_has_the_processor_before_the_launcher_goes_on(
    agent: tuple[socket.socket, socket.socket], slow: SlowLauncher
) -> None:
    ours, _ = agent
    plan(ours, slow, slow.now_ns + 5 * MS_NS, slow.now_ns + 20 * MS_NS)
    assert 0.0 < slow.go_on() <= 0.005
    ask(ours, slow)
    slow.now_ns += 5 * MS_NS
    assert slow.go_on() == 0.0004
    assert (slow.started, slow.signalled) == ([0], [])
    slow.go_on()
    assert slow.signalled == [SIGNAL]


def test_starts_that_are_close_to_each_other_leave_room_as_well(
    agent: tuple[socket.socket, socket.socket], slow: SlowLauncher
) -> None:
    ours, _ = agent
    first_ns = slow.now_ns + 5 * MS_NS
    slow.start_takes_ns = MS_NS * 6 // 10
    plan(ours, slow, *(first_ns + 2 * MS_NS * number for number in range(STARTS)))
    slow.go_on()
    ask(ours, slow)
    slow.now_ns = first_ns
    while not slow.signalled:
        seconds = slow.go_on()
        # Waking up takes a while, too.
        slow.now_ns += round(seconds * 1e9) + MS_NS // 10
    assert len(slow.started) <= 2


def test_right_before_a_start_one_thing_is_done_and_not_all(
    agent: tuple[socket.socket, socket.socket], slow: SlowLauncher
) -> None:
    ours, _ = agent
    first_ns = slow.now_ns + 5 * MS_NS
    slow.start_takes_ns = MS_NS * 3 // 2
    plan(ours, slow, first_ns, first_ns + 2 * MS_NS)
    slow.go_on()
    ask(ours, slow)
    ask(ours, slow)
    slow.now_ns = first_ns
    assert slow.go_on() <= 0.0005
    assert (slow.started, slow.signalled) == ([0], [SIGNAL])


def test_what_has_ended_is_told_within_20_ms_and_with_others_if_it_can_wait(
    agent: tuple[socket.socket, socket.socket], slow: SlowLauncher
) -> None:
    ours, _ = agent
    ours.setblocking(False)
    begin_ns = slow.now_ns
    # It will be awake in time.
    plan(ours, slow, begin_ns + 12 * MS_NS, begin_ns + 60 * MS_NS)
    slow.say(b"one")
    assert slow.go_on() == pytest.approx(0.012)
    with pytest.raises(BlockingIOError):
        ours.recv(100)
    # It would not be: the next start is far.
    slow.now_ns = begin_ns + 12 * MS_NS
    slow.go_on()
    slow.now_ns += MS_NS
    slow.go_on()
    assert ours.recv(100) == b"3\0one"
    # Nothing else would wake it.
    slow.now_ns = begin_ns + 60 * MS_NS
    slow.go_on()
    slow.say(b"two")
    slow.go_on()
    assert ours.recv(100) == b"3\0two"


def test_it_wakes_up_for_the_next_look_at_its_runs(
    agent: tuple[socket.socket, socket.socket], slow: SlowLauncher
) -> None:
    ours, _ = agent
    plan(ours, slow, slow.now_ns)
    slow.go_on()
    slow.go_on()
    assert slow.started == [0]
    assert 0.19 <= slow.go_on() <= 0.2


class BusyLauncher(SlowLauncher):
    """Needs longer for a look at its runs than it lets pass between two."""

    def __init__(self, agent: socket.socket, folder: Path) -> None:
        super().__init__(agent, folder)
        self.looks = 0

    def _watch(self, now_ns: int) -> None:
        del now_ns
        self.looks += 1
        self.now_ns += 1000 * MS_NS


def test_a_look_that_takes_long_is_not_followed_by_the_next(
    agent: tuple[socket.socket, socket.socket],
    tmp_path: Path,
    clock: Callable[[SlowLauncher], None],
) -> None:
    ours, theirs = agent
    busy = BusyLauncher(theirs, tmp_path)
    clock(busy)
    plan(ours, busy, 1)
    for _ in range(3):
        busy.go_on()
    assert busy.started == [0]
    busy.now_ns += 500 * MS_NS
    assert busy.go_on() == 0.0  # it listens, and does not wait
    assert busy.looks == 1
    assert busy.go_on() > 0.0
    assert busy.looks == 1
