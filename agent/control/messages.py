"""The little of HTTP/1.1 that the control socket speaks: one request per connection, everything bounded. Pure.

Not the library's server: that one has no bound on the time of a whole request and takes megabytes of headers.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel

from common.contracts.values import Problem

MAX_HEAD_BYTES = 16 * 1024
_METHODS = ("GET", "POST", "DELETE")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_REASONS = {
    200: "OK", 202: "Accepted", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 411: "Length Required",
    413: "Content Too Large", 422: "Unprocessable Content", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip


class RefusedError(Exception):
    """What a caller gets instead of an answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True)
class Head:
    """The beginning of a request; `length` is that of its body."""

    method: str
    path: str
    query: Mapping[str, str]
    length: int


def parsed_head(content: bytes) -> Head:
    """The head, without the empty line after it; RefusedError."""
    lines = content.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        raise RefusedError(400, "this is no HTTP/1.1")
    if words[0] not in _METHODS:
        raise RefusedError(405, f"only {', '.join(_METHODS)}")
    headers = {}
    for line in lines[1:]:
        found = _HEADER.fullmatch(line)
        if found is None or found[1].lower() in headers:
            raise RefusedError(400, "a header is malformed, or comes twice")
        headers[found[1].lower()] = found[2]
    parts = urlsplit(words[1])
    query = dict(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=20))
    return Head(words[0], parts.path, query, _length(headers))


def _length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise RefusedError(411, "a body needs Content-Length")
    text = headers.get("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise RefusedError(400, "Content-Length: expected a number of bytes")
    return int(text)


def answer_bytes(status: int, answer: BaseModel | None) -> bytes:
    """The whole answer; the connection ends with it."""
    body = b"" if answer is None else answer.model_dump_json().encode()
    kind = "application/problem+json" if isinstance(answer, Problem) else "application/json"
    head = (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def problem_bytes(refused: RefusedError) -> bytes:
    """The answer to a caller who is refused."""
    title = _REASONS.get(refused.status, "Unknown")
    return answer_bytes(
        refused.status, Problem(title=title, status=refused.status, detail=refused.detail)
    )


def parsed_json(body: bytes) -> object:
    """The JSON in a body; RefusedError."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "the body is no JSON") from error
