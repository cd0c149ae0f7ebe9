"""cloudprober's protocol between a prober's server and whoever asks it: two protobuf messages behind a line with their length. Pure.

    ProbeRequest: 1 request_id (int32), 2 time_limit (int32, milliseconds), 3 options (name, value), any number
    ProbeReply:   1 request_id (int32), 2 error_message (string), 3 payload (string)

https://github.com/cloudprober/cloudprober/blob/master/probes/external/proto/server.proto
Own code and no protobuf library: that would be 6 MB in every agent for two messages that have not changed since 2017.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_HEADER = b"Content-Length: "
_MAX_LINE_BYTES = 64 * 1024
_MAX_DIGITS = 10
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}


class ProtocolError(ValueError):
    """What a server has sent cannot be understood, and what follows cannot either."""


@dataclass(frozen=True, slots=True)
class ProbeReply:
    """What a server says about a request; an error message, and be it empty, only if there is one."""

    request_id: int
    error_message: str = ""
    payload: bytes = b""


def request_frame(
    request_id: int, *, time_limit_milliseconds: int, options: Mapping[str, str]
) -> bytes:
    """A request as it goes to the server's input."""
    content = _field(1, request_id) + _field(2, time_limit_milliseconds)
    for name, value in options.items():
        content += _text(3, _text(1, _utf8(name)) + _text(2, _utf8(value)))
    return b"\n%s%d\n\n%s" % (_HEADER, len(content), content)


class ReplyReader:
    """Takes what a server prints as it comes; what stands between replies, it skips."""

    def __init__(self, *, max_bytes: int) -> None:
        """`max_bytes` bounds a reply."""
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._length: int | None = None
        self.bad_replies = 0

    def replies(self, chunk: bytes) -> Iterator[ProbeReply]:
        """The replies that this chunk completes; ProtocolError if one is too long. One that cannot be read is counted."""
        self._buffer += chunk
        while (content := self._next()) is not None:
            try:
                yield parsed_reply(content)
            except ProtocolError:
                self.bad_replies += 1

    def _next(self) -> bytes | None:
        if self._length is None and not self._take_header():
            return None
        # The line after the header is empty.
        blank = self._buffer.find(b"\n")
        if self._length is None or blank < 0 or len(self._buffer) < blank + 1 + self._length:
            return None
        content = bytes(self._buffer[blank + 1 : blank + 1 + self._length])
        del self._buffer[: blank + 1 + self._length]
        self._length = None
        return content

    def _take_header(self) -> bool:
        while (end := self._buffer.find(b"\n")) >= 0:
            # Something may have been printed before it without a newline.
            _, header, text = bytes(self._buffer[:end]).rpartition(_HEADER)
            del self._buffer[: end + 1]
            text = text.strip()
            if header and text.isdigit() and len(text) <= _MAX_DIGITS:
                self._length = int(text)
                if self._length > self._max_bytes:
                    raise ProtocolError(f"a reply of {self._length} bytes")
                return True
        if len(self._buffer) > _MAX_LINE_BYTES:
            del self._buffer[: -_MAX_LINE_BYTES // 2]
        return False


def parsed_reply(content: bytes) -> ProbeReply:
    """The message; fields that nobody knows are skipped; ProtocolError."""
    request_id: int | None = None
    texts: dict[int, bytes] = {}
    position = 0
    while position < len(content):
        tag, position = _varint_at(content, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, position = _varint_at(content, position)
            if number == 1:
                request_id = _signed(value)
            continue
        length = _WIDTHS.get(kind)
        if kind == _BYTES:
            length, position = _varint_at(content, position)
        if length is None or position + length > len(content):
            raise ProtocolError("a field is cut off or of an unknown kind")
        if kind == _BYTES:
            texts[number] = content[position : position + length]
        position += length
    if request_id is None:
        raise ProtocolError("no request_id")
    return ProbeReply(request_id, texts.get(2, b"").decode(errors="replace"), texts.get(3, b""))


def _varint_at(content: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if position + index >= len(content):
            break
        byte = content[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return value, position + index + 1
    raise ProtocolError("a number is cut off or too long")


def _signed(value: int) -> int:
    """An int32 is sent as if it had 64 bits."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _field(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _text(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _utf8(text: str) -> bytes:
    return text.encode(errors="replace")
