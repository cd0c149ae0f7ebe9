"""Solomon's push API, classic dialect: points as values, a pure encoder, and a client that classifies the answer.

`POST /api/v2/push?project=…&cluster=…&service=…` with JSON: `ts` in Unix seconds, `commonLabels`, `sensors`.
Project, cluster and service are in the address only, Solomon refuses them as labels.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import requests
from pydantic import BaseModel, JsonValue, ValidationError

from common.version import VERSION

# Solomon takes 10 000 in a request.
# We send fewer: the interpreter's lock is held while a request is encoded.
MAX_POINTS_PER_REQUEST = 1000
MAX_LABELS = 16
_MAX_VALUE_LENGTH = 200
_INTEGER_BOUND = 2**63
# Printable ASCII without " ' * ? ` | and, to be safe, the backslash; % is ours, it begins an escape.
_UNSAFE = re.compile(r"""[^ !#$&()+->@-\[\]-_a-{}~]""")
_LABEL_NAME = re.compile(r"[a-zA-Z][0-9a-zA-Z_.]{1,31}")
_RESERVED = frozenset({"project", "cluster", "service", "name"})


class Kind(StrEnum):
    """How Solomon stores a series."""

    GAUGE = "GAUGE"
    IGAUGE = "IGAUGE"  # an integer
    RATE = "RATE"  # a growing integer, shown per second
    HIST_RATE = "HIST_RATE"  # growing integers, one per bucket


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts per bucket, not cumulative over buckets; `above` is the count over the last bound."""

    bounds: tuple[float, ...]
    buckets: tuple[int, ...]
    above: int


@dataclass(frozen=True, slots=True)
class Point:
    """The value of one series at the time of its batch."""

    name: str
    kind: Kind
    value: float | Histogram
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EncodedPush:
    """A request's body, the points in it, and how many could not be encoded."""

    body: bytes
    points: int
    dropped: int


def safe_value(text: str) -> str:
    """A label's value as Solomon takes it: forbidden characters as %XX of UTF-8, never empty, at most 200 long."""
    escaped = _UNSAFE.sub(lambda match: _escape(match[0]), text)
    return escaped[:_MAX_VALUE_LENGTH] or "-"


def encode_push(
    points: Iterable[Point], *, at: datetime, common_labels: Mapping[str, str]
) -> EncodedPush:
    """The body of one push; points that JSON or Solomon cannot hold are left out and counted."""
    sensors: list[JsonValue] = []
    dropped = 0
    for point in points:
        if _is_sendable(point, common_labels):
            sensors.append(_sensor(point))
        else:
            dropped += 1
    body: dict[str, JsonValue] = {
        "ts": int(at.timestamp()),
        "commonLabels": _labels(common_labels),
        "sensors": sensors,
    }
    encoded = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
    return EncodedPush(encoded, len(sensors), dropped)


class PushStatus(StrEnum):
    """What to do after a push."""

    OK = "ok"
    RETRY = "retry"  # no answer, or Solomon is ill: the same body again, later
    SLOW_DOWN = "slow_down"  # the same, but much later
    UNAUTHORIZED = "unauthorized"  # another token is needed
    REFUSED = "refused"  # the same body is never taken


@dataclass(frozen=True, slots=True)
class PushResult:
    """The classified answer; `processed` is how many points Solomon says it took, if it says so."""

    status: PushStatus
    processed: int | None = None
    message: str = ""


class HttpSolomonClient:
    """Pushes to one shard; not for several threads at once. The token never reaches a log or a message.

    A push may be repeated: the same series at the same time is overwritten with the same value.
    """

    def __init__(self, url: str, token: str, *, project: str, cluster: str, service: str) -> None:
        self._url = f"{url.rstrip('/')}/api/v2/push"
        self._shard = {"project": project, "cluster": cluster, "service": service}
        self._session = requests.Session()
        # Settings are explicit: no proxy, no .netrc from the environment of whoever started us.
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"OAuth {token}"
        self._session.headers["User-Agent"] = f"mr-prober/{VERSION}"

    def push(self, body: bytes, *, time_limit: timedelta = timedelta(seconds=15)) -> PushResult:
        """Send one encoded body; every mishap is a result."""
        try:
            response = self._session.post(
                self._url,
                params=self._shard,
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=(5.0, time_limit.total_seconds()),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            return PushResult(PushStatus.RETRY, message=f"{type(error).__name__}: {error}")
        return push_result(response.status_code, response.content)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


class _Answer(BaseModel):
    """The part of the answer that we use; more keys are possible."""

    sensorsProcessed: int | None = None  # noqa: N815 - the name on the wire
    errorMessage: str | None = None  # noqa: N815 - the name on the wire


def push_result(status_code: int, body: bytes) -> PushResult:
    """What an HTTP answer means."""
    try:
        answer = _Answer.model_validate_json(body)
    except ValidationError:
        answer = _Answer()
    text = answer.errorMessage or body[:200].decode(errors="replace").strip()
    message = f"HTTP {status_code}: {text}"
    if 200 <= status_code < 300:
        return PushResult(PushStatus.OK, answer.sensorsProcessed, answer.errorMessage or "")
    if status_code == 429:
        return PushResult(PushStatus.SLOW_DOWN, message=message)
    if status_code in {401, 403}:
        return PushResult(PushStatus.UNAUTHORIZED, message=message)
    if status_code == 408 or status_code >= 500:
        return PushResult(PushStatus.RETRY, message=message)
    return PushResult(PushStatus.REFUSED, message=message)


def _escape(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode(errors="replace"))


def _is_sendable(point: Point, common_labels: Mapping[str, str]) -> bool:
    return (
        _is_holdable(point)
        and all(_LABEL_NAME.fullmatch(name) and name not in _RESERVED for name in point.labels)
        # A label that is common already would have the whole request refused.
        and point.labels.keys().isdisjoint(common_labels)
        # Project, cluster, service and the name count, too.
        and len(point.labels) + len(common_labels) + 4 <= MAX_LABELS
    )


def _is_holdable(point: Point) -> bool:
    """Whether the number fits: one that does not would have the whole request refused."""
    if isinstance(point.value, Histogram):
        return all(map(math.isfinite, point.value.bounds))
    if not math.isfinite(point.value):
        return False
    if point.kind is Kind.RATE:
        return 0 <= point.value < _INTEGER_BOUND
    return point.kind is Kind.GAUGE or abs(point.value) < _INTEGER_BOUND


def _sensor(point: Point) -> JsonValue:
    labels: JsonValue = {"name": safe_value(point.name), **_labels(point.labels)}
    if isinstance(point.value, Histogram):
        histogram: JsonValue = {
            "bounds": list(point.value.bounds),
            "buckets": list(point.value.buckets),
            "inf": point.value.above,
        }
        return {"kind": point.kind.value, "labels": labels, "hist": histogram}
    whole = point.kind in {Kind.IGAUGE, Kind.RATE}
    return {
        "kind": point.kind.value,
        "labels": labels,
        "value": int(point.value) if whole else point.value,
    }


def _labels(labels: Mapping[str, str]) -> dict[str, JsonValue]:
    return {name: safe_value(value) for name, value in labels.items()}
