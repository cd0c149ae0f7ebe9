"""What the agent and its launchers say to each other: packets of one or more messages. Pure.

Fields are separated by NUL, which neither arguments nor variables can hold; before each message is its length.
The imports of this module are memory of every launcher: it has few.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

START = b"start"
SIGNAL = b"signal"
FORGET = b"forget"
ENDED = b"ended"
REFUSED = b"refused"
LITTER = b"litter"
BEGUN = b"begun"
COLD = b"cold"
WARMED = b"warmed"
# This variable of a request is the content of a file; the program gets the file's path.
TARGETS = "MR_PROBER_TARGETS"
# A longer request comes in a file in memory, whose descriptor is the last one.
MAX_PACKET_BYTES = 64 * 1024
IN_FILE = b"file"
# So many programs are understood only once, if they are no longer than this.
_MOST_KNOWN = 1024
_MAX_KNOWN_BYTES = 2048
# So many programs are started by one packet, each with up to three descriptors.
MAX_STARTS = 32


def packet_of(messages: Iterable[bytes]) -> bytes:
    """Several messages at once."""
    return b"".join([b"%d\0%s" % (len(one), one) for one in messages])


def messages_in(packet: bytes) -> Iterator[bytes]:
    """Each message."""
    at = 0
    while at < len(packet):
        begin = packet.index(b"\0", at) + 1
        at = begin + int(packet[at : begin - 1])
        yield packet[begin:at]


def fields_of(message: bytes) -> list[bytes]:
    """What a message says; the first field is what it is about."""
    return message.split(b"\0")


class Program:
    """What is the same in all starts of a program, and so is never changed."""

    __slots__ = ("arguments", "cpu_seconds", "environment", "folder")

    def __init__(self, encoded: bytes) -> None:
        """The opposite of `encoded_program`."""
        self.folder, cpu_seconds, count, *texts = encoded.split(b"\0")
        self.cpu_seconds = int(cpu_seconds)  # 0: no limit
        self.arguments = texts[: int(count)]
        self.environment = dict(text.split(b"=", 1) for text in texts[int(count) :])


class RunEnd:
    """How the process of a run ended and what it used; `breach` is the setting whose limit it was killed for."""

    __slots__ = (
        "breach",
        "elapsed_us",
        "exit_code",
        "late_us",
        "number",
        "peak_rss_bytes",
        "signalled",
        "system_us",
        "user_us",
    )

    def __init__(
        self,
        number: int,
        exit_code: int,
        breach: str,
        usage: Sequence[int],
        *,
        elapsed_us: int | None = None,
        signalled: bool = True,
    ) -> None:
        """`usage`: microseconds of user and system time, peak memory in bytes; `elapsed_us` from start to end, if known.

        Not `signalled`: no signal of ours met it alive, so it has ended by itself.
        """
        self.number = number
        self.exit_code = exit_code
        self.breach = breach
        self.user_us, self.system_us, self.peak_rss_bytes = usage
        self.elapsed_us = elapsed_us
        self.signalled = signalled
        # From when it was to start until it did, if it was told a moment.
        self.late_us = 0


def encoded_program(
    arguments: Sequence[str], environment: Mapping[str, str], *, folder: str, cpu_seconds: int
) -> bytes:
    """What is the same in all starts of a program; ValueError if a text holds NUL, which no program could get."""
    fields = [
        folder, str(cpu_seconds), str(len(arguments)), *arguments,
        *(f"{name}={value}" for name, value in environment.items()),
    ]  # fmt: skip
    packet = "\0".join(fields)
    if packet.count("\0") != len(fields) - 1:
        raise ValueError("an argument or a variable holds a NUL character")
    return packet.encode(errors="surrogateescape")


def start_request(
    number: int, program: bytes, *, script: int = 0, at_ns: int = 0, descriptors: int = 2
) -> bytes:
    """The message that starts an encoded program as this run.

    `script` is which of the arguments is the Python file that may run in a fork of a warm parent; 0: none.
    `at_ns` is when it starts, by CLOCK_BOOTTIME; what is over is at once.
    So many `descriptors` of those that come along are its own: the last two take its output, one before them is its input.
    """
    return b"%s\0%d\0%d\0%d\0%d\0%s" % (START, number, script, at_ns, descriptors, program)


def parsed_start(message: bytes) -> tuple[int, int, int, int, Program]:
    """The opposite of `start_request`: number, script, moment, descriptors and program."""
    _, number, script, at_ns, descriptors, program = message.split(b"\0", 5)
    return int(number), int(script), int(at_ns), int(descriptors), _program_of(program)


def _program_of(encoded: bytes) -> Program:
    return _known_program(encoded) if len(encoded) <= _MAX_KNOWN_BYTES else Program(encoded)


@lru_cache(_MOST_KNOWN)
def _known_program(encoded: bytes) -> Program:
    return Program(encoded)


def signal_request(number: int, signal_number: int) -> bytes:
    """Send a signal to the group of a run."""
    return b"%s\0%d\0%d" % (SIGNAL, number, signal_number)


def forget_request(folder: str, arguments: Sequence[str]) -> bytes:
    """Nobody runs this any more: `arguments` is the command up to the script. Its warm parent may go."""
    return "\0".join([FORGET.decode(), folder, *arguments]).encode(errors="surrogateescape")


def end_message(end: RunEnd) -> bytes:
    """A run is over and its process waited for."""
    elapsed_us = -1 if end.elapsed_us is None else end.elapsed_us
    return b"%s\0%d\0%d\0%s\0%d\0%d\0%d\0%d\0%d\0%d" % (
        ENDED, end.number, end.exit_code, end.breach.encode(),
        end.user_us, end.system_us, end.peak_rss_bytes, elapsed_us, end.signalled, end.late_us,
    )  # fmt: skip


def parsed_end(fields: Sequence[bytes]) -> RunEnd:
    """The opposite of `end_message`."""
    number, exit_code, user, system, peak, elapsed, signalled, late = map(
        int, (*fields[1:3], *fields[4:])
    )
    end = RunEnd(
        number, exit_code, fields[3].decode(), (user, system, peak),
        elapsed_us=None if elapsed < 0 else elapsed,
        signalled=bool(signalled),
    )  # fmt: skip
    end.late_us = late
    return end


def refusal(number: int, error: OSError) -> bytes:
    """A program could not be started."""
    text = error.strerror or str(error)
    return b"%s\0%d\0%d\0%s" % (REFUSED, number, error.errno or 0, text.encode())


def litter_message(name: str) -> bytes:
    """In this folder of the launcher's, something is left of a run that is over."""
    return b"%s\0%s" % (LITTER, name.encode())


def begun_message(number: int, pid: int) -> bytes:
    """A program with an input has been started: the agent talks with it and looks at what it uses."""
    return b"%s\0%d\0%d" % (BEGUN, number, pid)


def cold_message(number: int, reason: str) -> bytes:
    """Runs like this one are started as in mode `run`, since no warm parent can be had for them."""
    return b"%s\0%d\0%s" % (COLD, number, reason.encode(errors="replace"))


def warmed_message(number: int) -> bytes:
    """This run is the first one that its warm parent has forked."""
    return b"%s\0%d" % (WARMED, number)
