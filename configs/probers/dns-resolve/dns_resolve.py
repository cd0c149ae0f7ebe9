"""Ask the server VAR_DNS_SERVER (address:port) over UDP for the A records of VAR_DNS_NAME.

Exit 0: it has some, with VAR_EXPECTED_ADDRESS among them, if set; 1: not; 3: the prober itself is broken.
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

HEADER = struct.Struct("!6H")  # id, flags, questions, answers, authorities, additionals
QUESTION = struct.Struct("!2H")  # type, class
RECORD = struct.Struct("!2HIH")  # type, class, seconds to live, length
IS_ANSWER, TRUNCATED, RECURSION_DESIRED, CODE = 0x8000, 0x0200, 0x0100, 0x000F
CODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
TYPE_A, TYPE_CNAME, CLASS_IN = 1, 5, 1
MAX_ANSWER_BYTES = 4096
MAX_NAME_BYTES = 255
MAX_RECORDS = 500


def broken(*error):
    """Our own bug must not blame the target: exit 3 instead of Python's 1."""
    traceback.print_exception(*error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(3)


sys.excepthook = broken


class BadAnswerError(Exception):
    """An answer to our question that cannot be read or says no."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(3, f"{self.prog}: {message}\n")


def address_and_port(text):
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"expected address:port, not {text!r}")
    # An address and no name: finding the server must not need another server.
    return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))), int(port)


def labels_of(text):
    """The name as a tuple of lower-case labels: a.b -> (b"a", b"b")."""
    labels = tuple(text.rstrip(".").lower().encode("ascii").split(b"."))
    if not all(0 < len(label) < 64 for label in labels) or len(text) > MAX_NAME_BYTES - 2:
        raise argparse.ArgumentTypeError(f"expected a domain name, not {text!r}")
    return labels


def positive_seconds(text):
    seconds = float(text)
    if not 0 < seconds < 86400:
        raise ValueError
    return seconds


def options():
    parser = Parser(description=__doc__)
    environment = os.environ.get
    parser.add_argument("--server", type=address_and_port, default=environment("VAR_DNS_SERVER"))
    parser.add_argument("--name", type=labels_of, default=environment("VAR_DNS_NAME"))
    parser.add_argument(
        "--expected-address",
        type=ipaddress.IPv4Address,
        default=environment("VAR_EXPECTED_ADDRESS") or None,
    )
    parser.add_argument(
        "--timeout-seconds", type=positive_seconds, default=environment("VAR_TIMEOUT_SECONDS", "2")
    )
    given = parser.parse_args()
    if not given.server:
        parser.error("no server: set VAR_DNS_SERVER or --server to address:port")
    if not given.name:
        parser.error("no name: set VAR_DNS_NAME or --name")
    return given


def query(identifier, labels):
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    header = HEADER.pack(identifier, RECURSION_DESIRED, 1, 0, 0, 0)
    return header + name + QUESTION.pack(TYPE_A, CLASS_IN)


def unpacked(layout, message, position):
    """The fields at a position and the position after them."""
    if position + layout.size > len(message):
        raise BadAnswerError("the answer is cut off")
    return layout.unpack_from(message, position), position + layout.size


def name_at(message, position):
    """The labels of a name and the position after it; pointers may only lead backwards, so there is an end."""
    labels, length, after = [], 0, None
    earliest = position
    while True:
        (size,), here = unpacked(struct.Struct("!B"), message, position)
        if size == 0:
            return tuple(labels), after or here
        if size & 0xC0 == 0xC0:
            (pointer,), here = unpacked(struct.Struct("!H"), message, position)
            after = after or here
            position = pointer & 0x3FFF
            if position >= earliest:
                raise BadAnswerError("a name in the answer points forwards")
            earliest = position
            continue
        length += size + 1
        if size > 63 or length >= MAX_NAME_BYTES or here + size > len(message):
            raise BadAnswerError("a name in the answer is malformed")
        labels.append(message[here : here + size].lower())
        position = here + size


def belongs(message, identifier):
    """Whether a datagram may be the answer to our query at all; others are somebody else's or forged."""
    if len(message) < HEADER.size:
        return False
    answered, flags, *_ = HEADER.unpack_from(message)
    return answered == identifier and bool(flags & IS_ANSWER)


def records_of(message, labels):
    """How many records the answer to our question has, and where they start; BadAnswerError."""
    (_, flags, questions, answers, *_), position = unpacked(HEADER, message, 0)
    if code := flags & CODE:
        raise BadAnswerError(f"the server says {CODES.get(code, f'error {code}')}")
    if flags & TRUNCATED:
        raise BadAnswerError("the answer does not fit into a datagram")
    if questions != 1 or answers > MAX_RECORDS:
        raise BadAnswerError(f"the answer has {questions} questions and {answers} records")
    asked, position = name_at(message, position)
    kind_and_class, position = unpacked(QUESTION, message, position)
    if asked != labels or kind_and_class != (TYPE_A, CLASS_IN):
        raise BadAnswerError("the answer is for another question")
    return answers, position


def addresses_in(message, labels):
    """The addresses that an answer gives for the name, over aliases too; BadAnswerError."""
    answers, position = records_of(message, labels)
    names, found = {labels}, []
    for _ in range(answers):
        owner, position = name_at(message, position)
        (kind, group, _, size), position = unpacked(RECORD, message, position)
        if position + size > len(message):
            raise BadAnswerError("the answer is cut off")
        if owner in names and (kind, group) == (TYPE_CNAME, CLASS_IN):
            names.add(name_at(message, position)[0])
        elif owner in names and (kind, group, size) == (TYPE_A, CLASS_IN, 4):
            found.append(ipaddress.IPv4Address(message[position : position + 4]))
        position += size
    return found


def exchange(server, message, identifier, time_limit):
    """The first datagram that belongs to our query; TimeoutError, or OSError if the server's host refuses."""
    deadline = time.monotonic() + time_limit
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.connect(server)
        client.send(message)
        while (left := deadline - time.monotonic()) > 0:
            client.settimeout(left)
            answer = client.recv(MAX_ANSWER_BYTES)
            if belongs(answer, identifier):
                return answer
    raise TimeoutError


def main():
    given = options()
    server = f"{given.server[0]}:{given.server[1]}"
    name = b".".join(given.name).decode()
    identifier = secrets.randbelow(65536)
    message = query(identifier, given.name)
    started = time.monotonic()
    try:
        answer = exchange(given.server, message, identifier, given.timeout_seconds)
        found = addresses_in(answer, given.name)
    except TimeoutError:
        sys.exit(f"no answer of {server} for {name} within {given.timeout_seconds} s")
    except OSError as error:
        sys.exit(f"cannot ask {server} for {name}: {error.strerror or error}")
    except BadAnswerError as error:
        sys.exit(f"bad answer of {server} for {name}: {error}")
    print("# TYPE dns_resolve_seconds gauge")
    print(f"dns_resolve_seconds {time.monotonic() - started:.6f}")
    if not found:
        sys.exit(f"{server} knows no address of {name}")
    if given.expected_address and given.expected_address not in found:
        known = ", ".join(map(str, found))
        sys.exit(f"{server} says that {name} is {known}, not {given.expected_address}")


if __name__ == "__main__":
    main()
