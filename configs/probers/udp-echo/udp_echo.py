"""Send VAR_COUNT datagrams from each of VAR_SOURCE_PORTS ports to the UDP echo of each target, count what comes back.

Networks choose one of several equal paths by addresses and ports: many source ports cover all of them.
As a batch: the targets are the objects of the JSON file MR_PROBER_TARGETS, each with `target_address`, checked side by side.
Else: one target, VAR_TARGET_ADDRESS. The echo is at port VAR_MACHINE_PORT.
Exit 0: at most VAR_ALLOWED_LOSS_PERCENT were lost (of a batch: each target has its outcome), 1: more; 3: broken prober.
"""

import argparse
import ipaddress
import json
import os
import secrets
import selectors
import socket
import struct
import sys
import time
import traceback
from pathlib import Path

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
TOKEN_BYTES = 16  # says which target the datagram was for
NUMBERS = struct.Struct("!HH")  # source port (its index), round
MAX_PACKET_BYTES = 2048
SPACING_SECONDS = 0.0005  # at most, between two packets; a round of very many takes about one pause


def broken(*error):
    """Our own bug must not blame the target: exit 3 instead of Python's 1."""
    traceback.print_exception(*error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(3)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(3, f"{self.prog}: {message}\n")


def count(text):
    number = int(text)
    if not 0 < number <= 1000:
        raise ValueError
    return number


def port_number(text):
    port = int(text)
    if not 0 < port < 65536:
        raise ValueError
    return port


def port_count(text):
    number = int(text)
    if not 0 < number <= 100:  # a run may have 256 open files
        raise ValueError
    return number


def seconds(text):
    number = float(text)
    if not 0 <= number < 86400:
        raise ValueError
    return number


def percent(text):
    number = float(text)
    if not 0 <= number <= 100:
        raise ValueError
    return number


def options():
    parser = Parser(description=__doc__)
    environment = os.environ.get
    parser.add_argument(
        "--address", type=ipaddress.ip_address, default=environment("VAR_TARGET_ADDRESS") or None
    )
    for name, kind, default in (
        ("machine_port", port_number, None),
        ("source_ports", port_count, "16"),
        ("count", count, "3"),
        ("pause_seconds", seconds, "0.1"),
        ("timeout_seconds", seconds, "1.5"),
        ("allowed_loss_percent", percent, "0"),
    ):
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=kind, default=environment(f"VAR_{name.upper()}", default))
    given = parser.parse_args()
    if not given.machine_port:
        parser.error("no port: set VAR_MACHINE_PORT or --machine-port")
    given.targets = targets(parser, given)
    return given


def targets(parser, given):
    """The targets of the batch, or the only one."""
    if file := os.environ.get("MR_PROBER_TARGETS"):
        return [target_of(described) for described in json.loads(Path(file).read_text("utf-8"))]
    if not given.address:
        host = os.environ.get("VAR_TARGET", "the target")
        parser.error(f"no address of {host}: the recipe's output mr_prober_hosts gives it")
    return [Target({}, given.address)]


def target_of(described):
    """A target of a batch; one without a good address is broken and harms no other."""
    addresses = {f"{name}_address" for name in described}
    labels = {name: value for name, value in described.items() if name not in addresses}
    try:
        # A target that is no host of the cluster may be an address itself.
        address = ipaddress.ip_address(described.get("target_address", described["target"]))
    except (KeyError, ValueError):
        return Target(labels, None)
    return Target(labels, address)


class Target:
    """The datagrams to one target and the round-trip times of those that came back, by (source port, round)."""

    def __init__(self, labels, address):
        self.labels = labels
        self.address = address
        self.token = secrets.token_bytes(TOKEN_BYTES)
        self.sent_at = {}
        self.round_trips = {}
        self.problem = ""

    def lost(self):
        return len(self.sent_at) - len(self.round_trips)

    def silent_ports(self):
        """How many source ports got nothing back: a whole path, perhaps."""
        return len({port for port, _ in self.sent_at} - {port for port, _ in self.round_trips})


