"""Sends one encoded body to Solomon and says what came of it: every mishap is a result."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from common.deadline_http import CallFailedError, DeadlineHttp
from common.solomon.answers import PushResult, PushStatus, push_result
from common.solomon.tokens import NoTokenError, TokenSource


@dataclass(frozen=True)
class PushAddress:
    """Where bodies of one dialect go: the path with its parameters, and the scheme of `Authorization`."""

    url: str
    path: str
    scheme: str


def classic_address(url: str, *, project: str, cluster: str, service: str) -> PushAddress:
    """Of a shard."""
    query = urlencode({"project": project, "cluster": cluster, "service": service})
    return PushAddress(url, f"/api/v2/push?{query}", "OAuth")


def cloud_address(url: str, *, folder_id: str, service: str) -> PushAddress:
    """Of a folder; the service of metrics that are not the cloud's own is `custom`."""
    query = urlencode({"folderId": folder_id, "service": service})
    return PushAddress(url, f"/monitoring/v2/data/write?{query}", "Bearer")


class HttpSolomonClient:
    """Pushes to one address; not for several threads at once. The token never reaches a log or a message.

    A push may be repeated: the same series at the same time is overwritten with the same value.
    """

    def __init__(self, address: PushAddress, tokens: TokenSource) -> None:
        """ValueError if the address has no server."""
        self._http = DeadlineHttp(address.url)
        self._address = address
        self._tokens = tokens

    def push(self, body: bytes, *, time_limit: timedelta = timedelta(seconds=15)) -> PushResult:
        """Send one body; the limit holds for all of it. A refused token is replaced at once, if that is possible."""
        result = self._push(body, time_limit)
        if result.status is PushStatus.NEW_TOKEN and self._tokens.refused():
            return self._push(body, time_limit)
        return result

    def interrupt(self) -> None:
        """Let the push that is going on in another thread fail now."""
        self._http.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _push(self, body: bytes, time_limit: timedelta) -> PushResult:
        try:
            answer = self._http.call(
                "POST",
                self._address.path,
                time_limit=time_limit,
                headers={
                    "Content-Type": "application/json",
                    "Authorization": f"{self._address.scheme} {self._tokens.token()}",
                },
                body=body,
            )
        except NoTokenError as error:
            return PushResult(PushStatus.NEW_TOKEN, message=str(error))
        except CallFailedError as error:
            return PushResult(PushStatus.RETRY, message=str(error))
        retry_after = answer.headers.get("retry-after", "")
        return push_result(
            answer.status, answer.body, retry_after=retry_after, now=datetime.now(UTC)
        )
