"""Configuration documents, as agents get them and as they are published."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from database.tables.base import Model, now


class Document(Model):
    """The configuration document of a cluster, as its agents get it."""

    __tablename__ = "documents"

    cluster_id: Mapped[UUID] = mapped_column(ForeignKey("clusters.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)  # milliseconds
    etag: Mapped[str] = mapped_column(String(66))
    body: Mapped[bytes] = mapped_column(deferred=True)
    # Clusters.configuration_change for which it was built; a higher one there = build again.
    built_for_change: Mapped[int]


class Publication(Model):
    """What of a cluster's document has been published to object storage."""

    __tablename__ = "publications"

    # No foreign key: what was published outlives the cluster until it is taken back.
    cluster_id: Mapped[UUID] = mapped_column(primary_key=True)
    etag: Mapped[str] = mapped_column(String(66), default="")
    # The token versions with which it is signed, and the storage: another one gets all anew.
    signed_for: Mapped[str] = mapped_column(String(64), default="")
    storage: Mapped[str] = mapped_column(String(64), default="")
    # SHA-256 of every file there → since when no document names it (ISO 8601), null while one does.
    files: Mapped[dict[str, Any]] = mapped_column(default=dict)
    published_at: Mapped[datetime] = mapped_column(default=now)
