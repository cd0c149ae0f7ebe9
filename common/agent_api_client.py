"""The part of the API that agents use: their configuration, files by hash, reports, evidence."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from pydantic import JsonValue, ValidationError

from common.contracts.configuration import ClusterSecrets
from common.contracts.evidence import EvidenceAddress, EvidenceAnnouncement
from common.contracts.reports import AgentReport
from common.errors import ApiUnreachableError

_TIME_LIMIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(seconds=30)
# For a content of many megabytes over a thin line.
_CONTENT_LIMIT = timedelta(seconds=120)


class Answer(Protocol):
    """An answer that is no refusal."""

    @property
    def status_code(self) -> int:
        """Of HTTP."""

    @property
    def content(self) -> bytes | Any:
        """The whole body."""

    @property
    def url(self) -> str:
        """What was asked."""


class Transport(Protocol):
    """How the API is called: `AgentTransport`, or `ApiTransport` where `requests` is."""

    def call(
        self,
        method: str,
        path: str,
        *,
        body: JsonValue | bytes = None,
        headers: Mapping[str, str] | None = None,
        time_limit: timedelta = ...,
    ) -> Answer:
        """See `AgentTransport`."""

    def put(self, address: str, content: bytes, *, headers: Mapping[str, str]) -> None:
        """See `AgentTransport`."""

    def close(self) -> None:
        """Close the connections."""


class AgentApiClient:
    """Calls of one cluster's agents; errors are those of `AgentTransport.call`, like it for one thread only."""

    def __init__(self, transport: Transport, cluster: str) -> None:
        self._transport = transport
        self._path = f"/api/v1/clusters/{cluster}"

    def configuration(self, etag: str, *, wait: timedelta = timedelta()) -> bytes | None:
        """The document's bytes, or None if it is still the one with this ETag (empty: none yet).

        `wait`: how long the API holds the question if it has nothing new, 30 s at most; an older one does not.
        """
        headers = {"If-None-Match": etag} if etag else {}
        seconds = min(wait, _LONGEST_WAIT).total_seconds()
        query = f"?wait={seconds:g}" if etag and seconds else ""
        answer = self._transport.call(
            "GET",
            f"{self._path}/configuration{query}",
            headers=headers,
            time_limit=_CONTENT_LIMIT + wait,
        )
        return None if answer.status_code == 304 else answer.content

    def file(self, sha256: str) -> bytes:
        """The content of a file; whoever uses it checks the hash."""
        return self._transport.call(
            "GET", f"/api/v1/files/{sha256}", time_limit=_CONTENT_LIMIT
        ).content

    def secrets(self) -> ClusterSecrets:
        """The newest values of the secrets that the cluster's probers name."""
        answer = self._transport.call("GET", f"{self._path}/secrets")
        try:
            return ClusterSecrets.model_validate_json(answer.content)
        except ValidationError as error:
            # The library's text would repeat what came.
            raise ApiUnreachableError(answer.url, "unexpected answer") from error

    def upload(self, announcement: EvidenceAnnouncement, content: bytes) -> UUID:
        """Upload the evidence that is announced; its id. What was announced and did not come is never shown."""
        answer = self._transport.call(
            "POST", f"{self._path}/uploads", body=announcement.model_dump(mode="json")
        )
        try:
            address = EvidenceAddress.model_validate_json(answer.content)
        except ValidationError as error:
            # The library's text would repeat what came.
            raise ApiUnreachableError(answer.url, "unexpected answer") from error
        self._transport.put(address.url, content, headers=address.headers)
        return address.id

    def report(self, report: AgentReport, *, time_limit: timedelta = _TIME_LIMIT) -> None:
        """Replace what the API knows about this agent; may be repeated."""
        self._transport.call(
            "POST",
            f"{self._path}/reports",
            # Thousands of states at once as text; as dictionaries they would be megabytes on the way.
            body=report.model_dump_json().encode(),
            headers={"Content-Type": "application/json"},
            time_limit=time_limit,
        )

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
