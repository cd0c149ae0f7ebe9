"""Who may come in."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from common.contracts.identifiers import new_id
from common.contracts.keys import Role
from database.tables.base import Model, now, words


class ApiKey(Model):
    """A key of the API: only its digest is stored."""

    __tablename__ = "api_keys"
    __table_args__ = (
        Index(
            "ix_api_keys_living_name",
            "name",
            "id",
            sqlite_where=text("revoked_at IS NULL"),
            postgresql_where=text("revoked_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[Role] = mapped_column(words(Role, length=16))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    # Slugs of the clusters that it may change; None: all, and what belongs to no cluster.
    clusters: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    version: Mapped[int] = mapped_column(default=1, server_default="1")  # for its ETag
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class SignInLink(Model):
    """A one-time link that signs a browser in as the holder of a key."""

    __tablename__ = "sign_in_links"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
