"""What all calls of the API share: reading, pages, writes with their precondition, and what of it may be repeated."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Protocol, TypeVar
from urllib.parse import quote, urlencode

import requests
from pydantic import BaseModel, JsonValue, ValidationError

from common.contracts.values import Input, Page
from common.errors import ApiError, ApiRefusedError, ApiUnreachableError

Model = TypeVar("Model", bound=BaseModel)
Query = Mapping[str, str | int | float | bool | None]  # None: not asked for

PREFIX = "/api/v1"
PAGE_SIZE = 1000
ANY_VERSION = "*"
TAR = "application/x-tar"
# A restart of the API behind its load balancer takes about as long as these together.
_PAUSES = (timedelta(seconds=0.1), timedelta(seconds=0.3), timedelta(seconds=0.9))
_PASSING_STATUSES = (502, 503, 504)
_CHANGED_MEANWHILE = 412
_NOT_FOUND = 404


class Transport(Protocol):
    """One HTTP call; common.api_transport.ApiTransport says what it raises."""

    def call(
        self,
        method: str,
        path: str,
        *,
        body: JsonValue | bytes = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """The answer, if it is a good one."""


class Calls:
    """The API of one installation; not for several threads at once."""

    def __init__(
        self, transport: Transport, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._transport = transport
        self._sleep = sleep

    def got(self, path: str, model: type[Model]) -> Model:
        """What is read there."""
        return parsed(self.answer(path), model)

    def answer(self, path: str) -> requests.Response:
        """The answer to a read."""
        return self._repeated("GET", path)

    def listed(self, path: str, model: type[Model], query: Query | None = None) -> list[Model]:
        """All pages of a listing; True and False are `true` and `false`, None is not asked for."""
        items: list[Model] = []
        asked: dict[str, object] = {**_asked(query or {}), "page_size": PAGE_SIZE}
        while True:
            page = self.got(f"{path}?{urlencode(asked)}", Page[model])  # type: ignore[valid-type] # made at run time
            items += page.items
            if not page.next_page_token:
                return items
            asked["page_token"] = page.next_page_token

    def sent(self, method: str, path: str, body: Input, model: type[Model]) -> Model:
        """A write that is never repeated: it may have happened although its answer is lost."""
        response = self._transport.call(method, PREFIX + path, body=_sent_fields(body))
        return parsed(response, model)

    def switched(self, method: str, path: str, body: Input | None, model: type[Model]) -> Model:
        """A write that says how things are to be, whatever they were: twice is once."""
        fields = _sent_fields(body) if body else None
        return parsed(self._repeated(method, path, body=fields), model)

    def changed(
        self, method: str, path: str, body: Input | bytes, etag: str, model: type[Model]
    ) -> Model:
        """A write that is meant for one version; bytes are a tar archive. Without an ETag its caller saw nothing there."""
        fields = body if isinstance(body, bytes) else _sent_fields(body)
        headers = {"Content-Type": TAR} if isinstance(body, bytes) else {}
        if not etag:
            headers["If-None-Match"] = "*"
            response = self._transport.call(method, PREFIX + path, body=fields, headers=headers)
        else:
            response = self._once(method, path, fields, {**headers, "If-Match": etag})
        return parsed(response, model)

    def deleted(self, path: str, etag: str) -> requests.Response:
        """A deletion that is meant for one version."""
        return self._once("DELETE", path, None, {"If-Match": etag})

    def _once(
        self, method: str, path: str, body: JsonValue | bytes, headers: Mapping[str, str]
    ) -> requests.Response:
        """Repeated only if a version is named: of two such writes the second one is refused.

        If it is, the first may be our own, whose answer was lost: nobody can tell, so the loss is what is raised.
        """
        if headers["If-Match"] == ANY_VERSION:
            return self._transport.call(method, PREFIX + path, body=body, headers=headers)
        return self._repeated(method, path, body=body, headers=headers)

    def _repeated(
        self,
        method: str,
        path: str,
        *,
        body: JsonValue | bytes = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        lost: ApiError | None = None
        pauses = iter(_PAUSES)
        while True:
            try:
                return self._transport.call(method, PREFIX + path, body=body, headers=headers)
            except ApiError as error:
                if lost and _may_be_done_already(method, error):
                    raise lost from error
                pause = next(pauses, None)
                if pause is None or not _may_pass(error):
                    raise
                lost = error
            self._sleep(pause.total_seconds())


def forced(force: bool) -> str:
    """The query of a write that is wanted whatever it breaks."""
    return "?force=true" if force else ""


def path_of(*parts: object) -> str:
    """A path of these parts, none of which can leave its place."""
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def parsed(response: requests.Response, model: type[Model]) -> Model:
    """The answer as a value; ApiUnreachableError if something else than the API gave it."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors()[0]
        raise ApiUnreachableError(response.url, f"unexpected answer: {first['msg']}") from error


def _asked(query: Query) -> dict[str, object]:
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in query.items()
        if value is not None and value != ""
    }


def _may_be_done_already(method: str, error: ApiError) -> bool:
    """Whether this is what the API says to a change, or to a deletion, that it has made before."""
    done = {_CHANGED_MEANWHILE, _NOT_FOUND} if method == "DELETE" else {_CHANGED_MEANWHILE}
    return isinstance(error, ApiRefusedError) and error.status in done


def _may_pass(error: ApiError) -> bool:
    if isinstance(error, ApiRefusedError):
        return error.status in _PASSING_STATUSES
    return isinstance(error, ApiUnreachableError)


def _sent_fields(body: Input) -> JsonValue:
    # Unset fields say "stay" or "no word about it", which null does not.
    sent: JsonValue = body.model_dump(mode="json", exclude_unset=True)
    return sent
