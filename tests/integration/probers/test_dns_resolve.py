"""dns-resolve against real servers that answer well, badly, with nonsense or not at all; messages are written by hand."""

import pytest

from tests.integration.probers.runs import Finished, RunProber, ServeUdp

QUESTION = b"\x06target\x04test\x00\x00\x01\x00\x01"
ADDRESS = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x07"
ALIAS = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x05\x00\x08\x05alias\xc0\x13"
ADDRESS_OF_ALIAS = b"\x05ALIAS\xc0\x13\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x08"
ADDRESS_OF_OTHER = b"\x05other\xc0\x13\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x09"


def answer(
    query: bytes, rest: bytes, *, flags: bytes = b"\x85\x80", questions: int = 1, records: int = 1
) -> bytes:
    counts = bytes([0, questions, 0, records, 0, 0, 0, 0])
    return query[:2] + flags + counts + rest


def resolve(run_prober: RunProber, port: int, **variables: str) -> Finished:
    server = f"127.0.0.1:{port}"
    return run_prober("dns-resolve", VAR_DNS_SERVER=server, VAR_DNS_NAME="target.test", **variables)


def test_finds_the_expected_address(run_prober: RunProber, serve_udp: ServeUdp) -> None:
    queries: list[bytes] = []

    def answers(query: bytes) -> list[bytes]:
        queries.append(query)
        return [answer(query, QUESTION + ADDRESS)]

    _, port = serve_udp(answers)
    finished = resolve(run_prober, port, VAR_EXPECTED_ADDRESS="10.0.0.7")
    assert (finished.code, finished.errors) == (0, "")
    assert finished.metrics.keys() == {"dns_resolve_seconds"}
    assert queries[0][2:] == b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + QUESTION


def test_follows_an_alias(run_prober: RunProber, serve_udp: ServeUdp) -> None:
    records = QUESTION + ALIAS + ADDRESS_OF_OTHER + ADDRESS_OF_ALIAS
    _, port = serve_udp(lambda query: [answer(query, records, records=3)])
    assert resolve(run_prober, port, VAR_EXPECTED_ADDRESS="10.0.0.8").code == 0
    assert resolve(run_prober, port, VAR_EXPECTED_ADDRESS="10.0.0.9").code == 1


def test_waits_for_the_answer_that_has_its_id(run_prober: RunProber, serve_udp: ServeUdp) -> None:
    def answers(query: bytes) -> list[bytes]:
        forged = bytes([query[0] ^ 1]) + query[1:]
        good = answer(query, QUESTION + ADDRESS)
        return [b"x", query, answer(forged, QUESTION + ADDRESS_OF_OTHER), good]

    _, port = serve_udp(answers)
    assert resolve(run_prober, port, VAR_EXPECTED_ADDRESS="10.0.0.7").code == 0


def test_another_address_and_no_address_are_failures(
    run_prober: RunProber, serve_udp: ServeUdp
) -> None:
    _, port = serve_udp(lambda query: [answer(query, QUESTION + ADDRESS)])
    finished = resolve(run_prober, port, VAR_EXPECTED_ADDRESS="10.0.0.1")
    assert finished.code == 1
    assert finished.reason.endswith("says that target.test is 10.0.0.7, not 10.0.0.1")

    _, port = serve_udp(lambda query: [answer(query, QUESTION, records=0)])
    finished = resolve(run_prober, port)
    assert finished.code == 1
    assert finished.reason == f"127.0.0.1:{port} knows no address of target.test"


@pytest.mark.parametrize(
    ("head", "rest", "reason"),
    [
        ((b"\x85\x83", 1, 0), QUESTION, "the server says NXDOMAIN"),
        ((b"\x85\x82", 1, 0), QUESTION, "the server says SERVFAIL"),
        ((b"\x85\x8b", 1, 0), QUESTION, "the server says error 11"),
        ((b"\x87\x80", 1, 0), QUESTION, "the answer does not fit into a datagram"),
        ((b"\x85\x80", 0, 1), b"", "0 questions"),
        ((b"\x85\x80", 1, 1), b"\x05other" + QUESTION[7:], "the answer is for another question"),
        ((b"\x85\x80", 1, 1), QUESTION[:-1] + b"\x02", "the answer is for another question"),
        ((b"\x85\x80", 1, 1), QUESTION, "the answer is cut off"),
        ((b"\x85\x80", 1, 1), QUESTION + ADDRESS[:-1], "the answer is cut off"),
        ((b"\x85\x80", 1, 1), QUESTION[:5], "a name in the answer is malformed"),
        ((b"\x85\x80", 1, 1), b"\x80" * 20, "a name in the answer is malformed"),
        ((b"\x85\x80", 1, 1), b"\xc0\x0c", "a name in the answer points forwards"),
        ((b"\x85\x80", 1, 1), QUESTION + b"\xc0\xff", "a name in the answer points forwards"),
        ((b"\x85\x80", 1, 1), b"\x01a" * 200, "a name in the answer is malformed"),
    ],
)
def test_bad_answers_are_failures_with_a_reason(
    run_prober: RunProber,
    serve_udp: ServeUdp,
    head: tuple[bytes, int, int],
    rest: bytes,
    reason: str,
) -> None:
    flags, questions, records = head
    _, port = serve_udp(
        lambda query: [answer(query, rest, flags=flags, questions=questions, records=records)]
    )
    finished = resolve(run_prober, port)
    assert finished.code == 1
    assert finished.reason.startswith(f"bad answer of 127.0.0.1:{port} for target.test: ")
    assert reason in finished.reason


def test_a_dead_server_is_failure(run_prober: RunProber, dead_port: int) -> None:
    finished = resolve(run_prober, dead_port)
    assert finished.code == 1
    assert finished.reason.endswith("for target.test: Connection refused")


def test_gives_up_by_itself_on_a_silent_server(run_prober: RunProber, serve_udp: ServeUdp) -> None:
    _, port = serve_udp(lambda _: [])
    finished = resolve(run_prober, port, VAR_TIMEOUT_SECONDS="0.2")
    assert finished.code == 1
    assert finished.reason == f"no answer of 127.0.0.1:{port} for target.test within 0.2 s"


@pytest.mark.parametrize(
    "variables",
    [
        {"VAR_DNS_NAME": "target.test"},
        {"VAR_DNS_SERVER": "dns.test:53", "VAR_DNS_NAME": "target.test"},
        {"VAR_DNS_SERVER": "127.0.0.1:53"},
        {"VAR_DNS_SERVER": "127.0.0.1:53", "VAR_DNS_NAME": "a..b"},
        {"VAR_DNS_SERVER": "127.0.0.1:53", "VAR_DNS_NAME": "пример.test"},
    ],
)
def test_is_broken_by_wrong_settings(run_prober: RunProber, variables: dict[str, str]) -> None:
    assert run_prober("dns-resolve", **variables).code == 3
