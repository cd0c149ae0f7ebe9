"""Evidence of runs that agents uploaded."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from common.contracts.evidence import EvidenceType
from common.contracts.identifiers import new_id
from database.tables.base import Model, now, words


class Evidence(Model):
    """An upload: first announced, then there; its content is in object storage under its id."""

    __tablename__ = "evidence"
    __table_args__ = (Index("ix_evidence_cluster_id_id", "cluster_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    cluster_id: Mapped[UUID] = mapped_column(ForeignKey("clusters.id"))
    host: Mapped[str] = mapped_column(String(253))
    prober: Mapped[str] = mapped_column(String(63))
    content_type: Mapped[EvidenceType] = mapped_column(words(EvidenceType, length=64))
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    expires_at: Mapped[datetime]  # of its address
    received_at: Mapped[datetime | None]
