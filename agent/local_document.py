"""A document in a file instead of an API, for authors, tests and measurements: *read*.

Beside it lie the contents of files as `files/<sha256>`, as in object storage. Secrets it has none, reports go nowhere.
"""

import threading
from datetime import timedelta
from pathlib import Path

from pydantic import ValidationError

from agent.errors import DocumentRefusedError, PublicationUnreadableError
from agent.publication import MAX_DOCUMENT_BYTES, MAX_FILE_BYTES, FolderShelf
from common.contracts.configuration import ClusterSecrets, ConfigurationDocument, etag_of
from common.contracts.reports import AgentReport
from common.published import published_file

_LOOK_SECONDS = 1.0


class LocalDocument:
    """Fulfils `ConfigurationSource` from disk."""

    def __init__(self, file: Path, nudged: threading.Event) -> None:
        """A wait ends early when it is `nudged`."""
        self._file = file
        self._shelf = FolderShelf(file.parent)
        self._nudged = nudged

    def cluster_slug(self) -> str:
        """The cluster it is for; DocumentRefusedError."""
        content = self._content()
        try:
            return ConfigurationDocument.model_validate_json(content).cluster.slug
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            path = ".".join(str(part) for part in first["loc"])
            raise DocumentRefusedError(f"{self._file}: {path}: {first['msg']}") from error

    def configuration(self, etag: str, *, wait: timedelta) -> bytes | None:
        """See `ConfigurationSource`; looks once a second whether the file is another one."""
        content = self._content()
        left = wait.total_seconds()
        while etag_of(content) == etag and left > 0 and not self._nudged.is_set():
            self._nudged.wait(min(_LOOK_SECONDS, left))
            left -= _LOOK_SECONDS
            content = self._content()
        return None if etag_of(content) == etag else content

    def file(self, sha256: str) -> bytes:
        """See `ConfigurationSource`."""
        try:
            return self._shelf.read(published_file(sha256), max_bytes=MAX_FILE_BYTES)
        except PublicationUnreadableError as error:
            raise FileNotFoundError(str(error)) from error

    def secrets(self) -> ClusterSecrets:
        """See `ConfigurationSource`; there are none."""
        return ClusterSecrets()

    def _content(self) -> bytes:
        try:
            return self._shelf.read(self._file.name, max_bytes=MAX_DOCUMENT_BYTES)
        except PublicationUnreadableError as error:
            raise DocumentRefusedError(str(error)) from error


class NoReports:
    """Takes reports and forgets them."""

    def report(self, report: AgentReport, *, time_limit: timedelta) -> None:
        """See `ReportReceiver`."""
