"""The bytes of the demo's DNS server, against messages written by hand (RFC 1035)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.targets import dns_answer

NAME = "target.test"
QNAME = b"\x06target\x04test\x00"
HEADER = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
QUERY = HEADER + QNAME + b"\x00\x01\x00\x01"


def test_answers_the_address_of_its_name() -> None:
    assert dns_answer(QUERY, name=NAME) == (
        b"\x12\x34\x85\x00\x00\x01\x00\x01\x00\x00\x00\x00"
        + QNAME + b"\x00\x01\x00\x01"
        + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x7f\x00\x00\x01"
    )  # fmt: skip


def test_the_name_may_be_written_in_any_case_and_comes_back_as_asked() -> None:
    answer = dns_answer(HEADER + b"\x06TARGET\x04test\x00\x00\x01\x00\x01", name=NAME)
    assert answer is not None
    assert answer[12:19] == b"\x06TARGET"
    assert answer.endswith(b"\x7f\x00\x00\x01")


def test_another_type_of_its_name_has_no_records() -> None:
    aaaa = HEADER + QNAME + b"\x00\x1c\x00\x01"
    assert dns_answer(aaaa, name=NAME) == (
        b"\x12\x34\x85\x00\x00\x01\x00\x00\x00\x00\x00\x00" + QNAME + b"\x00\x1c\x00\x01"
    )


def test_other_names_do_not_exist() -> None:
    question = b"\x05other\x04test\x00\x00\x01\x00\x01"
    assert dns_answer(HEADER + question, name=NAME) == (
        b"\x12\x34\x85\x03\x00\x01\x00\x00\x00\x00\x00\x00" + question
    )


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (HEADER, 1),
        (HEADER[:5] + b"\x02" + HEADER[6:] + QNAME + b"\x00\x01\x00\x01", 1),
        (HEADER + QNAME, 1),
        (HEADER + b"\xc0\x0c\x00\x01\x00\x01", 1),
        (b"\x12\x34\x29\x00" + QUERY[4:], 4),
    ],
)
def test_bad_questions_get_an_error_code(query: bytes, code: int) -> None:
    answer = dns_answer(query, name=NAME)
    assert answer is not None
    assert answer[:2] == b"\x12\x34"
    assert answer[3] & 15 == code
    assert answer[4:] == b"\x00" * 8


def test_what_is_no_query_gets_no_answer() -> None:
    assert dns_answer(b"\x12\x34", name=NAME) is None
    assert dns_answer(b"\x12\x34\x81\x00" + QUERY[4:], name=NAME) is None


@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda rest: HEADER + rest))
def test_any_datagram_is_survived(query: bytes) -> None:
    answer = dns_answer(query, name=NAME)
    assert answer is None or answer[:2] == query[:2]
