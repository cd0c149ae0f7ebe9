"""A launcher whose starts are late, since it or the host stood still, still hears of everything else between two of them."""

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.running import kernel, launcher, wire
from agent.running.launcher import Launcher
from agent.running.sandbox import Sandbox
from agent.running.started import Run

MS_NS = 10**6
STARTS = 20


class SlowLauncher(Launcher):
    """Needs two milliseconds for each start, and starts nothing."""

    def __init__(self, agent: socket.socket, folder: Path) -> None:
        limits = ("-1", "-1", "", "1000000", "10", "256")
        super().__init__(agent, Sandbox([*limits, str(folder), ""]))
        self.now_ns = 1000 * MS_NS
        self.started: list[int] = []
        self.signalled: list[tuple[int, int]] = []

    def hear(self) -> None:
        assert self._hear_agent()

    def go_on(self) -> float:
        return self._go_on()

    def _spawn(self, run: Run) -> int:
        self.now_ns += 2 * MS_NS
        self.started.append(run.number)
        return 2**31 - 1 - run.number  # nobody's

    def _signal(self, number: int, signal_number: int) -> None:
        self.signalled.append((number, signal_number))


@pytest.fixture
def agent() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


def test_late_starts_leave_room_for_what_is_asked_meanwhile(
    agent: tuple[socket.socket, socket.socket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = agent
    monkeypatch.setattr(kernel, "ends_of_children", lambda: os.open(os.devnull, os.O_RDONLY))
    slow = SlowLauncher(theirs, tmp_path)
    monkeypatch.setattr(launcher, "_now_ns", lambda: slow.now_ns)
    program = wire.encoded_program(["true"], {}, folder="/", cpu_seconds=1)
    starts = [wire.start_request(number, program, at_ns=1) for number in range(STARTS)]
    null = os.open(os.devnull, os.O_RDWR)
    rights = struct.pack(f"{2 * STARTS}i", *[null] * (2 * STARTS))
    ours.sendmsg([wire.packet_of(starts)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    os.close(null)
    slow.hear()
    while len(slow.started) < STARTS // 2:
        before = len(slow.started)
        assert slow.go_on() < 0.01
        slow.now_ns += MS_NS
        assert len(slow.started) <= before + 1
    ours.send(wire.packet_of([wire.signal_request(STARTS - 1, 15)]))
    slow.hear()
    slow.go_on()
    assert slow.signalled == [(STARTS - 1, 15)]
    assert len(slow.started) <= STARTS // 2 + 1
