"""Stock probers as the agent starts them: argument list, explicit environment, their own folder; and targets that misbehave."""

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.integration.needs import need
from tests.integration.probers.runs import (
    Address,
    Conversation,
    Finished,
    InChild,
    RunProber,
    ServeTcp,
    ServeUdp,
)

PROBERS = Path(__file__).parents[3] / "configs" / "probers"
SECONDS = 30  # longest run; only a broken prober needs it

_CLONE_NEWNET = 0x40000000
_PR_CAPBSET_DROP, _CAP_NET_RAW = 24, 13
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


@pytest.fixture
def run_prober(tmp_path: Path) -> RunProber:
    """`run_prober("tcp-connect", VAR_TARGET="…")` runs it once by the contract; `before` runs in the child."""

    def run(
        slug: str, *arguments: str, before: InChild | None = None, **variables: str
    ) -> Finished:
        temporary = tmp_path / "tmp"
        temporary.mkdir(exist_ok=True)
        environment = {
            "MR_PROBER_CLUSTER": "demo",
            "MR_PROBER_HOST": "demo-1",
            "MR_PROBER_PROBER": slug,
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "TMPDIR": str(temporary),
            "LANG": "C.UTF-8",
        }
        folder = PROBERS / slug
        command = YAML(typ="safe").load(folder / "prober.yaml")["command"]
        program = shutil.which(command[0], path=environment["PATH"])
        finished = subprocess.run(
            [program, *command[1:], *arguments],
            env=environment | variables,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            preexec_fn=before,
            check=False,
        )
        assert list(temporary.iterdir()) == []
        return Finished(finished.returncode, finished.stdout, finished.stderr)

    return run


@pytest.fixture
def serve_tcp() -> Iterator[ServeTcp]:
    """`serve_tcp(conversation)` gives the address of a server that has it with each connection."""
    stopping: list[Callable[[], None]] = []

    def serve(conversation: Conversation) -> Address:
        listener = socket.create_server(("127.0.0.1", 0))

        def loop() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    conversation(connection)

        return _in_thread(listener, loop, stopping)

    yield serve
    for stop in stopping:
        stop()


@pytest.fixture
def serve_udp() -> Iterator[ServeUdp]:
    """`serve_udp(answers)` gives the address of a server that sends these datagrams back."""
    stopping: list[Callable[[], None]] = []

    def serve(answers: Callable[[bytes], list[bytes]]) -> Address:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))

        def loop() -> None:
            while True:
                try:
                    message, address = server.recvfrom(4096)
                except OSError:
                    return
                if not message:  # the end, sent by the fixture
                    return
                for answer in answers(message):
                    server.sendto(answer, address)

        return _in_thread(server, loop, stopping)

    yield serve
    for stop in stopping:
        stop()


def _in_thread(
    server: socket.socket, loop: Callable[[], None], stopping: list[Callable[[], None]]
) -> Address:
    host, port = server.getsockname()
    thread = threading.Thread(target=loop)
    thread.start()

    def stop() -> None:
        if server.type == socket.SOCK_DGRAM:
            server.sendto(b"", (host, port))
        else:
            server.shutdown(socket.SHUT_RDWR)
        thread.join(SECONDS)
        server.close()

    stopping.append(stop)
    return host, port


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A TCP and UDP port on which nobody listens and which nobody else gets meanwhile."""
    with socket.socket() as bound, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        bound.bind(("127.0.0.1", 0))
        datagrams.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A TCP port whose queue is full: a connection to it hangs."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def without_icmp() -> None:
    """In the child: a new network, whose ping_group_range is empty, and no CAP_NET_RAW."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) or libc.prctl(_PR_CAPBSET_DROP, _CAP_NET_RAW, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "needs root")


def in_a_deaf_network() -> None:
    """In the child: a new network whose only host, it itself, answers no ping."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "needs root")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
    Path("/proc/sys/net/ipv4/icmp_echo_ignore_all").write_text("1")


@pytest.fixture
def network_tricks() -> dict[str, InChild]:
    """What a child can do to its own network, as root only."""
    need(os.geteuid() == 0, "root, for a network namespace")
    return {"without_icmp": without_icmp, "in_a_deaf_network": in_a_deaf_network}
