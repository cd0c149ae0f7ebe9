"""How tools reach the API: which address, which key, who they are; one client per thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from pydantic import SecretStr

from common.api_client import ApiClient
from common.api_transport import ApiTransport
from common.atomic_files import read_key
from common.errors import ApiRefusedError, ApiUnreachableError
from tools.errors import AddressError, KeyRefusedError, MissingKeyError

# The detail of the API's 404 for a route that it does not have.
_NO_ROUTE = "there is no such address"


@dataclass(frozen=True)
class ApiAccess:
    """Where the API is and how it is called; the fields are those of `settings.ToolSettings`.

    `manager` is the tool's name in `managed_by`: without it the API refuses changes of what has a manager.
    """

    api_url: str
    api_key: SecretStr | None
    api_key_file: Path
    api_authorities: Path | None = None
    manager: str = ""

    def transport(self) -> ApiTransport:
        """A connection of its own. AddressError, MissingKeyError, KeyFileError, UnusableKeyError."""
        if not _is_address(self.api_url):
            raise AddressError(self.api_url)
        source = "MR_PROBER_API_KEY" if self.api_key else str(self.api_key_file)
        return _Transport(
            self.api_url, self._key(), authorities=self.api_authorities, manager=self.manager,
            source=source,
        )  # fmt: skip

    @contextmanager
    def client(self) -> Iterator[ApiClient]:
        """A client that is closed at the end."""
        transport = self.transport()
        try:
            yield ApiClient(transport)
        finally:
            transport.close()

    def _key(self) -> str:
        if self.api_key:
            return self.api_key.get_secret_value()
        if not self.api_key_file.exists():
            raise MissingKeyError(self.api_key_file)
        return read_key(self.api_key_file)


class _Transport(ApiTransport):
    """Says what a person at a terminal can do about a refused key and a wrong address."""

    def __init__(self, url: str, key: str, *, source: str, **more: Any) -> None:
        super().__init__(url, key, **more)
        self._address = url
        self._source = source

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        """See `ApiTransport`."""
        try:
            return super().call(method, path, **more)
        except ApiRefusedError as error:
            if error.status == HTTPStatus.UNAUTHORIZED:
                raise KeyRefusedError(
                    error.problem, url=self._address, source=self._source
                ) from error
            if error.status == HTTPStatus.NOT_FOUND and error.problem.detail == _NO_ROUTE:
                reason = f"it answers, but has no {path.partition('?')[0]}: is the address right?"
                raise ApiUnreachableError(self._address, reason) from error
            raise


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
