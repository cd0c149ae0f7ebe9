"""What all contracts share: strict input models, tolerant wire models, JSON values, canonical bytes, pages."""

import json
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue

Item = TypeVar("Item")


class Input(BaseModel):
    """A body that somebody sends to the API: an unknown field is a mistake that we name."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Wire(BaseModel):
    """A value that another version of us may have written: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Page(Wire, Generic[Item]):
    """One page of a listing; `next_page_token` is empty on the last one."""

    items: list[Item]
    next_page_token: str = ""


class Problem(Wire):
    """An error of the API, `application/problem+json` (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list["FieldProblem"] = []


class FieldProblem(Wire):
    """One wrong field: its path (`settings.interval_seconds`), what came and what was expected."""

    field: str
    given: JsonValue = None
    expected: str


def canonical_json(value: JsonValue) -> bytes:
    """The same bytes for the same value: keys sorted, no white space, UTF-8."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
