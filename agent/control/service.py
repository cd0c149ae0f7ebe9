"""What can be asked at the control socket: each request by method and path; a new one is a line in `_ROUTES`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from agent.control.explaining import Explaining
from agent.control.messages import Head, RefusedError, parsed_json
from agent.control.pause_desk import PauseDesk
from agent.control.server import Answer, Request
from agent.control.survey import Survey
from agent.errors import LoopSilentError
from common.contracts.control import Pauses, PauseWanted
from common.contracts.identifiers import SLUG_PATTERN

Body = TypeVar("Body", bound=BaseModel)
_SLUG = SLUG_PATTERN.strip("^$")


@dataclass(frozen=True)
class ControlService:
    """The parts that answer."""

    survey: Survey
    explaining: Explaining
    pauses: PauseDesk

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


Route = Callable[..., Answer]
_ROUTES: Mapping[tuple[str, str], Route] = {
    ("GET", "/v1/state"): _state,
    ("GET", rf"/v1/probers/(?P<slug>{_SLUG})"): _prober,
    ("GET", rf"/v1/probers/(?P<slug>{_SLUG})/explanation"): _explanation,
    ("GET", "/v1/metrics"): _metrics,
    ("GET", "/v1/pauses"): _pauses,
    ("POST", "/v1/pauses"): _pause,
    ("DELETE", "/v1/pauses"): _resume,
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
