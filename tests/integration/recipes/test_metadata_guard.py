"""The guard of machines in clouds, with real packets: root reaches the metadata service, probers and containers do not."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from common.processes import PIPE, Process, start
from tests.integration.needs import need
from tests.integration.recipes.test_recipe_local_netns import can_make_namespaces

GUARD = Path(__file__).parents[3] / "configs/recipes/aws-instances/machine/guard-metadata.sh"
METADATA = "169.254.169.254"
ROUTER = "10.0.0.1"
NOBODY = 65534
SERVER = """
import socket, sys
listener = socket.create_server((sys.argv[1], 80))
while True:
    listener.accept()[0].close()
"""
PROBE = """
import os, socket, sys
user, address, limit = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
os.setgroups([])
os.setresuid(user, user, user)
caller = socket.socket()  # as this user: the owner is the one who made the socket
caller.settimeout(limit)
try:
    caller.connect((address, 80))
except OSError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def _done(command: list[str]) -> tuple[int, str]:
    program = start(
        command,
        environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        cwd=Path("/"),
        stdout=PIPE,
        stderr=PIPE,
    )
    said, complained = program.communicate(timeout=60)
    return program.returncode, (said + complained).decode()


class Cloud:
    """Three namespaces: a machine, a container on it behind a network of its own, and the cloud around it."""

    def __init__(self) -> None:
        self._name = f"mrp-guard-{os.getpid()}"
        self._servers: list[Process] = []

    def build(self) -> None:
        """Addresses, routes, and the two servers of the cloud."""
        for place in ("cloud", "machine", "container"):
            self._ip("netns", "add", self._of(place))
            self._ip("-n", self._of(place), "link", "set", "lo", "up")
        self._wire("cloud", f"{ROUTER}/24", "machine", "10.0.0.2/24")
        self._wire("container", "172.17.0.2/24", "machine", "172.17.0.1/24")
        self._ip("-n", self._of("cloud"), "address", "add", f"{METADATA}/32", "dev", "lo")
        for place, way in (("machine", ROUTER), ("cloud", "10.0.0.2"), ("container", "172.17.0.1")):
            self._ip("-n", self._of(place), "route", "add", "default", "via", way)
        self.run("machine", ["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"])
        for address in (METADATA, ROUTER):
            words = ["ip", "netns", "exec", self._of("cloud"), sys.executable, "-c", SERVER]
            environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
            self._servers.append(start([*words, address], environment=environment, cwd=Path("/")))

    def _wire(self, one: str, address: str, other: str, other_address: str) -> None:
        names = (f"to-{other}", f"to-{one}")
        self._ip("-n", self._of(one), "link", "add", names[0], "type", "veth", "peer", "name", names[1], "netns", self._of(other))  # fmt: skip
        for place, name, own in ((one, names[0], address), (other, names[1], other_address)):
            self._ip("-n", self._of(place), "address", "add", own, "dev", name)
            self._ip("-n", self._of(place), "link", "set", name, "up")

    def run(self, place: str, command: list[str]) -> tuple[int, str]:
        """Exit status and words of a program there."""
        return _done(["ip", "netns", "exec", self._of(place), *command])

    def reaches(self, place: str, address: str, *, user: int = 0, limit: float = 20) -> bool:
        """Whether a program of that user gets a connection."""
        probe = [sys.executable, "-c", PROBE, str(user), address, str(limit)]
        return self.run(place, probe)[0] == 0

    def remove(self) -> None:
        """Leave nothing."""
        for server in self._servers:
            server.kill()
            server.wait()
        for place in ("cloud", "machine", "container"):
            _done(["ip", "netns", "delete", self._of(place)])

    def _of(self, place: str) -> str:
        return f"{self._name}-{place}"

    def _ip(self, *words: str) -> None:
        code, said = _done(["ip", *words])
        assert code == 0, said


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    need(can_make_namespaces(), "root on Linux and iproute2, for network namespaces")
    need(shutil.which("iptables", path="/usr/sbin:/sbin:/usr/bin"), "iptables")
    made = Cloud()
    try:
        made.build()
        yield made
    finally:
        made.remove()


def test_only_root_reaches_the_metadata_service(cloud: Cloud) -> None:
    callers = [("machine", 0), ("machine", NOBODY), ("container", 0)]
    pause = Event()
    for _ in range(300):
        if all(cloud.reaches("machine", address) for address in (METADATA, ROUTER)):
            break
        pause.wait(0.1)  # the servers are still starting
    assert [cloud.reaches(place, METADATA, user=user) for place, user in callers] == [True] * 3

    for _ in range(2):  # at each boot, and whenever a person starts it
        code, said = cloud.run("machine", ["sh", str(GUARD)])
        assert code == 0, said

    assert cloud.reaches("machine", METADATA)
    assert not cloud.reaches("machine", METADATA, user=NOBODY, limit=3)
    assert not cloud.reaches("container", METADATA, limit=3)
    # Nothing else is closed, and no rule is there twice.
    assert cloud.reaches("machine", ROUTER, user=NOBODY)
    assert cloud.reaches("container", ROUTER)
    _, rules = cloud.run("machine", ["iptables-save"])
    assert rules.count(METADATA) == 2
