"""What can be asked at the control socket: each request by method and path; a new one is a line in `_ROUTES`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from agent.control.explaining import Explaining
from agent.control.messages import Head, RefusedError, parsed_json
from agent.control.pause_desk import PauseDesk
from agent.control.server import MAX_BODY_BYTES, Answer, Request
from agent.control.survey import Survey
from agent.control.trials import Trials
from agent.errors import LoopSilentError
from agent.recorder.reader import Wanted
from agent.recorder.recorder import Recorder
from common.contracts.control import (
    MAX_LOCAL_BYTES,
    MAX_RECORDS,
    MAX_WAIT_SECONDS,
    Pauses,
    PauseWanted,
    RunWanted,
)
from common.contracts.identifiers import SLUG_PATTERN, UUID_PATTERN

Body = TypeVar("Body", bound=BaseModel)
_SLUG = SLUG_PATTERN.strip("^$")
_UUID = UUID_PATTERN.strip("^$")
# Base64 makes four characters of three bytes; the rest is settings.
MAX_RUN_BYTES = MAX_LOCAL_BYTES * 3 // 2


@dataclass(frozen=True)
class ControlService:
    """The parts that answer."""

    survey: Survey
    explaining: Explaining
    pauses: PauseDesk
    trials: Trials
    recorder: Recorder

    def answer(self, request: Request) -> Answer:
        """See `Service`."""
        route, arguments = _route(request.head)
        try:
            return route(self, request, **arguments)
        except LoopSilentError as error:
            raise RefusedError(503, str(error)) from error


def _state(service: ControlService, request: Request) -> Answer:
    del request
    return Answer(service.survey.state())


def _prober(service: ControlService, request: Request, slug: str) -> Answer:
    del request
    return Answer(service.survey.details(slug))


def _explanation(service: ControlService, request: Request, slug: str) -> Answer:
    del request
    return Answer(service.explaining.explanation(slug))


def _metrics(service: ControlService, request: Request) -> Answer:
    return Answer(service.survey.metrics(_prober_in(request)))


def _pauses(service: ControlService, request: Request) -> Answer:
    del request
    return Answer(Pauses(pauses=list(service.pauses.standing())))


def _pause(service: ControlService, request: Request) -> Answer:
    wanted = body_of(request, PauseWanted)
    if wanted.prober:
        service.survey.planned(wanted.prober)
    return Answer(service.pauses.pause(wanted, request.caller.name))


def _resume(service: ControlService, request: Request) -> Answer:
    left = service.pauses.resume(_prober_in(request), request.caller.name)
    return Answer(Pauses(pauses=list(left)))


def _records(service: ControlService, request: Request) -> Answer:
    query = request.head.query
    wanted = Wanted(
        prober=_prober_in(request),
        failed=query.get("failed", "") == "true",
        limit=int(_number_in(request, "limit", 50, most=MAX_RECORDS)),
        after=int(_number_in(request, "after", 0, most=2**63)) if "after" in query else None,
    )
    wait = _number_in(request, "wait", 0, most=MAX_WAIT_SECONDS)
    return Answer(service.recorder.records(wanted, wait_seconds=wait))


def _run(service: ControlService, request: Request) -> Answer:
    return Answer(service.trials.run(body_of(request, RunWanted), request.caller), 202)


def _run_progress(service: ControlService, request: Request, id_: str) -> Answer:
    wait = _number_in(request, "wait", 0, most=MAX_WAIT_SECONDS)
    return Answer(service.trials.progress(UUID(id_), wait_seconds=wait))


def _run_end(service: ControlService, request: Request, id_: str) -> Answer:
    del request
    return Answer(service.trials.end(UUID(id_)))


def longest_body(head: Head) -> int:
    """Only a run may bring files along."""
    return MAX_RUN_BYTES if head.path == "/v1/runs" else MAX_BODY_BYTES


def body_of(request: Request, model: type[Body]) -> Body:
    """The body as a value; RefusedError names the field and what was expected."""
    try:
        return model.model_validate(parsed_json(request.body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise RefusedError(422, f"{path or 'the body'}: {first['msg']}") from error


def _prober_in(request: Request) -> str | None:
    prober = request.head.query.get("prober") or None
    if prober and not re.fullmatch(_SLUG, prober):
        raise RefusedError(422, "prober: expected the slug of a prober")
    return prober


def _number_in(request: Request, name: str, default: float, *, most: float) -> float:
    text = request.head.query.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,19}(\.[0-9]{1,6})?", text):
        raise RefusedError(422, f"{name}: expected a number")
    return min(float(text) if "." in text else int(text), most)


Route = Callable[..., Answer]
_ROUTES: Mapping[tuple[str, str], Route] = {
    ("GET", "/v1/state"): _state,
    ("GET", rf"/v1/probers/(?P<slug>{_SLUG})"): _prober,
    ("GET", rf"/v1/probers/(?P<slug>{_SLUG})/explanation"): _explanation,
    ("GET", "/v1/metrics"): _metrics,
    ("GET", "/v1/pauses"): _pauses,
    ("POST", "/v1/pauses"): _pause,
    ("DELETE", "/v1/pauses"): _resume,
    ("GET", "/v1/records"): _records,
    ("POST", "/v1/runs"): _run,
    ("GET", rf"/v1/runs/(?P<id_>{_UUID})"): _run_progress,
    ("DELETE", rf"/v1/runs/(?P<id_>{_UUID})"): _run_end,
}


def _route(head: Head) -> tuple[Route, Mapping[str, str]]:
    is_known = False
    for (method, pattern), route in _ROUTES.items():
        if found := re.fullmatch(pattern, head.path):
            is_known = True
            if method == head.method:
                return route, found.groupdict()
    if is_known:
        raise RefusedError(405, f"{head.method} is not for this path")
    raise RefusedError(404, "no such path")
