"""All tables. ORM classes stay in `database`, `api` and `creator`; what others see is in `common/contracts`.

Primary keys are UUIDv7. Slugs are unique per kind among living objects only: a destroyed one is a tombstone.
Relationships raise on lazy load, so every query says what it reads.
"""

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from common.contracts.clusters import ClusterState, DeploymentState, DeployPolicy
from common.contracts.identifiers import new_id
from common.contracts.keys import Role
from common.contracts.recipes import Validity


class Moment(TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite would lose the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

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


def _words(enum: type[StrEnum], *, length: int) -> Enum:
    """A column of an enum's words: text in the database, so that a new word needs no migration."""
    return Enum(
        enum,
        native_enum=False,
        length=length,
        values_callable=lambda members: [member.value for member in members],
    )


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


_LIVING = text("deleted_at IS NULL")


def _living_slug(table: str, column: str = "slug") -> Index:
    return Index(
        f"ix_{table}_living_{column}",
        column,
        unique=True,
        sqlite_where=_LIVING,
        postgresql_where=_LIVING,
    )


class Recipe(Model):
    """Terraform files under one name."""

    __tablename__ = "recipes"
    __table_args__ = (_living_slug("recipes"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    slug: Mapped[str] = mapped_column(String(63))
    description: Mapped[str] = mapped_column(Text, default="")
    managed_by: Mapped[str] = mapped_column(String(100), default="")
    version: Mapped[int] = mapped_column(default=1, server_default="1")  # for its ETag
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    deleted_at: Mapped[datetime | None]

    revisions: Mapped[list["RecipeRevision"]] = relationship(
        back_populates="recipe", lazy="raise", order_by="RecipeRevision.number"
    )


class RecipeRevision(Model):
    """An immutable set of a recipe's files; the newest has the highest number."""

    __tablename__ = "recipe_revisions"
    __table_args__ = (UniqueConstraint("recipe_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    recipe_id: Mapped[UUID] = mapped_column(ForeignKey("recipes.id"))
    number: Mapped[int]
    content_hash: Mapped[str] = mapped_column(String(64))
    # list[common.contracts.recipes.DeclaredVariable]; null = nobody could find out.
    declared_variables: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    # What terraform says of it, that is Creator; unchecked with problems = it could not judge yet.
    validity: Mapped[Validity] = mapped_column(
        _words(Validity, length=16), default=Validity.UNCHECKED
    )
    problems: Mapped[list[Any]] = mapped_column(default=list)
    checked_at: Mapped[datetime | None]
    check_again_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)

    recipe: Mapped[Recipe] = relationship(back_populates="revisions", lazy="raise")
    files: Mapped[list["RecipeFile"]] = relationship(
        lazy="raise", order_by="RecipeFile.path", cascade="all, delete-orphan"
    )


class RecipeFile(Model):
    """One file of a recipe's revision; its content is in object storage under its hash."""

    __tablename__ = "recipe_files"

    revision_id: Mapped[UUID] = mapped_column(ForeignKey("recipe_revisions.id"), primary_key=True)
    path: Mapped[str] = mapped_column(String(512), primary_key=True)
    mode: Mapped[str] = mapped_column(String(4))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int]


class Cluster(Model):
    """A set of virtual machines: recipe, values, policy; and what Creator last saw of it."""

    __tablename__ = "clusters"
    __table_args__ = (
        _living_slug("clusters"),
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
            sqlite_where=_LIVING,
            postgresql_where=_LIVING,
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    slug: Mapped[str] = mapped_column(String(63))
    recipe_id: Mapped[UUID] = mapped_column(ForeignKey("recipes.id"), index=True)
    recipe_revision: Mapped[int | None]  # None follows the newest
    deploy_policy: Mapped[DeployPolicy] = mapped_column(
        _words(DeployPolicy, length=16), default=DeployPolicy.AUTOMATIC
    )
    state: Mapped[ClusterState] = mapped_column(
        _words(ClusterState, length=16), default=ClusterState.ACTIVE
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
    managed_by: Mapped[str] = mapped_column(String(100), default="")
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class Deployment(Model):
    """What Creator did about one cluster that had something to do."""

    __tablename__ = "deployments"
    __table_args__ = (
        Index("ix_deployments_cluster_id_id", "cluster_id", "id"),
        Index("ix_deployments_finished_at", "finished_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    cluster_id: Mapped[UUID] = mapped_column(ForeignKey("clusters.id"))
    cause: Mapped[str] = mapped_column(Text)
    state: Mapped[DeploymentState] = mapped_column(
        _words(DeploymentState, length=24), default=DeploymentState.PLANNING
    )
    fingerprint: Mapped[str] = mapped_column(String(64))
    recipe_revision_id: Mapped[UUID] = mapped_column(ForeignKey("recipe_revisions.id"), index=True)
    summary: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str] = mapped_column(Text, default="")
    log: Mapped[str] = mapped_column(Text, default="", deferred=True)
    decided_at: Mapped[datetime | None]  # a person approved or rejected the plan
    decided_by: Mapped[str] = mapped_column(String(100), default="")
    approved: Mapped[bool | None]
    started_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]

    cluster: Mapped[Cluster] = relationship(lazy="raise")
    recipe_revision: Mapped[RecipeRevision] = relationship(lazy="raise")
    steps: Mapped[list["DeploymentStep"]] = relationship(lazy="raise", order_by="DeploymentStep.id")


class DeploymentStep(Model):
    """One terraform command; committed before it starts."""

    __tablename__ = "deployment_steps"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    deployment_id: Mapped[UUID] = mapped_column(ForeignKey("deployments.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    arguments: Mapped[list[str]]
    # With the start time in clock ticks since boot a pid names one process and no other.
    pid: Mapped[int | None]
    process_start_ticks: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    exit_code: Mapped[int | None]


class Prober(Model):
    """A small program that checks something."""

    __tablename__ = "probers"
    __table_args__ = (_living_slug("probers"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    slug: Mapped[str] = mapped_column(String(63))
    description: Mapped[str] = mapped_column(Text, default="")
    owner: Mapped[str] = mapped_column(String(200), default="")
    runbook_url: Mapped[str] = mapped_column(Text, default="")
    severity: Mapped[str] = mapped_column(String(16), default="")
    # A stopped prober is in no document.
    stopped_at: Mapped[datetime | None]
    stopped_by: Mapped[str] = mapped_column(String(100), default="")
    stopped_reason: Mapped[str] = mapped_column(Text, default="")
    command: Mapped[list[str]]
    defaults: Mapped[dict[str, Any]] = mapped_column(default=dict)
    managed_by: Mapped[str] = mapped_column(String(100), default="")
    version: Mapped[int] = mapped_column(default=1, server_default="1")  # for its ETag
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    deleted_at: Mapped[datetime | None]

    revisions: Mapped[list["ProberRevision"]] = relationship(
        back_populates="prober", lazy="raise", order_by="ProberRevision.number"
    )
    configs: Mapped[list["ProberConfig"]] = relationship(
        lazy="raise", order_by="ProberConfig.slug", cascade="all, delete-orphan"
    )


class ProberRevision(Model):
    """An immutable set of a prober's files; the newest has the highest number."""

    __tablename__ = "prober_revisions"
    __table_args__ = (UniqueConstraint("prober_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    prober_id: Mapped[UUID] = mapped_column(ForeignKey("probers.id"))
    number: Mapped[int]
    content_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=now)
    # A stopped revision runs nowhere: the newest one that is not stopped runs instead.
    stopped_at: Mapped[datetime | None]
    stopped_by: Mapped[str] = mapped_column(String(100), default="")
    stopped_reason: Mapped[str] = mapped_column(Text, default="")

    prober: Mapped[Prober] = relationship(back_populates="revisions", lazy="raise")
    files: Mapped[list["ProberFile"]] = relationship(
        lazy="raise", order_by="ProberFile.path", cascade="all, delete-orphan"
    )


class ProberFile(Model):
    """One file of a prober's revision; its content is in object storage under its hash."""

    __tablename__ = "prober_files"

    revision_id: Mapped[UUID] = mapped_column(ForeignKey("prober_revisions.id"), primary_key=True)
    path: Mapped[str] = mapped_column(String(512), primary_key=True)
    mode: Mapped[str] = mapped_column(String(4))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int]


class ProberConfig(Model):
    """Where a prober runs and with which settings."""

    __tablename__ = "prober_configs"
    __table_args__ = (UniqueConstraint("prober_id", "slug"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    prober_id: Mapped[UUID] = mapped_column(ForeignKey("probers.id"))
    slug: Mapped[str] = mapped_column(String(63))
    order: Mapped[int] = mapped_column(default=0)
    clusters: Mapped[list[str]]
    hosts: Mapped[list[str]] = mapped_column(default=list)
    except_hosts: Mapped[list[str]] = mapped_column(default=list)
    host_labels: Mapped[dict[str, Any]] = mapped_column(default=dict)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    managed_by: Mapped[str] = mapped_column(String(100), default="")
    version: Mapped[int] = mapped_column(default=1, server_default="1")  # for its ETag
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


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


class Lease(Model):
    """Who of several processes may do a job just now, by the database's clock."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    # Raised with every new holder: a write with a lower one comes too late.
    fencing: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime]


class Agent(Model):
    """The newest report of one agent; history is Solomon's."""

    __tablename__ = "agents"
    # For the fleet's pages, and for the other agents of a host.
    __table_args__ = (
        Index("ix_agents_instance", "instance"),
        Index("ix_agents_cluster_id_host", "cluster_id", "host"),
    )

    cluster_id: Mapped[UUID] = mapped_column(ForeignKey("clusters.id"), primary_key=True)
    instance: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(String(253))
    boot: Mapped[int]
    version: Mapped[str] = mapped_column(String(64))
    report: Mapped[dict[str, Any]]  # common.contracts.reports.AgentReport
    clock_skew_seconds: Mapped[float]
    token_version: Mapped[int | None]  # with which the newest report came
    first_seen_at: Mapped[datetime] = mapped_column(default=now)
    reported_at: Mapped[datetime] = mapped_column(default=now, index=True)


class ApiKey(Model):
    """A key of the API: only its digest is stored."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[Role] = mapped_column(_words(Role, length=16))
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


class InstallationSwitches(Model):
    """The switches of the whole installation: one row, made when somebody first turns one."""

    __tablename__ = "installation_switches"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # always 1
    applies_stopped: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str] = mapped_column(Text, default="")
    changed_by: Mapped[str] = mapped_column(String(100), default="")
    changed_at: Mapped[datetime | None]


class AuditEntry(Model):
    """Who changed what, and how: only ever added to."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_kind_slug_id", "kind", "slug", "id"),
        Index("ix_audit_log_kind_id", "kind", "id"),
        Index("ix_audit_log_slug_id", "slug", "id"),
        Index("ix_audit_log_actor_id", "actor", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[datetime] = mapped_column(index=True)
    # Of what may be gone by now, so no foreign keys.
    key_id: Mapped[UUID | None]
    actor: Mapped[str] = mapped_column(String(100))  # the key's name
    role: Mapped[str] = mapped_column(String(16))  # a key's role, or agent, or creator
    action: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[UUID]
    slug: Mapped[str] = mapped_column(String(200))  # `demo`; of what it owns: `demo/hosts`
    cluster_id: Mapped[UUID | None]
    # What callers of the API could read of it: never a secret.
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    request_id: Mapped[str] = mapped_column(String(64), default="")
