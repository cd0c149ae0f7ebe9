#!/usr/bin/env python3
"""A "virtual machine" made of a network namespace: an address of its own, an echo, an agent, and a wire to the others.

    machine.py make-switch    make the namespace with the bridge that joins the machines of $MR_PROBER_MACHINE's cluster
    machine.py remove-switch  stop all machines of the cluster and remove that namespace
    machine.py start          make the machine that $MR_PROBER_MACHINE describes (JSON), start its keeper
    machine.py stop           end every process in it, remove its namespace and folder
    machine.py set-loss       lose a share of the packets to it

Nothing of it is in the namespace of this computer, so it meets none of its addresses, routes and firewalls.
A machine lives in $MR_PROBER_DATA_DIR/machines/<cluster>/<host>/: `machine.json`, `keeper.pid`, `token`, `machine.log`, `agent/`.
Every command may be repeated at any time.
Standard library and iproute2 only: it runs from a recipe's folder, as root, with any Python 3.11 on Linux.
"""

import contextlib
import ctypes
import hashlib
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

SECONDS_TO_START = 20.0
SECONDS_FOR_THE_AGENT_TO_END = 10.0
SECONDS_TO_STOP = SECONDS_FOR_THE_AGENT_TO_END + 10.0
SECONDS_BETWEEN_AGENTS = 1.0

CLONE_NEWNET = 0x40000000
BRIDGE = "bridge"
# A classic BPF program for tc: a random number decides. Kernels have it that lack netem, and it needs no other tool.
LOAD_RANDOM = "32 0 0 4294963256"  # SKF_AD_OFF + SKF_AD_RANDOM
KEEP_FROM = "53 1 0 {threshold}"
DROP, KEEP = "6 0 0 2", "6 0 0 0"  # TC_ACT_SHOT, TC_ACT_OK
PASSED_ON = ("PATH", "HOME", "LANG")


class MachineError(Exception):
    """Why something cannot be made or removed, as one sentence."""


# Commands


def main():
    """Do what the command line says; 0 = done, 1 = failed, 64 = usage."""
    command, *rest = sys.argv[1:] or [""]
    if command == "keep":  # the machine itself, started by `start`
        return keep(Path(rest[0]))
    actions = {
        "make-switch": make_switch,
        "remove-switch": remove_switch,
        "start": start,
        "stop": lambda: stop(description()["host"]),
        "set-loss": set_loss,
    }
    if command not in actions:
        print(__doc__, file=sys.stderr)
        return 64
    # A terraform that is interrupted ends us with this signal: clean up what is half started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if os.geteuid() != 0:
        print("machine: network namespaces need root", file=sys.stderr)
        return 1
    try:
        actions[command]()
    except (MachineError, OSError) as error:
        print(f"machine: {error}", file=sys.stderr)
        return 1
    return 0


def make_switch():
    """Make the cluster's bridge, and nothing else: no address, no way out."""
    switch = namespace("")
    if not namespace_file(switch).exists():
        run("ip", "netns", "add", switch)
        run("ip", "-n", switch, "link", "add", BRIDGE, "type", "bridge")
        run("ip", "-n", switch, "link", "set", BRIDGE, "up")


def remove_switch():
    """Stop every machine of the cluster, also those that terraform has forgotten, then remove the bridge."""
    for folder in sorted(cluster_folder().glob("*")):
        stop(folder.name)
    remove_namespace(namespace(""))


def start():
    """Make namespace and folder of the machine and start its keeper; returns when it listens."""
    described = description()
    host = described["host"]
    stop(host)
    folder = cluster_folder() / host
    folder.mkdir(mode=0o700, parents=True)
    write_file(folder / "token", required("MR_PROBER_AGENT_TOKEN"))
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    passed_on["MR_PROBER_ENVIRONMENT"] = os.environ.get("MR_PROBER_ENVIRONMENT", "local")
    stored = {**described, "home": required("MR_PROBER_HOME"), "environment": passed_on}
    write_file(folder / "machine.json", json.dumps(stored))
    # The recipe's folder may change or vanish while the machine runs.
    shutil.copyfile(__file__, folder / "machine.py")
    try:
        plug_in(described)
        start_keeper(folder, passed_on)
    except BaseException:
        # A machine whose start failed is no machine: terraform would not stop it either.
        stop(host)
        raise
    print(f"{host} runs on {described['address']}")


