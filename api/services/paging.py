"""Pages of listings by key, not by offset: cheap at any depth, and stable while others write.

A token names the last row of its page and what was asked for: with another question it is refused.
"""

import base64
import binascii
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, literal, true, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from api.services.errors import InvalidError

Row = TypeVar("Row")
Columns = tuple[InstrumentedAttribute[Any], ...]
Key = tuple[Any, ...]  # the values of these columns

_DESCENDING = "-"


@dataclass(frozen=True)
class Paging:
    """Which page: at most `size` rows after the one that the opaque token names.

    `sort`: a word of the listing's `Sorting`, empty for its default.
    `question`: what the listing is asked for apart from the page; a token is good for its own question only.
    """

    size: int = 100
    token: str = ""
    sort: str = ""
    question: str = ""


@dataclass(frozen=True)
class Sorting:
    """By what a listing can be sorted: its words, and for each the columns, which together are unique.

    Only the first column of a word may be NULL; such rows count as less than all others.
    """

    columns: Mapping[str, Columns]
    default: str

    @cached_property
    def words(self) -> list[str]:
        """What a caller may ask for: each word, and from the other end."""
        return [sign + word for word in self.columns for sign in ("", _DESCENDING)]

    def order(self, sort: str) -> "Order":
        """The order of this word; InvalidError names all of them."""
        sort = sort or self.default
        if sort not in self.words:
            raise InvalidError.of("sort", f"one of {', '.join(self.words)}", given=sort[:100])
        return Order(self.columns[sort.removeprefix(_DESCENDING)], sort.startswith(_DESCENDING))


@dataclass(frozen=True)
class Order:
    """By which columns, unique together, a listing goes."""

    columns: Columns
    descending: bool = False

    def after(self, key: Key | None) -> list[ColumnElement[bool]]:
        """Conditions that choose, one after the other, the rows that come after the key (None: all of them).

        More than one, if NULLs are to be kept apart: no index serves both in one condition.
        """
        first, rest = self.columns[0], self.columns[1:]
        if not first.property.columns[0].nullable:
            return [self._beyond(self.columns, key)]
        is_null = key is not None and key[0] is None
        nulls = and_(first.is_(None), self._beyond(rest, key[1:] if key and is_null else None))
        others = and_(first.is_not(None), self._beyond(self.columns, None if is_null else key))
        if self.descending:
            return [nulls] if is_null else [others, nulls]
        return [others] if key and not is_null else [nulls, others]

    def by(self) -> Iterator[ColumnElement[Any]]:
        """For ORDER BY."""
        for column in self.columns:
            yield column.desc() if self.descending else column.asc()

    def key_of(self, row: Any) -> Key:
        """Where the row is in this order."""
        return tuple(getattr(row, column.key) for column in self.columns)

    def _beyond(self, columns: Columns, key: Key | None) -> ColumnElement[bool]:
        if key is None:
            return true()
        place = tuple_(*(literal(value, one.type) for value, one in zip(key, columns, strict=True)))
        return tuple_(*columns) < place if self.descending else tuple_(*columns) > place


def page_of(
    session: Session, statement: Select[Row], sorting: Sorting, paging: Paging
) -> tuple[list[Row], str]:
    """The rows of one page and the token of the next; InvalidError for a token that is not of this listing."""
    order = sorting.order(paging.sort)
    rows: list[Row] = []
    for condition in order.after(key_after(paging, order)):
        missing = paging.size + 1 - len(rows)
        if missing:
            chosen = statement.where(condition).order_by(*order.by()).limit(missing)
            rows += session.scalars(chosen)
    if len(rows) <= paging.size:
        return rows, ""
    return rows[: paging.size], token_of(order.key_of(rows[paging.size - 1]), paging.question)


def token_of(key: Key, question: str = "") -> str:
    """The token of the page after this key."""
    texts = [_text(value) for value in key]
    return base64.urlsafe_b64encode(json.dumps([question, *texts]).encode()).decode()


def key_after(paging: Paging, order: Order) -> Key | None:
    """After which row the page begins; None: it is the first one."""
    if not paging.token:
        return None
    try:
        decoded = base64.b64decode(paging.token, altchars=b"-_", validate=True).decode()
        question, *texts = json.loads(decoded)
        key = tuple(_value(text, column) for text, column in zip(texts, order.columns, strict=True))
    except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError):
        question = key = None
    if key is None or question != paging.question:
        expected = "the next_page_token of an earlier page of the same listing, sorted and filtered in the same way"
        raise InvalidError.of("page_token", expected, given=paging.token[:100])
    return key


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _value(text: object, column: InstrumentedAttribute[Any]) -> Any:
    """A value that the database can compare with the column's; otherwise ValueError."""
    if text is None and column.property.columns[0].nullable:
        return None
    if not isinstance(text, str) or "\0" in text:
        raise ValueError
    text.encode()  # no lone surrogates
    kind = column.type.python_type
    value = datetime.fromisoformat(text) if kind is datetime else kind(text)
    if not _is_comparable(value):
        raise ValueError
    return value


def _is_comparable(value: str | UUID | float | datetime) -> bool:
    if isinstance(value, datetime):
        return value.tzinfo is not None and 1900 < value.year < 9000
    if isinstance(value, int):
        return abs(value) < 2**63
    return not isinstance(value, float) or math.isfinite(value)
