"""Pages of listings by key, not by offset: cheap at any depth, and stable while others write."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from api.services.errors import InvalidError

Row = TypeVar("Row")
Key = str | UUID | int


@dataclass(frozen=True)
class Paging:
    """Which page: at most `size` rows after the one that the opaque token names."""

    size: int = 100
    token: str = ""


@dataclass(frozen=True)
class Order:
    """By which unique column a listing goes."""

    column: InstrumentedAttribute[Any]
    parse: Callable[[str], Key] = str
    descending: bool = False


def page_of(
    session: Session, statement: Select[Row], order: Order, paging: Paging
) -> tuple[list[Row], str]:
    """The rows of one page and the token of the next; InvalidError for a token that is not ours."""
    column = order.column
    if paging.token:
        last = _key(paging.token, order.parse)
        statement = statement.where(column < last if order.descending else column > last)
    statement = statement.order_by(column.desc() if order.descending else column)
    rows = list(session.scalars(statement.limit(paging.size + 1)))
    if len(rows) <= paging.size:
        return rows, ""
    return rows[: paging.size], token_of(getattr(rows[paging.size - 1], column.key))


def token_of(key: Key) -> str:
    """The token of the page after this key."""
    return base64.urlsafe_b64encode(f"after:{key}".encode()).decode()


def _key(token: str, parse: Callable[[str], Key]) -> Key:
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
        prefix, _, key = text.partition(":")
        if prefix == "after" and "\0" not in key:
            return parse(key)
    except (binascii.Error, ValueError):
        pass  # answered below, like every other token that is not ours
    raise InvalidError.of("page_token", "the next_page_token of an earlier page", given=token[:100])


def revision_number(text: str) -> int:
    """A number that the database can hold; otherwise ValueError."""
    number = int(text)
    if not 0 < number < 2**31:
        raise ValueError(number)
    return number
