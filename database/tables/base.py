"""What all tables share: the base class, its types of columns, and the index of living slugs."""

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    Enum,
    Index,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator


class Moment(TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite would lose the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """What its values are."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse naive datetimes, store UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError("naive datetime")
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Always UTC: SQLite dropped the zone, PostgreSQL answers in the session's."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JsonText(TypeDecorator[Any]):
    """A JSON value as text: SQLite takes a bare number in a JSON column for a number, so 1.0 would become 1."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002
        """Store the text; null is a value."""
        return json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Read the text."""
        return json.loads(value) if value is not None else None


def words(enum: type[StrEnum], *, length: int) -> Enum:
    """A column of an enum's words: text in the database, so that a new word needs no migration."""
    return Enum(
        enum,
        native_enum=False,
        length=length,
        values_callable=lambda members: [member.value for member in members],
    )


def table_of(model: type["Model"]) -> Table:
    """The table of a model, for statements that need no objects: they cost half as much."""
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is mapped to more than one table")
    return table


def now() -> datetime:
    """The current moment, UTC."""
    return datetime.now(UTC)


class Model(DeclarativeBase):
    """Base of all tables: one naming rule for constraints, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: Moment(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
        list[str]: JSON(),
        Any: JSON(none_as_null=False),
    }


LIVING = text("deleted_at IS NULL")


def living(table: str, column: str) -> Index:
    """For the pages of those that live, in the order of this column."""
    return Index(
        f"ix_{table}_living_{column}",
        column,
        "id",
        sqlite_where=LIVING,
        postgresql_where=LIVING,
    )


def living_by(table: str, column: str) -> Index:
    """For the pages of those that live and have this value, by slug."""
    return Index(
        f"ix_{table}_living_{column}_slug",
        column,
        "slug",
        sqlite_where=LIVING,
        postgresql_where=LIVING,
    )


def living_slug(table: str, column: str = "slug") -> Index:
    return Index(
        f"ix_{table}_living_{column}",
        column,
        unique=True,
        sqlite_where=LIVING,
        postgresql_where=LIVING,
    )
