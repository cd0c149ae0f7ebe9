"""Parameters of requests as values: from the address, or from a JSON object in the body. Pure."""

from collections.abc import Collection, Iterable, Mapping

from solomon_stand_in.errors import ParameterError
from solomon_stand_in.json_nodes import parsed
from solomon_stand_in.labels import SHARD_LABELS, problem_of_value
from solomon_stand_in.metrics import Shard
from solomon_stand_in.store import Period
from solomon_stand_in.timestamps import milliseconds_of, moment_of

Parameters = Mapping[str, object]


def parameters_of_query(
    pairs: Iterable[tuple[str, str]], *, known: Collection[str]
) -> dict[str, str]:
    """The parameters of an address; ParameterError for one that is unknown or comes twice."""
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise ParameterError(f"unknown parameter {name!a}; known are {', '.join(known)}")
        if name in parameters:
            raise ParameterError(f"parameter {name} comes twice")
        parameters[name] = value
    return parameters


def parameters_of_body(body: bytes, *, known: Collection[str]) -> dict[str, object]:
    """The same from a JSON object; BodyError if it is none."""
    return {name: node.value for name, node in parsed(body).fields(known, of="request").items()}


def shard_of(parameters: Mapping[str, str]) -> Shard:
    """The shard that `project`, `cluster` and `service` name."""
    for name in SHARD_LABELS:
        if not parameters.get(name):
            raise ParameterError(f"parameter {name} is missing")
        if problem := problem_of_value(parameters[name]):
            raise ParameterError(f"parameter {name}: {problem}")
    return Shard(*(parameters[name] for name in SHARD_LABELS))


def text_parameter(parameters: Parameters, name: str, default: str = "") -> str:
    """A text."""
    value = parameters.get(name, default)
    if not isinstance(value, str):
        raise ParameterError(f"parameter {name} must be a string")
    return value


def count_parameter(parameters: Parameters, name: str, *, default: int, maximum: int) -> int:
    """An integer from 0 to the maximum, as a number or as digits."""
    value = parameters.get(name, default)
    digits = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19 and int(digits) <= maximum):
        raise ParameterError(f"parameter {name} must be an integer from 0 to {maximum}")
    return int(digits)


def period_of(parameters: Parameters) -> Period | None:
    """The period from `from` to `to` (ISO 8601 or milliseconds since the epoch), None without both."""
    if ("from" in parameters) != ("to" in parameters):
        raise ParameterError("from and to go together")
    if "from" not in parameters:
        return None
    period = Period(_milliseconds(parameters, "from"), _milliseconds(parameters, "to"))
    if period.start > period.end:
        raise ParameterError("from is after to")
    return period


def _milliseconds(parameters: Parameters, name: str) -> int:
    value = parameters[name]
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        try:
            return milliseconds_of(moment_of(value))
        except ValueError as error:
            raise ParameterError(f"parameter {name}: {error}") from error
    return count_parameter(parameters, name, default=0, maximum=10**15)