class Echoes:
    """Sockets, one for each source port and version of IP; what comes belongs to the target whose token it carries."""

    def __init__(self, checked, source_ports):
        self.by_token = {target.token: target for target in checked}
        self.selector = selectors.DefaultSelector()
        self.sockets = {
            version: [self.opened(FAMILIES[version], port) for port in range(source_ports)]
            for version in sorted({target.address.version for target in checked})
        }

    def opened(self, family, port):
        opened = socket.socket(family, socket.SOCK_DGRAM)
        opened.bind(("", 0))
        opened.setblocking(False)
        self.selector.register(opened, selectors.EVENT_READ, port)
        return opened

    def exchange(self, given):
        """Send all datagrams with pauses between the rounds and take the answers meanwhile."""
        packets = len(self.by_token) * given.source_ports or 1
        spacing = min(SPACING_SECONDS, given.pause_seconds / packets)
        for number in range(given.count):
            due = time.monotonic() + given.pause_seconds
            for port in range(given.source_ports):
                for target in self.by_token.values():
                    self.send(target, port, number, given.machine_port)
                    self.receive_until(time.monotonic() + spacing)
            if number + 1 < given.count:
                self.receive_until(due)
        limit = time.monotonic() + given.timeout_seconds
        while self.missing() and time.monotonic() < limit:
            self.receive_one(limit - time.monotonic())

    def send(self, target, port, number, machine_port):
        target.sent_at[port, number] = time.monotonic()
        message = target.token + NUMBERS.pack(port, number)
        try:
            sender = self.sockets[target.address.version][port]
            sender.sendto(message, (str(target.address), machine_port))
        except OSError as error:  # no route, no room: this one is lost
            target.problem = error.strerror

    def missing(self):
        """Whether something may still come."""
        return any(target.lost() for target in self.by_token.values())

    def receive_until(self, deadline):
        """Take what comes until then."""
        self.receive_one(0)
        while (left := deadline - time.monotonic()) > 0:
            self.receive_one(left)

    def receive_one(self, seconds_left):
        """Take what is there, or the next that comes."""
        for key, _ in self.selector.select(seconds_left):
            try:
                message = key.fileobj.recv(MAX_PACKET_BYTES)
            except OSError:  # it concerns some datagram sent before; that will be missing
                continue
            self.take(message, key.data)

    def take(self, message, port):
        """Note an answer; anybody may send us something else."""
        target = self.by_token.get(message[:TOKEN_BYTES])
        if target is None or len(message) != TOKEN_BYTES + NUMBERS.size:
            return
        numbers = NUMBERS.unpack(message[TOKEN_BYTES:])
        if numbers in target.sent_at and numbers[0] == port:
            target.round_trips.setdefault(numbers, time.monotonic() - target.sent_at[numbers])


def metrics(target):
    """(name, type, value) of what is known about a target."""
    yield "udp_echo_sent", "counter", len(target.sent_at)
    yield "udp_echo_received", "counter", len(target.round_trips)
    yield "udp_echo_loss_ratio", "gauge", target.lost() / len(target.sent_at)
    yield "udp_echo_silent_source_ports", "gauge", target.silent_ports()
    times = [target.round_trips[number] for number in sorted(target.round_trips)]
    if times:
        yield "udp_echo_rtt_min_seconds", "gauge", min(times)
        yield "udp_echo_rtt_avg_seconds", "gauge", sum(times) / len(times)
        yield "udp_echo_rtt_max_seconds", "gauge", max(times)


def failure(given, target):
    """Why the target has failed; empty if it has not."""
    lost, sent, silent = target.lost(), len(target.sent_at), target.silent_ports()
    if lost * 100 <= given.allowed_loss_percent * sent:
        return ""
    reason = f": {target.problem}" if target.problem else ""
    ports = f", all from {silent} of {given.source_ports} source ports" if silent else ""
    place = f"{target.address} port {given.machine_port}"
    return f"{lost} of {sent} datagrams to {place} were lost{ports}{reason}"


def line(name, labels, value):
    texts = {
        label: text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
        for label, text in labels.items()
    }
    escaped = (
        '{}="{}"'.format(label, text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
        for label, text in texts.items()
    )
    inside = ",".join(escaped)
    return f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"


def show(target):
    for name, kind, value in metrics(target):
        print(f"# TYPE {name} {kind}")
        print(line(name, target.labels, value if isinstance(value, int) else f"{value:.6f}"))


def outcome(target, value, reason):
    """The verdict about one target of a batch."""
    labels = {**target.labels, "reason": reason} if reason else target.labels
    print(line("mr_prober_outcome", labels, value))


def show_batch(given):
    for target in given.targets:
        if target.address is None:
            outcome(target, 3, "no address of it: the recipe's output mr_prober_hosts gives it")
            continue
        why = failure(given, target)
        outcome(target, int(bool(why)), why)
        show(target)


def main():
    sys.excepthook = broken
    given = options()
    echoes = Echoes([target for target in given.targets if target.address], given.source_ports)
    echoes.exchange(given)
    if "MR_PROBER_TARGETS" in os.environ:
        show_batch(given)
        return
    [target] = given.targets
    show(target)
    if why := failure(given, target):
        sys.exit(why)


if __name__ == "__main__":
    main()
