"""What all contracts share: strict input models, tolerant wire models, JSON values, canonical bytes, pages."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    JsonValue,
    model_validator,
)
from pydantic_core import PydanticCustomError

Item = TypeVar("Item")
# Far below what JSON and pydantic can read: whoever reads it wraps it into levels of their own.
MAX_LEVELS = 64


def storable_moment(moment: datetime) -> datetime:
    """The moment itself, if it is one in every time zone, also near the ends of the calendar."""
    if not 1900 < moment.year < 9000:
        raise PydanticCustomError("moment", "a moment after the year 1900 and before the year 9000")
    return moment


# What somebody sends to be stored, or to be compared with what is.
Moment = Annotated[AwareDatetime, AfterValidator(storable_moment)]


class StorableTexts(BaseModel):
    """A body whose texts and depth our databases, files and answers can hold."""

    @model_validator(mode="before")
    @classmethod
    def _only_storable_texts(cls, value: object) -> object:
        """Neither PostgreSQL nor an environment holds NUL, UTF-8 has no lone surrogates; JSON has both."""
        for text in _texts(value):
            if "\0" in text or not _is_unicode(text):
                # The text itself may be secret.
                raise ValueError("texts without NUL and lone surrogates")
        return value


class Input(StorableTexts):
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
    # Of a stale change (412): the ETag that the object has now, empty if it is gone.
    etag: str = ""
    # Of a name that is taken (409): the address of the object that has it.
    existing: str = ""


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


def _texts(value: object) -> Iterator[str]:
    """All texts of a JSON value, level by level: this runs for each report, and generators in generators are slow."""
    level = [value]
    for levels in range(MAX_LEVELS, -1, -1):
        below: list[object] = []
        for item in level:
            if isinstance(item, str):
                yield item
            elif isinstance(item, dict | list):
                if not levels:
                    raise ValueError(f"at most {MAX_LEVELS} levels of lists and objects")
                below.extend(item)
                if isinstance(item, dict):
                    below.extend(item.values())
        if not below:
            return
        level = below


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
