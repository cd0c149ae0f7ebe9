"""Strict JSON: values that know where they stand in the body, so that every complaint says where. Pure."""

import json
import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import NoReturn

from solomon_stand_in.errors import BodyError

SNIPPET_LENGTH = 60
# What has no literal in JSON is written as a text.
_NOT_FINITE = {
    "nan": math.nan,
    "NaN": math.nan,
    "inf": math.inf,
    "Infinity": math.inf,
    "-inf": -math.inf,
    "-Infinity": -math.inf,
}


@dataclass(frozen=True)
class Node:
    """A JSON value and its path; each method is the value as one type, or BodyError."""

    path: str
    value: object

    def error(self, reason: str) -> BodyError:
        """The complaint about this value."""
        return BodyError(self.path or "root", reason, _snippet(self.value))

    def fields(self, known: Collection[str], *, of: str) -> dict[str, "Node"]:
        """The object's fields by key; a key that is not known is an error."""
        if not isinstance(self.value, dict):
            raise self.error(f"{of} must be an object")
        for key in self.value:
            if key not in known:
                raise self.error(f"unexpected key {json.dumps(key)[:SNIPPET_LENGTH]} in a {of}")
        return self._children(self.value)

    def entries(self, *, of: str) -> dict[str, "Node"]:
        """The object's fields by key, whatever the keys."""
        if not isinstance(self.value, dict):
            raise self.error(f"{of} must be an object")
        return self._children(self.value)

    def items(self, *, of: str) -> list["Node"]:
        """The elements of the array."""
        if not isinstance(self.value, list):
            raise self.error(f"{of} must be an array")
        return [Node(f"{self.path}[{index}]", item) for index, item in enumerate(self.value)]

    def text(self, *, of: str) -> str:
        """The string."""
        if not isinstance(self.value, str):
            raise self.error(f"{of} must be a string")
        return self.value

    def integer(self, *, of: str, minimum: int, maximum: int) -> int:
        """The integer within its bounds; `1.0` and `true` are none."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.error(f"{of} must be an integer")
        if not minimum <= self.value <= maximum:
            raise self.error(f"{of} must be between {minimum} and {maximum}")
        return self.value

    def finite_number(self, *, of: str) -> float:
        """The integer or double as a double."""
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            raise self.error(f"{of} must be a number")
        try:
            number = float(self.value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self.error(f"{of} does not fit into a double")
        return number

    def number(self, *, of: str) -> float:
        """The same, or one of the texts nan, NaN, inf, Infinity, -inf, -Infinity."""
        if isinstance(self.value, str) and self.value in _NOT_FINITE:
            return _NOT_FINITE[self.value]
        return self.finite_number(of=of)

    def _children(self, fields: dict[str, object]) -> dict[str, "Node"]:
        prefix = f"{self.path}." if self.path else ""
        return {
            key: Node(f"{prefix}{ascii(key)[1:-1][:SNIPPET_LENGTH]}", value)
            for key, value in fields.items()
        }


def parsed(body: bytes) -> Node:
    """The root of a JSON text in UTF-8; keys that appear twice and NaN literals are errors."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise BodyError(
            str(error.start), "the body is not UTF-8", ascii(body[error.start :][:10])
        ) from error
    try:
        return Node("", json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant))
    except json.JSONDecodeError as error:
        snippet = ascii(text[error.pos :][:SNIPPET_LENGTH])
        raise BodyError(str(error.pos), error.msg, snippet) from error
    except ValueError as error:  # a number with thousands of digits
        raise BodyError("0", str(error), "") from error
    except RecursionError as error:
        raise BodyError("0", "the body is nested too deeply", "") from error


def _snippet(value: object) -> str:
    try:
        return ascii(value)[:SNIPPET_LENGTH]
    except RecursionError:  # just not too deep to be read may be too deep to be shown
        return ""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise BodyError("0", f"key {json.dumps(twice)[:SNIPPET_LENGTH]} appears twice", "")
    return fields


def _no_constant(literal: str) -> NoReturn:
    raise BodyError("0", f"{literal} is no JSON; write it as a string", literal)
