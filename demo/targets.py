"""Small targets that the demo's probers check: a TCP echo, an HTTP page, a DNS server; one process, nothing else.

`python -m demo.targets --tcp 127.0.0.1:8091 --http 127.0.0.1:8092 --dns 127.0.0.1:8093 --dns-name target.mr-prober.test`
It prints nothing but the reason why it cannot start, and ends on SIGTERM.
"""

import argparse
import asyncio
import contextlib
import ipaddress
import os
import signal
import struct
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import cast

ANSWER_ADDRESS = ipaddress.IPv4Address("127.0.0.1")
ANSWER_TTL_SECONDS = 5
IDLE_SECONDS = 60
MAX_REQUEST_BYTES = 16 * 1024
_PAGE = b"This is the HTTP target of the Mr. Prober demo.\n"

_HEADER = struct.Struct("!6H")  # id, flags, questions, answers, authorities, additionals
_QUESTION = struct.Struct("!2H")  # type, class
_RECORD = struct.Struct("!3HIH")  # pointer to the name, type, class, seconds to live, length
_IS_ANSWER, _OPCODE, _AUTHORITATIVE, _RECURSION_DESIRED = 0x8000, 0x7800, 0x0400, 0x0100
_NO_ERROR, _FORMAT_ERROR, _NO_SUCH_NAME, _NOT_IMPLEMENTED = 0, 1, 3, 4
_TYPE_A, _CLASS_IN = 1, 1
_NAME_OF_QUESTION = 0xC000 | _HEADER.size  # a pointer to it
_ADDRESS_RECORD = (
    _RECORD.pack(_NAME_OF_QUESTION, _TYPE_A, _CLASS_IN, ANSWER_TTL_SECONDS, 4)
    + ANSWER_ADDRESS.packed
)

Address = tuple[str, int]
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class CannotListenError(Exception):
    """One of the addresses cannot be listened on."""


class BadQuestionError(ValueError):
    """A DNS question that cannot be read."""


def dns_answer(query: bytes, *, name: str) -> bytes | None:
    """The answer to a DNS query: an A record for the one name, NXDOMAIN for others; None for what is no query."""
    if len(query) < _HEADER.size:
        return None
    identifier, flags, questions, *_ = _HEADER.unpack_from(query)
    if flags & _IS_ANSWER:
        return None
    if flags & _OPCODE:
        return _dns_message(identifier, flags, code=_NOT_IMPLEMENTED)
    try:
        asked, question, kind_and_class = _only_question(query, questions)
    except BadQuestionError:
        return _dns_message(identifier, flags, code=_FORMAT_ERROR)
    known = asked.lower() == name.lower()
    record = _ADDRESS_RECORD if known and kind_and_class == (_TYPE_A, _CLASS_IN) else b""
    code = _NO_ERROR if known else _NO_SUCH_NAME
    return _dns_message(identifier, flags, code=code, question=question, record=record)


def _dns_message(
    identifier: int, flags: int, *, code: int, question: bytes = b"", record: bytes = b""
) -> bytes:
    answer_flags = _IS_ANSWER | _AUTHORITATIVE | (flags & (_OPCODE | _RECURSION_DESIRED)) | code
    header = _HEADER.pack(identifier, answer_flags, int(bool(question)), int(bool(record)), 0, 0)
    return header + question + record


def _only_question(query: bytes, questions: int) -> tuple[str, bytes, tuple[int, int]]:
    """The name, the bytes and (type, class) of the one question."""
    if questions != 1:
        raise BadQuestionError
    labels = []
    position = _HEADER.size
    while length := query[position] if position < len(query) else 255:
        label = query[position + 1 : position + 1 + length]
        if length > 63 or len(label) < length:
            raise BadQuestionError
        labels.append(label.decode("latin-1"))
        position += 1 + length
    end = position + 1 + _QUESTION.size
    if end > len(query):
        raise BadQuestionError
    kind, group = _QUESTION.unpack_from(query, position + 1)
    return ".".join(labels), query[_HEADER.size : end], (kind, group)


class _DnsProtocol(asyncio.DatagramProtocol):
    def __init__(self, name: str) -> None:
        self._name = name
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own transport for datagrams does not inherit from DatagramTransport.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        answer = dns_answer(data, name=self._name)
        if answer and self._transport:
            self._transport.sendto(answer, addr)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while received := await reader.read(4096):
        writer.write(received)
        await writer.drain()


async def _page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = await reader.readuntil(b"\r\n\r\n")
    known = request.startswith((b"GET ", b"HEAD "))
    status, body = (b"200 OK", _PAGE) if known else (b"405 Method Not Allowed", b"")
    head = (
        b"HTTP/1.1 %b\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body))
    )
    writer.write(head + (b"" if request.startswith(b"HEAD ") else body))
    await writer.drain()


def _one_connection(conversation: Conversation) -> Conversation:
    """The conversation with its end: whatever the other side does ends this one connection."""
    # Cancelled is the end of the process; passed on, it would make the streams of Python 3.11 print a traceback.
    ends = (
        OSError,
        TimeoutError,
        asyncio.IncompleteReadError,
        asyncio.LimitOverrunError,
        asyncio.CancelledError,
    )

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*ends):
            async with asyncio.timeout(IDLE_SECONDS):
                await conversation(reader, writer)
                writer.close()
                await writer.wait_closed()
        writer.transport.abort()  # what is left of it, if anything

    return converse


async def _serve(targets: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    for address, conversation in ((targets.tcp, _echo), (targets.http, _page)):
        with _named(address):
            host, port = address
            await asyncio.start_server(
                _one_connection(conversation), host, port, limit=MAX_REQUEST_BYTES
            )
    with _named(targets.dns):
        await loop.create_datagram_endpoint(
            lambda: _DnsProtocol(targets.dns_name), local_addr=targets.dns
        )
    await stopped.wait()


@contextlib.contextmanager
def _named(address: Address) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CannotListenError(f"cannot listen on {address[0]}:{address[1]}: {reason}") from error


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"expected host:port, not {text!r}")
    return host, int(port)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="demo.targets", description="Targets of the demo.")
    parser.add_argument("--tcp", type=_address, default="127.0.0.1:8091", help="the TCP echo")
    parser.add_argument("--http", type=_address, default="127.0.0.1:8092", help="the HTTP page")
    parser.add_argument("--dns", type=_address, default="127.0.0.1:8093", help="the DNS server")
    parser.add_argument(
        "--dns-name", default="target.mr-prober.test", help="the one name that the server knows"
    )
    try:
        asyncio.run(_serve(parser.parse_args()))
    except CannotListenError as error:
        sys.exit(f"demo.targets: {error}")


if __name__ == "__main__":
    main()
