"""An API that answers with nonsense of every kind: the last good document stays, and the next good answer ends it."""

import gzip
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.configuration import Configuration, Surroundings
from agent.store import Store
from common.agent_api_client import AgentApiClient
from common.agent_transport import AgentTransport
from tests.integration.agent.stand_ins import document, prober, served

GOOD = document(prober(1, {}, ["true"]), revision=5)
NEWER = document(prober(1, {}, ["true"]), revision=6)
WHOLE = gzip.compress(NEWER)
# Status, Content-Encoding, body.
GARBAGE = {
    "nothing": (200, "", b""),
    "no JSON": (200, "", b"<html>welcome to this hotel</html>"),
    "binary": (200, "", bytes(range(256)) * 100),
    "null": (200, "", b"null"),
    "a list": (200, "", b"[" + GOOD + b"]"),
    "deep": (200, "", b'{"probers":' + b"[" * 100_000),
    "half": (200, "", NEWER[: len(NEWER) // 2]),
    "wrong shapes": (200, "", NEWER.replace(b'"probers":[', b'"probers":[7,')),
    "another format": (200, "", NEWER.replace(b'"format":1', b'"format":99')),
    "half a gzip": (200, "gzip", WHOLE[: len(WHOLE) // 2]),
    "no gzip": (200, "gzip", NEWER),
    "a gzip bomb": (200, "gzip", gzip.compress(b" " * 200 * 1024 * 1024, 1)),
    "a redirect": (302, "", b""),
    "an error page": (500, "", b"<html>oops</html>"),
    "a bad gateway": (502, "", b""),
    "a refusal that is none": (403, "", b"[]"),
}


class Answers(ThreadingHTTPServer):
    """Gives everybody the same answer."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answer = (200, "", GOOD)
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Answers)
        status, encoding, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@pytest.fixture
def answers() -> Iterator[Answers]:
    server = Answers()
    with served(server):
        yield server


def test_the_last_good_document_stays(answers: Answers, agent_folder: Path) -> None:
    url = f"http://127.0.0.1:{answers.server_address[1]}"
    client = AgentApiClient(AgentTransport(url, "token"), "demo")
    held = Configuration(client, Store(agent_folder), Surroundings("demo", "h1", lambda: 5))
    plan = held.poll().plan
    assert plan
    for name, answer in GARBAGE.items():
        answers.answer = answer
        before = held.failures
        assert held.poll().plan is plan, name
        assert held.failures == before + 1, name
    answers.answer = (200, "gzip", WHOLE)
    news = held.poll()
    assert (news.plan and news.plan.document_revision, news.problem) == (6, "")
    client.close()
