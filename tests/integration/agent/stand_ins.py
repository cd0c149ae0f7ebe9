"""Stand-ins for the two servers an agent speaks to, and what the tests need to wait without sleeping long."""

import hashlib
import json
import os
import pwd
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common.contracts.configuration import etag_of
from common.contracts.values import canonical_json

ROOT = Path(__file__).parents[3]
CLUSTER_ID = "01890000-0000-7000-8000-000000000001"


def wait_until(condition: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Come back as soon as the condition holds; fail if it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        time.sleep(0.01)


@contextmanager
def served(server: ThreadingHTTPServer) -> Iterator[None]:
    """The server answers within."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def prober_id(number: int) -> str:
    return f"01890000-0000-7000-8000-0000000001{number:02d}"


def prober(number: int, files: dict[str, bytes], command: list[str], **settings: Any) -> Any:
    """One prober of a document; files are executable. The time limit is not the interval: a busy machine is no verdict."""
    references = [
        {"path": path, "mode": "0755", "sha256": sha256(content), "size": len(content)}
        for path, content in files.items()
    ]
    return {
        "id": prober_id(number),
        "slug": f"prober-{number}",
        "command": command,
        "revision": 1,
        "revisions": {"1": references},
        "configs": [{"slug": "all", "settings": {"time_limit_seconds": 60, **settings}}],
    }


def document(*probers: Any, revision: int = 1, **more: Any) -> bytes:
    """A configuration document of cluster `demo`."""
    return canonical_json(
        {
            "format": 1,
            "revision": revision,
            "cluster": {"id": CLUSTER_ID, "slug": "demo"},
            "hosts": {"h1": {"address": "127.0.0.1"}},
            "probers": list(probers),
            **more,
        }
    )


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class StubApi:
    """Serves one canned document and files; remembers reports and what was asked."""

    def __init__(self) -> None:
        self.document = document()
        self.files: dict[str, bytes] = {}
        self.secrets: dict[str, Any] | None = None
        self.status = 200
        self.reports: list[Any] = []
        self.asked: list[tuple[str, int]] = []
        self.token = "test-token"
        self.refuse_posts = False
        self.refuse_uploads = 0  # with this status
        self.announced: list[Any] = []
        self.uploads: dict[str, str] = {}  # by id
        api = self

        class Handler(_Quiet):
            def do_GET(self) -> None:
                api._get(self)

            def do_POST(self) -> None:
                api._post(self)

            def do_PUT(self) -> None:
                api._put(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def serve_files(self, *contents: bytes) -> None:
        self.files |= {sha256(content): content for content in contents}

    def statuses(self, part: str) -> list[int]:
        return [status for path, status in self.asked if part in path]

    def _get(self, handler: "_Quiet") -> None:
        path = urlsplit(handler.path).path
        if handler.headers["Authorization"] != f"Bearer {self.token}":
            self._answer(handler, 401, _problem(401))
        elif self.status != 200:
            self._answer(handler, self.status, _problem(self.status))
        elif path == "/api/v1/clusters/demo/configuration":
            same = handler.headers["If-None-Match"] == etag_of(self.document)
            self._answer(handler, 304 if same else 200, b"" if same else self.document)
        elif path == "/api/v1/clusters/demo/secrets" and self.secrets is not None:
            self._answer(handler, 200, json.dumps({"secrets": self.secrets}).encode())
        elif (name := path.removeprefix("/api/v1/files/")) in self.files:
            self._answer(handler, 200, self.files[name])
        else:
            self._answer(handler, 404, _problem(404))

    def _post(self, handler: "_Quiet") -> None:
        report = json.loads(handler.body())
        if handler.path.endswith("/uploads"):
            self._announced(handler, report)
            return
        if self.refuse_posts:
            self._answer(handler, 503, _problem(503))
            return
        self.reports.append(report)
        self._answer(handler, 204, b"")

    def _announced(self, handler: "_Quiet", announcement: Any) -> None:
        if self.refuse_uploads:
            self._answer(handler, self.refuse_uploads, _problem(self.refuse_uploads))
            return
        self.announced.append(announcement)
        id_ = f"01890000-0000-7000-8000-{len(self.announced):012}"
        address = {
            "id": id_,
            "method": "PUT",
            "url": f"/api/v1/uploads/{id_}?signature=s",
            "headers": {"Content-Length": str(announcement["size"])},
            "expires_at": "2100-01-01T00:00:00Z",
        }
        self._answer(handler, 201, json.dumps(address).encode())

    def _put(self, handler: "_Quiet") -> None:
        id_ = urlsplit(handler.path).path.rpartition("/")[2]
        self.uploads[id_] = handler.body().decode()
        self._answer(handler, 204, b"")

    def _answer(self, handler: "_Quiet", status: int, body: bytes) -> None:
        self.asked.append((handler.path, status))
        handler.answer(status, body)


class StubSolomon:
    """Takes pushes, remembers them, answers what the test wants."""

    def __init__(self) -> None:
        self.pushes: list[Any] = []
        self.paths: list[str] = []
        self.tokens: list[str] = []
        self.answers: list[tuple[int, bytes]] = []
        self.refused_name = ""  # a push with this sensor gets a 503, for ever
        solomon = self

        class Handler(_Quiet):
            def do_POST(self) -> None:
                solomon._post(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def sensors(self, name: str) -> list[Any]:
        return [
            sensor
            for push in self.pushes
            for sensor in push["sensors"]
            if sensor["labels"]["name"] == name
        ]

    def _post(self, handler: "_Quiet") -> None:
        push = json.loads(handler.body())
        self.paths.append(handler.path)
        self.tokens.append(handler.headers["Authorization"])
        self.pushes.append(push)
        fine = json.dumps({"sensorsProcessed": len(push["sensors"])}).encode()
        if any(sensor["labels"]["name"] == self.refused_name for sensor in push["sensors"]):
            handler.answer(503, b"ill")
            return
        handler.answer(*(self.answers.pop(0) if self.answers else (200, fine)))


def folder_server(folder: Path, prefix: str) -> ThreadingHTTPServer:
    """Serves the files of a folder to whoever shows no key."""

    class Handler(_Quiet):
        def do_GET(self) -> None:
            path = folder / self.path.removeprefix(prefix)
            is_fine = path.is_file() and "Authorization" not in self.headers
            self.answer(200 if is_fine else 404, path.read_bytes() if is_fine else b"")

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status not in {204, 304}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


def _problem(status: int) -> bytes:
    return json.dumps({"title": "no", "status": status, "detail": f"refused, {status}"}).encode()


def agent_environment(folder: Path, api: StubApi) -> dict[str, str]:
    """Settings of an agent that works in `folder`, speaks with this API and asks it often."""
    return {
        "PYTHONPATH": str(ROOT),
        "MR_PROBER_API_URL": api.url,
        "MR_PROBER_CLUSTER": "demo",
        "MR_PROBER_HOST": "h1",
        "MR_PROBER_AGENT_TOKEN": api.token,
        "MR_PROBER_AGENT_DIR": str(folder),
        "MR_PROBER_AGENT_USER": pwd.getpwuid(os.geteuid()).pw_name,
        "MR_PROBER_AGENT_POLL_INTERVAL": "0.2",
    }
