"""An agent whose resolver hangs for a while: a program of its own, in network and mount namespaces of its own.

Started as `silent_names.py FOLDER`, it enters them; inside there is a name server that the resolver asks, and that can be silent,
the API's and Solomon's stand-ins by name, and the agent. What was seen is in `FOLDER/seen`, as JSON.
"""

import fcntl
import json
import os
import shutil
import socket
import struct
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from agent.accounts import Accounted, Accounts
from common import processes
from tests.integration.agent import stand_ins
from tests.integration.agent.control_agent import ControlAgent
from tests.integration.agent.ledger import accounted_until_ns, beats, counted
from tests.integration.agent.stand_ins import (
    StubApi,
    StubSolomon,
    document,
    prober,
    served,
    wait_until,
)

INSIDE = "--inside"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
HASTY = "from tests.integration.agent.mortal_agent import hasten; import agent.main, sys; hasten(cell_seconds=2); sys.exit(agent.main.main())"
# Half an interval apart, so that they take turns.
PROBERS = (7, 4)
INTERVAL_SECONDS = 1.0
RUNS_WHILE_SILENT = 6
API, SOLOMON = "api.test", "solomon.test"
_LOOPBACK = socket.inet_aton("127.0.0.1")
_SET_FLAGS, _UP = 0x8914, 1
_A = 1


def main() -> None:
    """Outside: enter the namespaces; inside: do it."""
    if sys.argv[1] == INSIDE:
        enter(Path(sys.argv[2]))
        see(Path(sys.argv[2]))
        return
    unshare = shutil.which("unshare", path=PATH)
    if unshare is None:
        sys.exit("the command `unshare` is missing (Debian: util-linux)")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    namespaces = ["--pid", "--fork", "--mount-proc", "--net", "--kill-child=KILL"]
    arguments = [sys.executable, __file__, INSIDE, sys.argv[1]]
    os.execv(unshare, [unshare, *user, *namespaces, *arguments])  # noqa: S606 - no shell is wanted


def enter(folder: Path) -> None:
    """Loopback, and a resolver that asks us."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))
    # A lookup hangs for two cells: half as many as may wait in memory.
    files = {
        "resolv.conf": "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n",
        "nsswitch.conf": "hosts: files dns\n",
    }
    for name, content in files.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o644)
        mount = processes.start(
            ["mount", "--bind", str(folder / name), f"/etc/{name}"],
            environment={"PATH": PATH}, cwd=folder,
        )  # fmt: skip
        if mount.wait() != 0:
            sys.exit(f"cannot have an /etc/{name} of our own")


class NameServer:
    """Says of each name that it is 127.0.0.1, unless it is silent."""

    def __init__(self) -> None:
        self.is_silent = False
        # Names that were asked for while it was.
        self.unanswered: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # Nobody else is in this namespace.
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            query, caller = self._socket.recvfrom(4096)
            name, kind, end = _question(query)
            if self.is_silent:
                self.unanswered[name] += 1
            else:
                self._socket.sendto(_answer(query, kind, end), caller)


def _question(query: bytes) -> tuple[str, int, int]:
    """Name, type, and where it ends."""
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels), int.from_bytes(query[at + 1 : at + 3], "big"), at + 5


def _answer(query: bytes, kind: int, end: int) -> bytes:
    found = kind == _A
    head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(found), 0, 0)
    record = b"\xc0\x0c" + struct.pack(">HHIH", _A, 1, 0, 4) + _LOOPBACK if found else b""
    return head + query[12:end] + record


class Bed:
    """The agent and what is around it."""

    def __init__(self, folder: Path) -> None:
        # A connection that stays needs no name.
        vars(stand_ins)["_Quiet"].protocol_version = "HTTP/1.0"
        self.names, self.api, self.solomon = NameServer(), StubApi(), StubSolomon()
        self.api.url = f"http://{API}:{self.api.server.server_address[1]}"
        self.witness = folder / "witness"
        # The state changes with each run, so that there is always something to report.
        script = f"echo {{0}} >> {self.witness}; exit $(( $(wc -l < {self.witness}) / 2 % 2 ))"
        settings = {"interval_seconds": INTERVAL_SECONDS, "time_limit_seconds": 60}
        self.api.document = document(
            *(prober(number, {}, ["sh", "-c", script.format(number)], **settings) for number in PROBERS)
        )  # fmt: skip
        self.agent = ControlAgent(folder / "agent", self.api)
        self.agent.program = [sys.executable, "-c", HASTY]

    def told(self) -> list[str]:
        return self.witness.read_text().split() if self.witness.exists() else []

    def silence(self) -> dict[str, object]:
        """Let no name be found for some runs, then again; what was seen meanwhile."""
        names, reports = self.names, self.api.reports
        names.is_silent = True
        wait_until(lambda: names.unanswered[API] and names.unanswered[SOLOMON])
        begin, begin_unix, told, reported = (
            time.monotonic(),
            time.time(),
            len(self.told()),
            len(reports),
        )
        wait_until(lambda: len(self.told()) - told >= 2 * RUNS_WHILE_SILENT)
        seconds, runs, end_unix = time.monotonic() - begin, self.told()[told:], time.time()
        seen = {"seconds": seconds, "runs": runs, "reports": len(reports) - reported}
        names.is_silent = False
        reported = len(reports)
        wait_until(lambda: len(reports) > reported)
        # One that is new: only while all is well is the last one sent at the end.
        wait_until(lambda: any(push["ts"] > end_unix + 2 for push in self.solomon.pushes))
        # A cell that ended meanwhile.
        wait_until(lambda: any(begin_unix < push["ts"] < end_unix for push in self.solomon.pushes))
        return seen  # fmt: skip


def see(folder: Path) -> None:
    bed = Bed(folder)
    since_ns = time.time_ns()
    bed.agent.folder.mkdir()
    Accounts(bed.agent.folder).write(Accounted(since_ns))
    with served(bed.api.server), served(bed.solomon.server):
        url = f"http://{SOLOMON}:{bed.solomon.server.server_address[1]}"
        bed.agent.start(MR_PROBER_SOLOMON_URL=url, MR_PROBER_SOLOMON_TOKEN="x")
        wait_until(lambda: len(bed.told()) >= 2 and bed.api.reports and bed.solomon.pushes)
        seen = bed.silence()
        seen["exit code"] = bed.agent.end()
    until_ns = accounted_until_ns(bed.agent.folder)
    told = Counter(bed.told())
    seen["ledgers"] = [
        {
            "runs": told[str(number)],
            "counted": counted(bed.solomon, number),
            "beats": beats(number, INTERVAL_SECONDS, since_ns, until_ns),
        }
        for number in PROBERS
    ]
    (folder / "seen").write_text(json.dumps(seen))


if __name__ == "__main__":
    main()