def plug_in(described):
    """Make the namespace, with a wire to the cluster's switch."""
    own, switch = namespace(described["host"]), namespace("")
    port = port_of(described)
    run("ip", "netns", "add", own)
    run(
        "ip",
        "-n",
        switch,
        "link",
        "add",
        port,
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        own,
    )
    run("ip", "-n", switch, "link", "set", port, "master", BRIDGE, "up")
    run("ip", "-n", own, "address", "add", f"{described['address']}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        run("ip", "-n", own, "link", "set", device, "up")


def start_keeper(folder, environment):
    """Start the keeper, detached: own session, none of our descriptors; waits until it listens."""
    with (folder / "machine.log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, str(folder / "machine.py"), "keep", str(folder)],
            env={**environment, "MR_PROBER_DATA_DIR": required("MR_PROBER_DATA_DIR")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
    limit = time.monotonic() + SECONDS_TO_START
    while not (folder / "keeper.pid").exists():
        if keeper.poll() is not None or time.monotonic() > limit:
            said = (folder / "machine.log").read_text(errors="replace").strip().splitlines()
            raise MachineError(
                f"{folder.name} did not start: {said[-1] if said else 'it is silent'}"
            )
        time.sleep(0.02)
    keeper.returncode = 0  # it lives on without us, and that is no leak


def stop(host):
    """End every process of the machine, the agent kindly, and remove all that it was made of."""
    own, folder = namespace(host), cluster_folder() / host
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        keeper = int((folder / "keeper.pid").read_text())
        if keeper in pids_in(own):
            os.kill(keeper, signal.SIGTERM)
            limit = time.monotonic() + SECONDS_TO_STOP
            while keeper in pids_in(own) and time.monotonic() < limit:
                time.sleep(0.05)
    remove_namespace(own)
    if folder.is_dir():
        # The files of probers are read-only, and so are their folders, but not for root.
        shutil.rmtree(folder)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()  # the cluster's last machine


def remove_namespace(name):
    """Kill whatever runs in it, then remove it; its wires go with it."""
    limit = time.monotonic() + SECONDS_TO_STOP
    while left := pids_in(name):
        if time.monotonic() > limit:
            raise MachineError(f"processes in {name} cannot be killed: {left}")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    if namespace_file(name).exists():
        run("ip", "netns", "delete", name)


def set_loss():
    """Drop a share of the IP packets on their way from the switch to the machine."""
    described = description()
    switch, port = namespace(""), port_of(described)
    with contextlib.suppress(MachineError):  # there is none yet
        run("tc", "-n", switch, "qdisc", "delete", "dev", port, "clsact")
    threshold = min(round(described["loss_percent"] / 100 * 2**32), 2**32 - 1)
    if not threshold:
        return
    program = f"4,{LOAD_RANDOM},{KEEP_FROM.format(threshold=threshold)},{DROP},{KEEP}"
    run("tc", "-n", switch, "qdisc", "add", "dev", port, "clsact")
    run(
        "tc", "-n", switch, "filter", "add", "dev", port, "egress",
        "protocol", "ip", "bpf", "direct-action", "bytecode", program,
    )  # fmt: skip


# The keeper


class Echo(socketserver.BaseRequestHandler):
    """Answers with what it gets until the other side is done."""

    def handle(self):
        self.request.settimeout(60)
        with contextlib.suppress(OSError):
            while chunk := self.request.recv(4096):
                self.request.sendall(chunk)


class DatagramEcho(socketserver.BaseRequestHandler):
    """Sends a datagram back."""

    def handle(self):
        message, server = self.request
        # Two echoes that answer each other would never end.
        if self.client_address[1] != server.getsockname()[1]:
            with contextlib.suppress(OSError):
                server.sendto(message, self.client_address)


class Server(socketserver.ThreadingTCPServer):
    """An open port of the machine."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def keep(folder):
    """Be the machine: serve its ports and keep the agent running, until SIGTERM."""
    described = json.loads((folder / "machine.json").read_text())
    outside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    inside = os.open(namespace_file(namespace_of(described)), os.O_RDONLY | os.O_CLOEXEC)
    enter(inside)
    # As most distributions have it: anybody may ping.
    Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 2147483647")
    watched = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}
    # Before the first thread: all of them must leave the signals to sigtimedwait below.
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    place = (described["address"], described["port"])
    servers = [Server(place, Echo), socketserver.UDPServer(place, DatagramEcho)]
    servers += [
        Server(("127.0.0.1", port), passage(outside, port)) for port in ports_outside(described)
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    write_file(folder / "keeper.pid", str(os.getpid()))
    keep_agent_running(folder, described, watched)
    return 0


def passage(outside, port):
    """A handler that joins a connection inside with one to the same port outside: the namespace has no other way out."""

    class Passage(socketserver.BaseRequestHandler):
        def handle(self):
            enter(outside)  # this thread only
            with socket.create_connection(("127.0.0.1", port), 10) as other:
                other.settimeout(None)
                back = threading.Thread(target=pump, args=(other, self.request), daemon=True)
                back.start()
                pump(self.request, other)
                back.join()

    return Passage


def pump(source, sink):
    """Hand on bytes until the source ends."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def ports_outside(described):
    """Ports of this computer's loopback that the agent needs; MachineError if it needs another address."""
    ports = set()
    for name in ("api_url", "solomon_url"):
        if not described[name]:
            continue
        parts = urlsplit(described[name])
        if parts.hostname not in {"127.0.0.1", "localhost"}:
            raise MachineError(f"{name} is not on 127.0.0.1: a machine has no other way out")
        ports.add(parts.port or {"http": 80, "https": 443}[parts.scheme])
    return sorted(ports)


def keep_agent_running(folder, described, watched):
    """Start the agent again a second after each end, until a signal says stop; then end it kindly."""
    program = str(Path(described["home"]) / "agent" / "main.py")
    environment = agent_environment(folder, described)
    arguments = [sys.executable, program]
    while True:
        agent = os.posix_spawn(sys.executable, arguments, environment, setsigmask=[])
        while not has_ended(agent):
            received = signal.sigtimedwait(watched, 10.0)
            if received and received.si_signo != signal.SIGCHLD:
                end_agent(agent, watched)
                return
        if signal.sigtimedwait(watched - {signal.SIGCHLD}, SECONDS_BETWEEN_AGENTS):
            return


def has_ended(agent):
    """Whether the agent is over, and waited for."""
    pid, status = os.waitpid(agent, os.WNOHANG)
    if pid:
        print(f"the agent ended: {os.waitstatus_to_exitcode(status)}", flush=True)
    return bool(pid)


def end_agent(agent, watched):
    """Give it some time; what is left then is killed with all other processes of the namespace."""
    os.kill(agent, signal.SIGTERM)
    limit = time.monotonic() + SECONDS_FOR_THE_AGENT_TO_END
    while not has_ended(agent) and time.monotonic() < limit:
        signal.sigtimedwait(watched, 0.2)


def agent_environment(folder, described):
    """All that the agent is told."""
    return {
        # Whoever tries this out may have a Python that another user cannot even read.
        "MR_PROBER_AGENT_USER": "root",
        **described["environment"],
        "PYTHONPATH": described["home"],
        "MR_PROBER_CLUSTER": described["cluster"],
        "MR_PROBER_HOST": described["host"],
        "MR_PROBER_API_URL": described["api_url"],
        "MR_PROBER_AGENT_TOKEN_FILE": str(folder / "token"),
        "MR_PROBER_AGENT_DIR": str(folder / "agent"),
        "MR_PROBER_SOLOMON_URL": described["solomon_url"],
        "MR_PROBER_SOLOMON_TOKEN": "local",  # the stand-in accepts any
    }


# Namespaces, descriptions and files


def namespace(host):
    """The name of a machine's namespace, without a host that of the cluster's switch."""
    return namespace_of({**description(), "host": host})


def namespace_of(described):
    """Other data folders on this computer may have clusters of the same name."""
    data = hashlib.sha256(str(machines_folder()).encode()).hexdigest()[:8]
    return f"mr-prober.{data}.{described['cluster']}.{described['host'] or 'switch'}"


def namespace_file(name):
    """The file by which a namespace is entered and kept."""
    return Path("/run/netns") / name


def pids_in(name):
    """Every process in a namespace; none if there is no such namespace."""
    if not namespace_file(name).exists():
        return []
    return [int(pid) for pid in run("ip", "netns", "pids", name).split()]


def port_of(described):
    """The machine's wire at the switch."""
    return f"port{described['number']}"


def enter(descriptor):
    """Move this thread to another network namespace."""
    if libc().setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot enter a network namespace")


def libc():
    """The C library."""
    return ctypes.CDLL(None, use_errno=True)


def run(*arguments):
    """What the program prints; MachineError with its complaint if it fails."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MachineError(f"{' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def cluster_folder():
    """Folder of the cluster's machines."""
    return machines_folder() / description()["cluster"]


def machines_folder():
    """Where all machines are."""
    return Path(required("MR_PROBER_DATA_DIR")).resolve() / "machines"


def description():
    """What terraform says about the machine or the switch."""
    return json.loads(required("MR_PROBER_MACHINE"))


def required(name):
    """The variable's value; MachineError if it is not set."""
    value = os.environ.get(name)
    if not value:
        raise MachineError(f"the environment variable {name} is not set")
    return value


def write_file(path, text):
    """Write a file that only we read, whole or not at all."""
    draft = path.with_name(f".{path.name}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
