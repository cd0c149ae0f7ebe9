"""Errors on the wire: one table class → status, one body (`application/problem+json`, RFC 9457)."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import JsonValue
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from api.pages import problem_page, wants_page
from api.services.errors import (
    BreaksClustersError,
    ChangedMeanwhileError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    PreconditionMissingError,
    SlugTakenError,
    TooManyError,
    UnauthenticatedError,
)
from common.contracts.values import FieldProblem, Problem
from common.encryption import EncryptionError
from common.object_storage import ObjectStorageError

log = logging.getLogger(__name__)

STATUS_OF: Mapping[type[Exception], HTTPStatus] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    InvalidError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ConflictError: HTTPStatus.CONFLICT,
    PreconditionMissingError: HTTPStatus.PRECONDITION_REQUIRED,
    ChangedMeanwhileError: HTTPStatus.PRECONDITION_FAILED,
    TooManyError: HTTPStatus.TOO_MANY_REQUESTS,
    UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    ObjectStorageError: HTTPStatus.SERVICE_UNAVAILABLE,
    EncryptionError: HTTPStatus.SERVICE_UNAVAILABLE,
    OperationalError: HTTPStatus.SERVICE_UNAVAILABLE,
    InterfaceError: HTTPStatus.SERVICE_UNAVAILABLE,
    PoolTimeoutError: HTTPStatus.SERVICE_UNAVAILABLE,
    DataError: HTTPStatus.UNPROCESSABLE_ENTITY,
}
# What libraries say is for the log; these are their sentences for callers.
_OWN_WORDS: Mapping[type[Exception], str] = {
    OperationalError: "the database does not answer: try again",
    InterfaceError: "the database does not answer: try again",
    PoolTimeoutError: "the database is too busy: try again",
    EncryptionError: "a secret cannot be encrypted or opened: the API's log says why",
    ObjectStorageError: "the object storage does not answer: try again",
    DataError: "a value is of a kind or size that the database cannot hold",
}
# The framework only repeats the title.
_WORDS_FOR_FRAMEWORK: Mapping[HTTPStatus, str] = {
    HTTPStatus.NOT_FOUND: "there is no such address",
    HTTPStatus.METHOD_NOT_ALLOWED: "this address does not take this method",
}
_LONGEST_ECHO = 200
# Fields whose values may be secret or huge are named, never repeated.
_SILENT_FIELDS = frozenset({"variables", "value", "content", "key", "token", "files"})
_SILENT_KINDS = frozenset({"extra_forbidden", "json_invalid", "missing", "value_error"})


def add_error_handlers(application: FastAPI) -> None:
    """Have the application answer every foreseen mishap with a problem."""
    for kind in (*STATUS_OF, RequestValidationError, HTTPException):
        application.add_exception_handler(kind, _answer)


def problem_response(
    status: HTTPStatus,
    detail: str,
    *,
    errors: Sequence[FieldProblem] = (),
    etag: str = "",
    existing: str = "",
) -> Response:
    """The answer that carries a problem."""
    problem = Problem(
        title=status.phrase,
        status=status,
        detail=detail,
        errors=list(errors),
        etag=etag,
        existing=existing,
    )
    headers = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {}
    if etag:
        headers["ETag"] = etag
    return Response(
        problem.model_dump_json(),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


def answer_to(request: Request, error: Exception) -> Response:
    """The answer to a foreseen mishap: a page to a person who asked for one, otherwise a problem."""
    answer = _problem_answer(error)
    if wants_page(request) and not request.scope["path"].startswith("/api/"):
        return problem_page(request, Problem.model_validate_json(bytes(answer.body)))
    return answer


def _problem_answer(error: Exception) -> Response:
    if isinstance(error, RequestValidationError):
        problems = [field_problem(one, error.body) for one in error.errors()]
        return _problem_answer(InvalidError(problems))
    if isinstance(error, HTTPException):
        return _answer_of_framework(error)
    kind = next(kind for kind in STATUS_OF if isinstance(error, kind))
    if STATUS_OF[kind] >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request refused: %s", " ".join(str(error).split()))  # theirs have many lines
    errors = error.problems if isinstance(error, InvalidError | BreaksClustersError) else []
    etag = error.etag if isinstance(error, ChangedMeanwhileError) else ""
    existing = error.url if isinstance(error, SlugTakenError) else ""
    words = _OWN_WORDS.get(kind, str(error))
    answer = problem_response(STATUS_OF[kind], words, errors=errors, etag=etag, existing=existing)
    if isinstance(error, TooManyError):
        answer.headers["Retry-After"] = str(error.wait_seconds)
    return answer


def field_problem(error: Mapping[str, Any], body: object = None) -> FieldProblem:
    """One of pydantic's errors in our words: path, what was given, what was expected."""
    place, *parts = error["loc"]
    if place == "body" and body is not None and error["type"] != "missing":
        parts = list(_found_in(body, parts))
    path = [str(part) for part in parts] or [str(place)]
    if error["type"] == "json_invalid":
        return FieldProblem(field="body", expected=f"valid JSON: {error['ctx']['error']}")
    return FieldProblem(field=".".join(path), given=_given(error, path), expected=_expected(error))


def _found_in(value: Any, parts: Sequence[str | int]) -> Iterator[str | int]:
    """Those parts of a path that are in the body: pydantic adds words of its own, such as the kind of a value."""
    for part in parts:
        with suppress(KeyError, IndexError, TypeError):
            value = value[part]
            yield part


def _expected(error: Mapping[str, Any]) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return "no such field"
    if kind == "missing":
        return "a value: this field is required"
    message: str = error["msg"]
    for beginning in ("Input should be ", "Value error, "):
        message = message.removeprefix(beginning)
    return message


def _given(error: Mapping[str, Any], path: list[str]) -> JsonValue:
    given = error.get("input")
    if error["type"] in _SILENT_KINDS or _SILENT_FIELDS & set(path):
        return None
    if isinstance(given, str):
        return given[:_LONGEST_ECHO]
    if isinstance(given, float) and not math.isfinite(given):
        return str(given)
    return given if isinstance(given, bool | int | float) else None


def _answer_of_framework(error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    detail = _WORDS_FOR_FRAMEWORK.get(status) if error.detail == status.phrase else None
    response = problem_response(status, detail or str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def _answer(request: Request, error: Exception) -> Response:
    return answer_to(request, error)
