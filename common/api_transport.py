"""One HTTP call to the API: adds the key, turns every mishap into one of our errors. Nothing is repeated here."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import urljoin

import requests
from pydantic import JsonValue

from common.api_answers import check_key, host_of, is_fine, refusal
from common.errors import ApiUnreachableError
from common.version import VERSION

# Says which tool writes; `*`: whoever manages the object, this write is wanted (api/README.md).
MANAGER_HEADER = "Mr-Prober-Manager"
_CONNECT_SECONDS = 5.0
_PUT_SECONDS = 30.0


class ApiTransport:
    """A session with the API; not for several threads at once. The key never reaches a log or an error.

    `authorities`: a PEM file of the only ones whose certificates are believed; without it the well-known ones are.
    `manager` is who writes: what bears another `managed_by` is then refused with 409.
    UnusableKeyError: the HTTP library would refuse the key, and say it aloud.
    """

    def __init__(
        self, url: str, key: str, *, authorities: Path | None = None, manager: str = ""
    ) -> None:
        check_key(key)
        self._url = url.rstrip("/")
        self._session = requests.Session()
        # Settings are explicit: no proxy, no .netrc from the environment of whoever started us.
        self._session.trust_env = False
        self._session.verify = str(authorities) if authorities else True
        self._session.headers["Authorization"] = f"Bearer {key}"
        self._session.headers["User-Agent"] = f"mr-prober/{VERSION}"
        if manager:
            self._session.headers[MANAGER_HEADER] = manager

    def call(
        self,
        method: str,
        path: str,
        *,
        body: JsonValue | bytes = None,
        headers: Mapping[str, str] | None = None,
        time_limit: timedelta = timedelta(seconds=30),
    ) -> requests.Response:
        """The answer, if it is 2xx or 304; ApiRefusedError for any other answer of the API.

        `path` starts with `/api/v1`; `body` is sent as JSON, bytes as they are.
        ApiUnreachableError: no connection, time limit, or an answer that is not the API's.
        """
        try:
            response = self._session.request(
                method,
                f"{self._url}{path}",
                json=None if isinstance(body, bytes) else body,
                data=body if isinstance(body, bytes) else None,
                headers=dict(headers or {}),
                timeout=(_CONNECT_SECONDS, time_limit.total_seconds()),
                allow_redirects=False,
            )
        except OSError as error:  # all of the library's, and a file of authorities that is none
            raise ApiUnreachableError(self._url, _reason(error)) from error
        if is_fine(response.status_code):
            return response
        raise refusal(self._url, response.status_code, response.content)

    def put(self, address: str, content: bytes, *, headers: Mapping[str, str]) -> None:
        """Send a content to a signed address, relative to the API's or anywhere; our key stays here.

        ApiUnreachableError: it did not get there, or was refused. Such an address may be good for one request only.
        """
        url = urljoin(f"{self._url}/", address)
        is_ours = url.startswith(f"{self._url}/")
        try:
            response = self._session.put(
                url,
                data=content,
                headers={**headers, "Authorization": None},
                verify=self._session.verify if is_ours else True,
                timeout=(_CONNECT_SECONDS, _PUT_SECONDS),
                allow_redirects=False,
            )
        except OSError as error:
            raise ApiUnreachableError(host_of(url), _reason(error)) from error
        if not response.ok:
            raise ApiUnreachableError(host_of(url), f"refused, HTTP {response.status_code}")

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def _reason(error: OSError) -> str:
    """The innermost cause in its own words: the library's text repeats addresses and its own names."""
    if isinstance(error, requests.ReadTimeout):
        return "no answer in time"
    cause: BaseException = error
    while inner := _inner(cause):
        cause = inner
    return getattr(cause, "strerror", None) or str(cause)


def _inner(error: BaseException) -> BaseException | None:
    reason = getattr(error, "reason", None)
    causes = [reason, *error.args, error.__cause__, error.__context__]
    return next((cause for cause in causes if isinstance(cause, BaseException)), None)
