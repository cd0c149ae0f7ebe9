"""Send VAR_COUNT ICMP echo requests to each target, count the answers; IPv4 and IPv6.

As a batch: the targets are the objects of the JSON file MR_PROBER_TARGETS, each with `target_address`, pinged side by side.
Else: one target, VAR_TARGET_ADDRESS.
Exit 0: at most VAR_ALLOWED_LOSS_PERCENT of them were lost (of a batch: each target has its outcome), 1: more;
3: the machine does not permit it, or a broken prober.
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

# Request and answer, by the length of the address.
ECHO = {4: (8, 0), 6: (128, 129)}
HEADER = struct.Struct("!BBHHH")  # type, code, checksum, id, sequence number
TOKEN_BYTES = 16  # tells our answers from those of other pings on this host
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
        ("count", count, "3"),
        ("pause_seconds", seconds, "0.1"),
        ("timeout_seconds", seconds, "1.5"),
        ("allowed_loss_percent", percent, "0"),
    ):
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=kind, default=environment(f"VAR_{name.upper()}", default))
    given = parser.parse_args()
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
    """The requests to one target and the round-trip times of those that were answered."""

    def __init__(self, labels, address):
        self.labels = labels
        self.address = address
        self.token = secrets.token_bytes(TOKEN_BYTES)
        self.sent_at = {}
        self.round_trips = {}
        self.problem = ""

    def lost(self):
        return len(self.sent_at) - len(self.round_trips)


class Pinger:
    """One socket for each version of IP; what comes belongs to the target whose token it carries."""

    def __init__(self, pinged):
        """PermissionError if this machine does not permit ICMP."""
        self.by_token = {target.token: target for target in pinged}
        self.identifier = secrets.randbelow(65536)
        self.selector = selectors.DefaultSelector()
        self.sockets = {}
        for version in sorted({target.address.version for target in pinged}):
            opened, has_ip_header = icmp_socket(version)
            self.sockets[version] = opened
            reply = ECHO[version][1]
            self.selector.register(opened, selectors.EVENT_READ, (has_ip_header, reply))

    def ping(self, given):
        """Send all requests with pauses between the rounds and take the answers meanwhile."""
        packets = len(self.by_token) or 1
        spacing = min(SPACING_SECONDS, given.pause_seconds / packets)
        for number in range(given.count):
            due = time.monotonic() + given.pause_seconds
            for target in self.by_token.values():
                self.send(target, number)
                self.receive_until(time.monotonic() + spacing)
            if number + 1 < given.count:
                self.receive_until(due)
        limit = time.monotonic() + given.timeout_seconds
        while self.missing() and time.monotonic() < limit:
            self.receive_one(limit - time.monotonic())

    def send(self, target, number):
        version = target.address.version
        request = ECHO[version][0]
        target.sent_at[number] = time.monotonic()
        packet = echo_request(request, self.identifier, number, target.token)
        try:
            self.sockets[version].sendto(packet, (str(target.address), 0))
        except OSError as error:  # no route, no room: this one is lost
            target.problem = error.strerror

    def missing(self):
        """Whether an answer may still come."""
        return any(target.lost() for target in self.by_token.values())

    def receive_until(self, deadline):
        """Take answers until then."""
        self.receive_one(0)
        while (left := deadline - time.monotonic()) > 0:
            self.receive_one(left)

    def receive_one(self, seconds_left):
        """Take the packets that are there, or the next one."""
        for key, _ in self.selector.select(seconds_left):
            try:
                packet = key.fileobj.recv(MAX_PACKET_BYTES)
            except OSError:  # it concerns some packet sent before; that will be missing
                continue
            self.take(packet, *key.data)

    def take(self, packet, has_ip_header, reply):
        """Note an answer; other pings of this host come here, too."""
        start = (packet[0] & 0x0F) * 4 if has_ip_header and packet else 0
        icmp = packet[start:]
        target = self.by_token.get(icmp[HEADER.size :])
        if target is None:
            return
        kind, _, _, _, number = HEADER.unpack_from(icmp)
        if kind == reply and number in target.sent_at:
            target.round_trips.setdefault(number, time.monotonic() - target.sent_at[number])


def icmp_socket(version):
    """A socket for echo requests, and whether it gives packets with their IP header."""
    family, protocol = {
        4: (socket.AF_INET, socket.IPPROTO_ICMP),
        6: (socket.AF_INET6, socket.IPPROTO_ICMPV6),
    }[version]
    try:
        opened, has_ip_header = socket.socket(family, socket.SOCK_DGRAM, protocol), False
    except PermissionError:
        opened, has_ip_header = socket.socket(family, socket.SOCK_RAW, protocol), version == 4
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    opened.setblocking(False)
    return opened, has_ip_header


def checksum(packet):
    words = struct.unpack(f"!{len(packet) // 2}H", packet)
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(kind, identifier, number, token):
    """The packet; with IPv6 the kernel makes the checksum."""
    unsummed = HEADER.pack(kind, 0, 0, identifier, number) + token
    return HEADER.pack(kind, 0, checksum(unsummed), identifier, number) + token


def metrics(target):
    """(name, type, value) of what is known about a target."""
    yield "icmp_ping_sent", "counter", len(target.sent_at)
    yield "icmp_ping_received", "counter", len(target.round_trips)
    yield "icmp_ping_loss_ratio", "gauge", target.lost() / len(target.sent_at)
    times = [target.round_trips[number] for number in sorted(target.round_trips)]
    if times:
        yield "icmp_ping_rtt_min_seconds", "gauge", min(times)
        yield "icmp_ping_rtt_avg_seconds", "gauge", sum(times) / len(times)
        yield "icmp_ping_rtt_max_seconds", "gauge", max(times)
    if len(times) > 1:
        changes = [abs(one - other) for one, other in zip(times, times[1:])]  # noqa: RUF007, B905 - old Pythons
        yield "icmp_ping_jitter_seconds", "gauge", sum(changes) / len(changes)


def failure(given, target):
    """Why the target has failed; empty if it has not."""
    lost = target.lost()
    if lost * 100 <= given.allowed_loss_percent * given.count:
        return ""
    reason = f": {target.problem}" if target.problem else ""
    return f"{lost} of {given.count} pings to {target.address} were lost{reason}"


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
    try:
        pinger = Pinger([target for target in given.targets if target.address])
    except PermissionError:
        print(
            "this machine does not permit ICMP: the prober needs CAP_NET_RAW"
            " or a group within net.ipv4.ping_group_range",
            file=sys.stderr,
        )
        sys.exit(3)
    pinger.ping(given)
    if "MR_PROBER_TARGETS" in os.environ:
        show_batch(given)
        return
    [target] = given.targets
    show(target)
    if why := failure(given, target):
        sys.exit(why)


if __name__ == "__main__":
    main()
