"""An agent's HTTP calls to the API: what `ApiTransport` does for tools, over `deadline_http`.

`requests` and what comes with it would be a seventh of the memory of an agent, on each machine of others, for ever;
and its limits hold for each read only. docs/decisions/0034-agents-without-requests.md says more.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from pydantic import JsonValue

from common.api_answers import check_key, host_of, is_fine, refusal
from common.deadline_http import CallFailedError, DeadlineHttp, HttpAnswer
from common.errors import ApiUnreachableError

# More than any document or file of ours may have.
MAX_CONTENT_BYTES = 128 * 1024 * 1024
_PUT_LIMIT = timedelta(seconds=30)
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """An answer that is no refusal."""

    status_code: int
    content: bytes
    url: str


class AgentTransport:
    """One connection with the API; not for several threads at once. The key never reaches a log or an error.

    `authorities`: a PEM file of the only ones whose certificates are believed; without it those that the system knows are.
    UnusableKeyError: no HTTP header carries the key.
    """

    def __init__(self, url: str, key: str, *, authorities: Path | None = None) -> None:
        check_key(key)
        self._url = url.rstrip("/")
        self._key = key
        self._authorities = authorities
        self._http: DeadlineHttp | None = None

    def call(
        self,
        method: str,
        path: str,
        *,
        body: JsonValue | bytes = None,
        headers: Mapping[str, str] | None = None,
        time_limit: timedelta = timedelta(seconds=30),
    ) -> ApiAnswer:
        """The answer, if it is 2xx or 304; ApiRefusedError for any other answer of the API.

        `path` starts with `/api/v1`; `body` is sent as JSON, bytes as they are; `time_limit` is for all of it.
        ApiUnreachableError: no connection, time limit, or an answer that is not the API's.
        A call may be sent twice if the connection was lost meanwhile: those of agents may be repeated.
        """
        sent = {
            "Authorization": f"Bearer {self._key}",
            "Accept-Encoding": "gzip",
            **(headers or {}),
        }
        content = b""
        if isinstance(body, bytes):
            content = body
        elif body is not None:
            content = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        try:
            answer = self._connected().call(
                method, path, time_limit=time_limit, headers=sent, body=content,
                max_answer_bytes=MAX_CONTENT_BYTES,
            )  # fmt: skip
            received = _content(answer)
        except (CallFailedError, ValueError, zlib.error) as error:
            raise ApiUnreachableError(self._url, str(error)) from error
        if is_fine(answer.status):
            return ApiAnswer(answer.status, received, f"{self._url}{path}")
        raise refusal(self._url, answer.status, received)

    def put(self, address: str, content: bytes, *, headers: Mapping[str, str]) -> None:
        """Send a content to a signed address, relative to the API's or anywhere; our key stays here.

        ApiUnreachableError: it did not get there, or was refused. Such an address may be good for one request only.
        """
        try:
            url = urljoin(f"{self._url}/", address)
            parts = urlsplit(url)
        except ValueError as error:
            raise ApiUnreachableError(self._url, "an address that is none") from error
        authorities = self._authorities if url.startswith(f"{self._url}/") else None
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        try:
            # A connection of its own is never sent twice over.
            http = DeadlineHttp(host_of(url), authorities=authorities)
            try:
                answer = http.call(
                    "PUT", path, time_limit=_PUT_LIMIT, headers=headers, body=content
                )
            finally:
                http.close()
        except (CallFailedError, OSError, ValueError) as error:
            raise ApiUnreachableError(host_of(url), str(error)) from error
        if not 200 <= answer.status < 300:
            raise ApiUnreachableError(host_of(url), f"refused, HTTP {answer.status}")

    def _connected(self) -> DeadlineHttp:
        if self._http is None:
            try:
                self._http = DeadlineHttp(self._url, authorities=self._authorities)
            except OSError as error:
                reason = f"{self._authorities}: {error.strerror or error}"
                raise ApiUnreachableError(self._url, reason) from error
        return self._http

    def close(self) -> None:
        """Close the connection."""
        if self._http:
            self._http.close()


def _content(answer: HttpAnswer) -> bytes:
    content = answer.body
    if answer.headers.get("content-encoding") == "gzip":
        opened = zlib.decompressobj(_GZIP_WINDOW)
        content = opened.decompress(content, MAX_CONTENT_BYTES)
        if not opened.eof and len(content) < MAX_CONTENT_BYTES:
            raise ValueError("the answer is cut off")
    if len(content) >= MAX_CONTENT_BYTES:
        raise ValueError(f"the answer is larger than {MAX_CONTENT_BYTES} bytes")
    return content
