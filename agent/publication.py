"""The second source of the configuration: what the API has published in object storage, for the time without the API: *read*.

`<fallback url>/{configuration.json, configuration.sig, files/<sha256>}` by https or in a folder (`file:`).
A document is believed only with the signature of the agent's own token; of files the hash is checked by whoever uses them.
"""

import logging
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from agent.clocks import boot_ns
from agent.errors import DocumentRefusedError, PublicationUnreadableError
from agent.links import Link
from common.deadline_http import CallFailedError, DeadlineHttp
from common.document_signature import is_signed
from common.published import DOCUMENT, SIGNATURE, published_file

log = logging.getLogger(__name__)

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
MAX_FILE_BYTES = 64 * 1024 * 1024
_MAX_SIGNATURE_BYTES = 64 * 1024
# For one object, however slowly it drips.
_OBJECT_LIMIT = timedelta(seconds=60)
_FIRST_LOOK_SECONDS = 60.0
_LOOK_SECONDS = 3600.0


class Shelf(Protocol):
    """Objects below one address."""

    def read(self, name: str, *, max_bytes: int) -> bytes:
        """The object; PublicationUnreadableError, also if it is larger."""


def is_publication_address(url: str) -> bool:
    """Whether it is an https address or a folder of this machine as `file:///…`."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return not parts.netloc and parts.path.startswith("/")
    return parts.scheme == "https" and bool(parts.hostname)


def shelf_at(url: str) -> Shelf:
    """The objects below an address for which `is_publication_address` holds."""
    parts = urlsplit(url)
    return FolderShelf(Path(unquote(parts.path))) if parts.scheme == "file" else HttpsShelf(url)


class FolderShelf:
    """Objects in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, *, max_bytes: int) -> bytes:
        """See `Shelf`."""
        path = self._folder / name
        try:
            with path.open("rb") as file:
                content = file.read(max_bytes + 1)
        except OSError as error:
            raise PublicationUnreadableError(str(path), error.strerror) from error
        if len(content) > max_bytes:
            raise PublicationUnreadableError(str(path), f"larger than {max_bytes} bytes")
        return content


class HttpsShelf:
    """Objects behind https; the address is a secret of the cluster's agents, so errors name its host only."""

    def __init__(self, url: str, *, authorities: Path | None = None) -> None:
        """`authorities`: a PEM file of the only ones whose certificates are believed."""
        self._host = urlsplit(url).hostname or ""
        self._http = DeadlineHttp(url.rstrip("/"), authorities=authorities)

    def read(self, name: str, *, max_bytes: int) -> bytes:
        """See `Shelf`."""
        try:
            answer = self._http.call(
                "GET",
                f"/{name}",
                time_limit=_OBJECT_LIMIT,
                headers={},
                max_answer_bytes=max_bytes + 1,
            )
        except CallFailedError as error:
            raise PublicationUnreadableError(self._host, str(error)) from error
        if answer.status != 200:
            raise PublicationUnreadableError(self._host, f"HTTP {answer.status}")
        if len(answer.body) > max_bytes:
            # What is left of it is on its way.
            self._http.close()
            raise PublicationUnreadableError(self._host, f"larger than {max_bytes} bytes")
        return answer.body

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


class Publication:
    """The signed document and the files of one cluster; used by one thread."""

    def __init__(
        self,
        shelf: Shelf,
        token: str,
        *,
        link: Link | None = None,
        clock_ns: Callable[[], int] = boot_ns,
    ) -> None:
        self._shelf = shelf
        self._token = token
        self._link = link or Link()
        self._clock_ns = clock_ns
        self._look_at_ns = clock_ns() + round(_FIRST_LOOK_SECONDS * 1e9)

    def configuration(self, known: bytes | None) -> bytes | None:
        """The document, or None if it is the one that is known; DocumentRefusedError, PublicationUnreadableError."""
        try:
            content = self._believed(known)
        except (DocumentRefusedError, PublicationUnreadableError) as error:
            self._link.failed(error)
            raise
        self._link.succeeded()
        return content

    def look_if_due(self) -> None:
        """About once an hour see whether it could be believed if the API went away; what is wrong is noted, not raised."""
        now_ns = self._clock_ns()
        if now_ns < self._look_at_ns:
            return
        # Spread, so that agents that were started together do not come together.
        self._look_at_ns = now_ns + round(_LOOK_SECONDS * (0.8 + 0.4 * random.random()) * 1e9)  # noqa: S311 - no secret
        try:
            self.configuration(None)
        except (DocumentRefusedError, PublicationUnreadableError) as error:
            log.warning("object storage could not stand in for the API: %s", error)

    def file(self, sha256: str) -> bytes:
        """The content of a file, not checked; PublicationUnreadableError."""
        return self._shelf.read(published_file(sha256), max_bytes=MAX_FILE_BYTES)

    def _believed(self, known: bytes | None) -> bytes | None:
        # Document and signature are two objects: between the writing of both they do not match.
        for _ in range(2):
            signatures = self._shelf.read(SIGNATURE, max_bytes=_MAX_SIGNATURE_BYTES)
            if known is not None and is_signed(known, signatures, self._token):
                return None
            content = self._shelf.read(DOCUMENT, max_bytes=MAX_DOCUMENT_BYTES)
            if is_signed(content, signatures, self._token):
                return content
        raise DocumentRefusedError("in object storage it has no signature of this agent's token")
