"""Kept output: head and tail, within a bound, the cut marked."""

from hypothesis import given
from hypothesis import strategies as st

from agent.running.capture import Capture


def captured(*chunks: bytes, kept_bytes: int = 10) -> Capture:
    capture = Capture(kept_bytes=kept_bytes)
    for chunk in chunks:
        capture.feed(chunk)
    return capture


def test_keeps_a_short_stream_whole() -> None:
    assert captured(b"one\n", b"two").text() == "one\ntwo"


def test_keeps_head_and_tail_and_marks_the_cut() -> None:
    capture = captured(b"0123456789", b"x" * 100, b"abcdefghij")
    assert capture.text() == "0123456789\n[... 100 bytes cut ...]\nabcdefghij"
    assert capture.cut_bytes == 100


def test_lines_have_the_mark_for_those_through_which_the_cut_goes() -> None:
    capture = captured(b"one\ntwo 22", b"2" * 50, b"22 bad\ntre\n")
    assert capture.lines() == ["one\n", "[... 51 bytes cut ...]\n", "tre\n"]


def test_half_a_line_can_be_told_from_a_whole_one() -> None:
    assert captured(b"one\r\n\ntw").lines() == ["one\r\n", "\n", "tw"]
    assert captured(b"0123456789", b"x" * 100).lines() == ["[... 90 bytes cut ...]\n"]


@given(st.lists(st.binary(max_size=30), max_size=30), st.integers(1, 20))
def test_never_loses_more_than_it_says(chunks: list[bytes], kept: int) -> None:
    whole = b"".join(chunks)
    capture = captured(*chunks, kept_bytes=kept)
    assert capture.cut_bytes == max(0, len(whole) - 2 * kept)
    if not capture.cut_bytes:
        assert capture.text() == whole.decode(errors="replace")


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert captured(b"\xff\x00ok").text() == "�\x00ok"


@given(st.lists(st.binary(max_size=30), max_size=30), st.integers(1, 20), st.integers(2, 60))
def test_an_excerpt_is_within_its_bound_and_says_what_it_lacks(
    chunks: list[bytes], kept: int, limit: int
) -> None:
    whole = b"".join(chunks)
    excerpt = captured(*chunks, kept_bytes=kept).excerpt(limit)
    held = len(excerpt.head) + len(excerpt.tail)
    assert held <= limit
    assert excerpt.printed_bytes == len(whole) == held + excerpt.cut_bytes
    assert whole.startswith(excerpt.head)
    assert whole.endswith(excerpt.tail)
    assert excerpt.cut_bytes or excerpt.head == whole
