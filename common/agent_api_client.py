"""The part of the API that agents use: their configuration, files by hash, reports, evidence."""

from datetime import timedelta
from uuid import UUID

from pydantic import ValidationError

from common.api_transport import ApiTransport
from common.contracts.configuration import ClusterSecrets
from common.contracts.evidence import EvidenceAddress, EvidenceAnnouncement
from common.contracts.reports import AgentReport
from common.errors import ApiUnreachableError

_TIME_LIMIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(seconds=30)


class AgentApiClient:
    """Calls of one cluster's agents; errors are those of `ApiTransport.call`, like it for one thread only."""

    def __init__(self, transport: ApiTransport, cluster: str) -> None:
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
            time_limit=_TIME_LIMIT + wait,
        )
        return None if answer.status_code == 304 else answer.content

    def file(self, sha256: str) -> bytes:
        """The content of a file; whoever uses it checks the hash."""
        return self._transport.call("GET", f"/api/v1/files/{sha256}").content

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
            body=report.model_dump(mode="json"),
            time_limit=time_limit,
        )

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
