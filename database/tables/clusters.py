"""Clusters and their variables."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from common.contracts.clusters import ClusterState, DeployPolicy
from common.contracts.identifiers import new_id
from database.tables.base import LIVING, JsonText, Model, living, living_by, living_slug, now, words
from database.tables.recipes import Recipe


class Cluster(Model):
    """A set of virtual machines: recipe, values, policy; and what Creator last saw of it."""

    __tablename__ = "clusters"
    __table_args__ = (
        living_slug("clusters"),
        living("clusters", "created_at"),
        living("clusters", "updated_at"),
        living("clusters", "last_planned_at"),
        living_by("clusters", "recipe_id"),
        living_by("clusters", "state"),
        living_by("clusters", "managed_by"),
        # Each API process sums these up once a second: from this index alone, whatever the rows hold.
        Index(
            "ix_clusters_destroyed",
            "deleted_at",
            sqlite_where=text("deleted_at IS NOT NULL"),
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
        # Partial: an index that begins with deleted_at would lure SQLite away from the slug's when it lists clusters.
        Index(
            "ix_clusters_digest",
            "configuration_change",
            "agent_token_version",
            "previous_agent_token_version",
            "created_at",
            sqlite_where=LIVING,
            postgresql_where=LIVING,
        ),
        # And each Creator several times a second.
        Index(
            "ix_clusters_pulse",
            "version",
            "configuration_change",
            "agent_token_version",
            "updated_at",
            sqlite_where=LIVING,
            postgresql_where=LIVING,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    slug: Mapped[str] = mapped_column(String(63))
    recipe_id: Mapped[UUID] = mapped_column(ForeignKey("recipes.id"), index=True)
    recipe_revision: Mapped[int | None]  # None follows the newest
    deploy_policy: Mapped[DeployPolicy] = mapped_column(
        words(DeployPolicy, length=16), default=DeployPolicy.AUTOMATIC
    )
    state: Mapped[ClusterState] = mapped_column(
        words(ClusterState, length=16), default=ClusterState.ACTIVE
    )
    managed_by: Mapped[str] = mapped_column(String(100), default="")
    version: Mapped[int] = mapped_column(default=1, server_default="1")  # for its ETag
    hosts: Mapped[dict[str, Any]] = mapped_column(default=dict)  # from the output mr_prober_hosts
    agent_token_version: Mapped[int] = mapped_column(default=1)
    # Raised with every change that its configuration document may show.
    configuration_change: Mapped[int] = mapped_column(default=1)
    # The version before, as long as agents with it are let in; NULL: only the current one is.
    previous_agent_token_version: Mapped[int | None]
    # What the last successful deployment stood for; equal to the desired one = nothing to do.
    deployed_fingerprint: Mapped[str] = mapped_column(String(64), default="")
    last_planned_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    deleted_at: Mapped[datetime | None]  # when it was destroyed
    # People's switches: what Creator leaves alone, what must not be deleted, what is wanted at once.
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str] = mapped_column(String(100), default="")
    paused_reason: Mapped[str] = mapped_column(Text, default="")
    paused_until: Mapped[datetime | None]
    protected: Mapped[bool] = mapped_column(default=False)
    deploy_requested_at: Mapped[datetime | None]  # NULL again as soon as Creator begins
    deploy_requested_by: Mapped[str] = mapped_column(String(100), default="")
    # Limits of what is applied without a person: common.contracts.clusters.Gates.
    gates: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    # common.contracts.clusters.Quarantine, while what differs again after each apply is left alone.
    quarantine: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    # Addresses of resources that the next deployment makes anew, asked for on Creator's host.
    replace_addresses: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    # Where terraform's state is, chosen at the first deployment and never computed again.
    state_key: Mapped[str] = mapped_column(Text, default="", server_default="")
    # That state was seen there: if nothing is there any more, it is lost.
    has_state: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Key of the object with recipe and values of the newest apply, encrypted: what a destroy works from.
    applied_snapshot: Mapped[str] = mapped_column(Text, default="", server_default="")
    # Deadline of the apply under way; documents carry it, runs until then are flagged.
    applying_until: Mapped[datetime | None]

    recipe: Mapped[Recipe] = relationship(lazy="raise")
    variables: Mapped[list["ClusterVariable"]] = relationship(
        lazy="raise", order_by="ClusterVariable.name", cascade="all, delete-orphan"
    )


class ClusterVariable(Model):
    """A named JSON value of a cluster."""

    __tablename__ = "cluster_variables"

    cluster_id: Mapped[UUID] = mapped_column(ForeignKey("clusters.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    # Of its own for its ETag: a variable that is made anew is another one.
    id: Mapped[UUID] = mapped_column(default=new_id, server_default="0" * 32)
    version: Mapped[int] = mapped_column(default=1, server_default="1")  # for its ETag
    value: Mapped[Any] = mapped_column(JSON(none_as_null=False).with_variant(JsonText(), "sqlite"))
    # A sensitive value is here only, encrypted (common/encryption.py); `value` is null then.
    encrypted: Mapped[str | None] = mapped_column(Text)
    # Milliseconds, like a document's revision: a variable that is made anew never repeats one.
    value_version: Mapped[int] = mapped_column(BigInteger, default=1)
    # Of a large value, which is in object storage, too, and a file for documents (services/large_values.py).
    file_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    managed_by: Mapped[str] = mapped_column(String(100), default="")
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
