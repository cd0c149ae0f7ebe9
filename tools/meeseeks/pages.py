"""Read: all pages of the nodes, under one deadline; only what passes by itself is asked again.

Listing changes nothing, so every page may be asked for twice.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import Event
from typing import Protocol

from common.solomon.tokens import NoTokenError, TokenSource
from tools.meeseeks.errors import ComputeAdminError, StoppedError
from tools.meeseeks.nodes import ListedNode, Listing

log = logging.getLogger(__name__)

_PASSING_CODES = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0


@dataclass(frozen=True)
class PageQuery:
    """Which page."""

    page_token: str = ""
    filter: str = ""
    page_size: int = 500


@dataclass(frozen=True)
class NodePage:
    """One page; an empty `next_page_token` ends the list, `total` is None where the service does not count."""

    nodes: tuple[ListedNode, ...]
    next_page_token: str = ""
    total: int | None = None


class PageRefusedError(Exception):
    """The call failed; `code` is gRPC's name."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"{code}: {details}" if details else code)
        self.code = code


class NodeService(Protocol):
    """Lists nodes."""

    def page(self, query: PageQuery, *, token: str, time_limit: timedelta) -> NodePage:
        """One page; PageRefusedError. May be repeated. StoppedError if the process shall end."""


@dataclass(frozen=True)
class ReadLimits:
    """Of one call, of the whole list, of repetitions in the whole list, and of pages."""

    call: timedelta = timedelta(seconds=10)
    whole: timedelta = timedelta(seconds=120)
    repetitions: int = 5
    pages: int = 1000


@dataclass
class Clocks:
    """Time as the reader sees it. `sleep` gives true if the process shall end."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], bool] = field(default_factory=lambda: Event().wait)
    random: Callable[[], float] = random.random


class NodeReader:
    """Reads whole lists; not for several threads at once. `endpoint` is only said in errors."""

    def __init__(
        self,
        service: NodeService,
        tokens: TokenSource,
        *,
        endpoint: str,
        limits: ReadLimits,
        clocks: Clocks,
    ) -> None:
        self._service = service
        self._tokens = tokens
        self._endpoint = endpoint
        self._limits = limits
        self._clocks = clocks
        self.repeated = 0  # calls that were asked again, in all lists

    def listing(self, *, filter_text: str = "") -> Listing:
        """Every page; ComputeAdminError if one is missing. Paging that never ends is cut, and says so."""
        ends_at = self._clocks.now() + self._limits.whole.total_seconds()
        left = self._limits.repetitions
        query = PageQuery(filter=filter_text)
        nodes: list[ListedNode] = []
        seen = {""}
        for number in range(1, self._limits.pages + 1):
            page, left = self._page(query, ends_at, left)
            nodes += page.nodes
            token = page.next_page_token
            if not token:
                return Listing(tuple(nodes), total=page.total, pages=number)
            if token in seen:
                reason = f"after page {number} it leads back to a page that was read"
                return Listing(tuple(nodes), page.total, reason, number)
            seen.add(token)
            query = replace(query, page_token=token)
        reason = f"it has not ended after {self._limits.pages} pages"
        return Listing(tuple(nodes), None, reason, self._limits.pages)

    def _page(self, query: PageQuery, ends_at: float, left: int) -> tuple[NodePage, int]:
        """The page, and how many repetitions are left for the ones after it."""
        tries = 0
        while True:
            remaining = ends_at - self._clocks.now()
            if remaining <= 0:
                whole = self._limits.whole.total_seconds()
                raise self._error(f"it took longer than {whole:g} seconds")
            limit = min(self._limits.call, timedelta(seconds=remaining))
            try:
                return self._service.page(query, token=self._token(), time_limit=limit), left
            except PageRefusedError as error:
                if error.code == "UNAUTHENTICATED" and self._tokens.refused():
                    # A source that has another token at once says so only once in a while.
                    continue
                if error.code not in _PASSING_CODES or left == 0:
                    raise self._error(str(error), error.code) from error
                left -= 1
                self._pause(tries, error, ends_at)
                tries += 1

    def _pause(self, tries: int, error: PageRefusedError, ends_at: float) -> None:
        """Longer each time, and never the same for two of us."""
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**tries)
        seconds = longest * (0.5 + self._clocks.random() / 2)
        if self._clocks.now() + seconds >= ends_at:
            raise self._error(str(error), error.code) from error
        self.repeated += 1
        log.info("page asked again code=%s pause=%.2f", error.code, seconds)
        if self._clocks.sleep(seconds):
            raise StoppedError from error

    def _token(self) -> str:
        try:
            token = self._tokens.token()
        except NoTokenError as error:
            raise self._error(str(error)) from error
        if not (token.isascii() and token.isprintable()):
            # gRPC would refuse it, and say it aloud.
            raise self._error("the token holds characters that no token has: was it set whole?")
        return token

    def _error(self, reason: str, code: str = "") -> ComputeAdminError:
        return ComputeAdminError(self._endpoint, reason, code=code)
