"""Evidence of runs, kept for people; pages in every order; large values as files; what plans do to each resource."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only adds: the older version of the services goes on working."""
    _add_orders()
    _add_evidence()
    _add_files_of_values()
    op.add_column("deployments", sa.Column("changes", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Take it away again."""
    op.drop_column("deployments", "changes")
    _drop_files_of_values()
    _drop_evidence()
    _drop_orders()


_LIVING = (
    ("clusters", "created_at"),
    ("clusters", "updated_at"),
    ("clusters", "last_planned_at"),
    ("recipes", "created_at"),
    ("recipes", "updated_at"),
    ("probers", "created_at"),
    ("probers", "updated_at"),
)
_CHOSEN_CLUSTERS = ("recipe_id", "state", "managed_by")
_OF_AGENTS = ("host", "reported_at", "version", "clock_skew_seconds")


def _add_orders() -> None:
    for table, column in _LIVING:
        _create_partial_index(f"ix_{table}_living_{column}", table, column, "deleted_at")
    for column in _CHOSEN_CLUSTERS:
        name = f"ix_clusters_living_{column}_slug"
        _create_partial_index(name, "clusters", column, "deleted_at", then="slug")
    _create_partial_index("ix_api_keys_living_name", "api_keys", "name", "revoked_at")
    op.drop_index("ix_agents_reported_at", table_name="agents")
    op.drop_index("ix_agents_instance", table_name="agents")
    op.create_index("ix_agents_instance", "agents", ["instance", "cluster_id"])
    for column in _OF_AGENTS:
        op.create_index(f"ix_agents_{column}", "agents", [column, "instance", "cluster_id"])
    _replace_audit_indices(_AUDIT_BY_ID, _AUDIT_BY_TIME)


_AUDIT_BY_ID = {
    "ix_audit_log_kind_slug_id": ["kind", "slug", "id"],
    "ix_audit_log_kind_id": ["kind", "id"],
    "ix_audit_log_slug_id": ["slug", "id"],
    "ix_audit_log_actor_id": ["actor", "id"],
    "ix_audit_log_at": ["at"],
}
_AUDIT_BY_TIME = {
    "ix_audit_log_kind_slug": ["kind", "slug", "at", "id"],
    "ix_audit_log_kind": ["kind", "at", "id"],
    "ix_audit_log_slug": ["slug", "at", "id"],
    "ix_audit_log_actor": ["actor", "at", "id"],
    "ix_audit_log_at": ["at", "id"],
}


def _replace_audit_indices(old: dict[str, list[str]], new: dict[str, list[str]]) -> None:
    for name in old:
        op.drop_index(name, table_name="audit_log")
    for name, columns in new.items():
        op.create_index(name, "audit_log", columns)


def _create_partial_index(
    name: str, table: str, column: str, end: str, *, then: str = "id"
) -> None:
    alive = sa.text(f"{end} IS NULL")
    op.create_index(name, table, [column, then], sqlite_where=alive, postgresql_where=alive)


def _drop_orders() -> None:
    _replace_audit_indices(_AUDIT_BY_TIME, _AUDIT_BY_ID)
    for column in _OF_AGENTS:
        op.drop_index(f"ix_agents_{column}", table_name="agents")
    op.drop_index("ix_agents_instance", table_name="agents")
    op.create_index("ix_agents_instance", "agents", ["instance"])
    op.create_index("ix_agents_reported_at", "agents", ["reported_at"])
    op.drop_index("ix_api_keys_living_name", table_name="api_keys")
    for column in _CHOSEN_CLUSTERS:
        op.drop_index(f"ix_clusters_living_{column}_slug", table_name="clusters")
    for table, column in _LIVING:
        op.drop_index(f"ix_{table}_living_{column}", table_name=table)


_MOMENT = sa.DateTime(timezone=True)


def _add_evidence() -> None:
    op.create_table(
        "evidence",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cluster_id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(253), nullable=False),
        sa.Column("prober", sa.String(63), nullable=False),
        sa.Column("content_type", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("received_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_evidence_cluster_id_clusters")
        ),
    )
    op.create_index("ix_evidence_cluster_id_id", "evidence", ["cluster_id", "id"])
    op.create_index("ix_evidence_created_at", "evidence", ["created_at"])


def _drop_evidence() -> None:
    op.drop_table("evidence")


def _add_files_of_values() -> None:
    op.add_column("cluster_variables", sa.Column("file_sha256", sa.String(64), nullable=True))
    op.create_index("ix_cluster_variables_file_sha256", "cluster_variables", ["file_sha256"])


def _drop_files_of_values() -> None:
    op.drop_index("ix_cluster_variables_file_sha256", table_name="cluster_variables")
    op.drop_column("cluster_variables", "file_sha256")
