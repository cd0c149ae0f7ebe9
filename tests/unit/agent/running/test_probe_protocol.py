"""Our few lines for two messages against the protobuf library and cloudprober's own description of them."""

import pytest
from cloudprober.external import server_pb2
from hypothesis import given
from hypothesis import strategies as st

from agent.running.probe_protocol import (
    ProbeReply,
    ProtocolError,
    ReplyReader,
    parsed_reply,
    request_frame,
)

int32 = st.integers(-(2**31), 2**31 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=300)


def frame(content: bytes, before: bytes = b"\n") -> bytes:
    return b"%sContent-Length: %d\n\n%s" % (before, len(content), content)


@given(
    request_id=st.integers(0, 2**31 - 1),
    limit=st.integers(0, 2**31 - 1),
    options=st.dictionaries(texts, texts, max_size=5),
)
def test_requests_are_what_the_library_reads(
    request_id: int, limit: int, options: dict[str, str]
) -> None:
    sent = request_frame(request_id, time_limit_milliseconds=limit, options=options)
    _, header, empty, content = sent.split(b"\n", 3)
    assert (header, empty) == (b"Content-Length: %d" % len(content), b"")
    message = server_pb2.ProbeRequest.FromString(content)
    assert (message.request_id, message.time_limit) == (request_id, limit)
    assert {option.name: option.value for option in message.options} == options


@given(request_id=int32, error=texts, payload=texts)
def test_replies_of_the_library_are_read(request_id: int, error: str, payload: str) -> None:
    message = server_pb2.ProbeReply(request_id=request_id, error_message=error, payload=payload)
    assert parsed_reply(message.SerializeToString()) == ProbeReply(
        request_id, error, payload.encode()
    )


@given(st.binary(max_size=60))
def test_no_content_does_more_than_be_refused(content: bytes) -> None:
    try:
        parsed_reply(content)
    except ProtocolError:
        return


def test_fields_that_nobody_knows_are_skipped() -> None:
    content = bytes([8, 5, 0x21, *range(8), 0x2D, *range(4), 0x32, 2, 1, 1, 0x38, 9, 26, 1]) + b"x"
    assert parsed_reply(content) == ProbeReply(5, "", b"x")


def test_a_reply_without_its_number_is_refused() -> None:
    with pytest.raises(ProtocolError, match="request_id"):
        parsed_reply(bytes([26, 1]) + b"x")


noise = st.lists(
    st.binary(max_size=20).filter(lambda text: b"Content-Length" not in text), max_size=2
).map(lambda lines: b"".join(line + b"\n" for line in lines))


@given(
    payloads=st.lists(st.tuples(noise, st.booleans(), texts), max_size=6),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=20),
)
def test_replies_come_through_in_any_pieces_and_between_any_lines(
    payloads: list[tuple[bytes, bool, str]], cuts: list[int]
) -> None:
    stream = b""
    for number, (printed, leading, payload) in enumerate(payloads):
        message = server_pb2.ProbeReply(request_id=number, payload=payload)
        stream += printed + frame(message.SerializeToString(), b"\n" if leading else b"")
    reader = ReplyReader(max_bytes=10_000)
    replies: list[ProbeReply] = []
    position = 0
    while position < len(stream):
        size = cuts[position % len(cuts)]
        replies += reader.replies(stream[position : position + size])
        position += size
    assert replies == [
        ProbeReply(number, "", payload.encode()) for number, (*_, payload) in enumerate(payloads)
    ]
    assert reader.bad_replies == 0


def test_something_printed_without_a_newline_hides_no_reply() -> None:
    reader = ReplyReader(max_bytes=100)
    content = bytes([8, 1])
    assert list(reader.replies(b"hello" + frame(content, b""))) == [ProbeReply(1)]


def test_one_that_cannot_be_read_is_counted_and_the_next_one_is_read() -> None:
    reader = ReplyReader(max_bytes=100)
    stream = frame(b"\xff\xff\xff") + frame(bytes([8, 2]))
    assert list(reader.replies(stream)) == [ProbeReply(2)]
    assert reader.bad_replies == 1


def test_a_reply_beyond_the_bound_is_refused_at_its_header() -> None:
    with pytest.raises(ProtocolError, match="101 bytes"):
        list(ReplyReader(max_bytes=100).replies(b"Content-Length: 101\n"))


def test_a_flood_without_a_newline_is_not_kept() -> None:
    reader = ReplyReader(max_bytes=100)
    for _ in range(100):
        assert list(reader.replies(b"x" * 65536)) == []
    assert list(reader.replies(b"\n" + frame(bytes([8, 3])))) == [ProbeReply(3)]
