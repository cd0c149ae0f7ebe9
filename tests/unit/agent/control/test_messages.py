"""What the control socket takes for a request, and what it does not."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.control.messages import RefusedError, answer_bytes, parsed_head, problem_bytes
from common.contracts.control import Pauses


def test_takes_a_request_apart() -> None:
    head = parsed_head(
        b"POST /v1/records?prober=dns&failed= HTTP/1.1\r\nHost: agent\r\nContent-Length: 12"
    )
    assert (head.method, head.path, head.length) == ("POST", "/v1/records", 12)
    assert head.query == {"prober": "dns", "failed": ""}


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"GET /v1/state", 400),
        (b"GET http://elsewhere/ HTTP/1.1", 400),
        (b"GET /v1/state SPDY/9", 400),
        (b"PATCH /v1/state HTTP/1.1", 405),
        (b"GET /v1/state HTTP/1.1\r\nno header", 400),
        (b"GET /v1/state HTTP/1.1\r\n folded: yes", 400),
        (b"GET /v1/state HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2", 400),
        (b"GET /v1/state HTTP/1.1\r\nContent-Length: -1", 400),
        (b"GET /v1/state HTTP/1.1\r\nContent-Length: 1e9", 400),
        (b"POST /v1/runs HTTP/1.1\r\nTransfer-Encoding: chunked", 411),
    ],
)
def test_refuses_what_it_does_not_speak(content: bytes, status: int) -> None:
    with pytest.raises(RefusedError) as refused:
        parsed_head(content)
    assert refused.value.status == status


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else_happens(content: bytes) -> None:
    with contextlib.suppress(RefusedError):
        parsed_head(content)


def test_an_answer_says_its_length_and_that_it_is_the_last() -> None:
    head, _, body = answer_bytes(200, Pauses()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Connection: close" in head
    assert b"application/problem+json" in problem_bytes(RefusedError(404, "no such path"))
