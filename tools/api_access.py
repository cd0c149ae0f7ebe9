"""How tools reach the API: which address, which key, who they are; one client per thread."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from common.api_client import ApiClient
from common.api_transport import ApiTransport
from common.atomic_files import read_key
from tools.errors import MissingKeyError


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
        """A connection of its own. MissingKeyError, KeyFileError, UnusableKeyError."""
        return ApiTransport(
            self.api_url, self._key(), authorities=self.api_authorities, manager=self.manager
        )

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
