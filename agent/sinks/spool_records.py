"""One waiting request as bytes on disk, and what a file of them still holds after a crash. Pure."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

# Length of the packed body, its points, their time; then the checksum of these three and the body.
_FIELDS = struct.Struct("<IIQ")
_CHECKSUM = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CHECKSUM.size
MAX_BODY_BYTES = 16 * 1024 * 1024
# The fastest: bodies are so repetitive that better levels gain little.
_LEVEL = 1


@dataclass(frozen=True, slots=True)
class RecordHead:
    """All about a record but its body; `at` is Unix seconds, `size` the bytes of the whole record."""

    size: int
    points: int
    at: int


class DamagedRecordError(Exception):
    """These bytes are no whole record."""


def packed(body: bytes, *, points: int, at: int) -> bytes:
    """The record of a request's body."""
    content = zlib.compress(body, _LEVEL)
    fields = _FIELDS.pack(len(content), points, at)
    return fields + _CHECKSUM.pack(zlib.crc32(content, zlib.crc32(fields))) + content


def unpacked(record: bytes) -> bytes:
    """The body in a whole record; DamagedRecordError."""
    try:
        return zlib.decompress(record[HEADER_BYTES:])
    except zlib.error as error:
        raise DamagedRecordError(str(error)) from error


def heads_in(content: bytes) -> Iterator[RecordHead]:
    """The records from the beginning up to the first that is not whole."""
    offset = 0
    while offset + HEADER_BYTES <= len(content):
        length, points, at = _FIELDS.unpack_from(content, offset)
        end = offset + HEADER_BYTES + length
        if length > MAX_BODY_BYTES or end > len(content):
            return
        (checksum,) = _CHECKSUM.unpack_from(content, offset + _FIELDS.size)
        fields = content[offset : offset + _FIELDS.size]
        if zlib.crc32(content[offset + HEADER_BYTES : end], zlib.crc32(fields)) != checksum:
            return
        yield RecordHead(end - offset, points, at)
        offset = end
