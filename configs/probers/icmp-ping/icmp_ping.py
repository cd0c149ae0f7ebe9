"""Send VAR_COUNT ICMP echo requests to VAR_TARGET_ADDRESS (IPv4), count the answers.

Exit 0: at most VAR_ALLOWED_LOSS_PERCENT of them were lost, 1: more; 3: the machine does not permit it, or a broken prober.
"""

import argparse
import ipaddress
import os
import secrets
import socket
import struct
import sys
import time
import traceback

ECHO_REQUEST, ECHO_REPLY = 8, 0
HEADER = struct.Struct("!BBHHH")  # type, code, checksum, id, sequence number
TOKEN_BYTES = 16  # tells our answers from those of other pings on this host
MAX_PACKET_BYTES = 2048


def broken(*error):
    """Our own bug must not blame the target: exit 3 instead of Python's 1."""
    traceback.print_exception(*error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(3)


sys.excepthook = broken


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
        "--address", type=ipaddress.IPv4Address, default=environment("VAR_TARGET_ADDRESS") or None
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
    if not given.address:
        host = environment("VAR_TARGET", "the target")
        parser.error(f"no address of {host}: the recipe's output mr_prober_hosts gives it")
    return given


def icmp_socket():
    """A socket for echo requests, and whether it gives packets with their IP header."""
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP), False
    except PermissionError:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP), True


def checksum(packet):
    words = struct.unpack(f"!{len(packet) // 2}H", packet)
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(identifier, number, token):
    unsummed = HEADER.pack(ECHO_REQUEST, 0, 0, identifier, number) + token
    return HEADER.pack(ECHO_REQUEST, 0, checksum(unsummed), identifier, number) + token


def answered(packet, token, *, has_ip_header):
    """The sequence number of the request that a packet answers; None if it is no answer to us."""
    start = (packet[0] & 0x0F) * 4 if has_ip_header and packet else 0
    icmp = packet[start:]
    if len(icmp) < HEADER.size or icmp[HEADER.size :] != token:
        return None
    kind, _, _, _, number = HEADER.unpack_from(icmp)
    return number if kind == ECHO_REPLY else None


class Pings:
    """The requests on one socket and the round-trip times of those that were answered."""

    def __init__(self, connection, *, has_ip_header):
        self.connection = connection
        self.has_ip_header = has_ip_header
        self.token = secrets.token_bytes(TOKEN_BYTES)
        self.identifier = secrets.randbelow(65536)
        self.sent_at = {}
        self.round_trips = {}
        self.problem = ""

    def send(self, number):
        self.sent_at[number] = time.monotonic()
        try:
            self.connection.send(echo_request(self.identifier, number, self.token))
        except OSError as error:  # no route, or the refusal of an earlier one: this one is lost
            self.problem = error.strerror

    def receive_until(self, deadline):
        """Take answers until all that were sent are here or the deadline is over."""
        while len(self.round_trips) < len(self.sent_at):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self.connection.settimeout(left)
            try:
                packet = self.connection.recv(MAX_PACKET_BYTES)
            except TimeoutError:
                return
            except OSError as error:
                self.problem = error.strerror
                continue
            number = answered(packet, self.token, has_ip_header=self.has_ip_header)
            if number in self.sent_at:
                elapsed = time.monotonic() - self.sent_at[number]
                self.round_trips.setdefault(number, elapsed)


def ping(given, connection, *, has_ip_header):
    """Send all the requests with pauses between them and take the answers meanwhile; OSError."""
    with connection:
        pings = Pings(connection, has_ip_header=has_ip_header)
        connection.connect((str(given.address), 0))
        for number in range(given.count):
            due = time.monotonic() + given.pause_seconds
            pings.send(number)
            if number + 1 < given.count:
                pings.receive_until(due)
                time.sleep(max(due - time.monotonic(), 0))
        pings.receive_until(time.monotonic() + given.timeout_seconds)
    return pings


def main():
    given = options()
    try:
        connection, has_ip_header = icmp_socket()
    except PermissionError:
        print(
            "this machine does not permit ICMP: the prober needs CAP_NET_RAW"
            " or a group within net.ipv4.ping_group_range",
            file=sys.stderr,
        )
        sys.exit(3)
    try:
        pings = ping(given, connection, has_ip_header=has_ip_header)
    except OSError as error:
        sys.exit(f"cannot ping {given.address}: {error.strerror or error}")
    lost = given.count - len(pings.round_trips)
    print("# TYPE icmp_ping_loss_ratio gauge")
    print(f"icmp_ping_loss_ratio {lost / given.count:.6f}")
    if times := pings.round_trips.values():
        for name, value in (
            ("min", min(times)),
            ("avg", sum(times) / len(times)),
            ("max", max(times)),
        ):
            print(f"# TYPE icmp_ping_rtt_{name}_seconds gauge")
            print(f"icmp_ping_rtt_{name}_seconds {value:.6f}")
    if lost * 100 > given.allowed_loss_percent * given.count:
        reason = f": {pings.problem}" if pings.problem else ""
        sys.exit(f"{lost} of {given.count} pings to {given.address} were lost{reason}")


if __name__ == "__main__":
    main()
