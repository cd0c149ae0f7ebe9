"""What several Creators need to know of each other: detached steps, kept plans, gates, causes."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_COLUMNS: dict[str, list[tuple[str, sa.types.TypeEngine[Any], str | None]]] = {
    # table: column, type, value for the rows that are there; None = NULL
    "clusters": [
        ("gates", sa.JSON(), "{}"),
        ("quarantine", sa.JSON(), None),
        ("replace_addresses", sa.JSON(), "[]"),
        ("state_key", sa.Text(), ""),
        ("applied_snapshot", sa.Text(), ""),
        ("applying_until", _MOMENT, None),
    ],
    "deployments": [
        ("holder", sa.String(200), ""),
        ("fencing", sa.BigInteger(), "0"),
        ("changed_at", _MOMENT, None),
        ("inputs", sa.JSON(), None),
        ("differences", sa.JSON(), "[]"),
        ("gate", sa.Text(), ""),
        ("plan", sa.JSON(), None),
        ("plan_text", sa.Text(), ""),
        ("lock", sa.JSON(), None),
    ],
    "deployment_steps": [
        ("host", sa.String(253), ""),
        ("boot_id", sa.String(64), ""),
        ("pid_namespace", sa.String(64), ""),
        ("workspace", sa.Text(), ""),
        ("deadline", _MOMENT, None),
        ("lock_id", sa.String(64), ""),
    ],
    "recipe_revisions": [("dependency_lock", sa.Text(), "")],
}
# Each Creator asks several times a second whether anything has changed: from these alone.
_INDICES: dict[str, tuple[str, list[str], str]] = {
    # name: table, columns, condition
    "ix_deployments_under_way": (
        "deployments",
        ["cluster_id"],
        "state IN ('planning', 'applying')",
    ),
    "ix_deployments_waiting": (
        "deployments",
        ["decided_at"],
        "state = 'waiting_for_approval'",
    ),
    "ix_clusters_pulse": (
        "clusters",
        ["version", "configuration_change", "agent_token_version", "updated_at"],
        "deleted_at IS NULL",
    ),
    "ix_recipe_revisions_checked_at": ("recipe_revisions", ["checked_at"], ""),
}


# Plain ALTER TABLE, no batch: on SQLite a batch makes the table anew, and whatever refers to it forbids that.
def upgrade() -> None:
    """Only adds: the older version of the services goes on working."""
    for table, columns in _COLUMNS.items():
        for name, kind, value in columns:
            op.add_column(
                table,
                sa.Column(name, kind, nullable=value is None, server_default=value),
            )
    op.create_table(
        "deployment_log_chunks",
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["deployments.id"],
            name=op.f("fk_deployment_log_chunks_deployment_id_deployments"),
        ),
        sa.PrimaryKeyConstraint("deployment_id", "number", name=op.f("pk_deployment_log_chunks")),
    )
    op.create_table(
        "creators",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(253), nullable=False),
        sa.Column("machine", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("state_store", sa.Text(), nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("seen_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_creators")),
    )
    for name, (table, parts, condition) in _INDICES.items():
        where = sa.text(condition) if condition else None
        op.create_index(name, table, parts, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Take it away again."""
    for name, (table, _, _) in _INDICES.items():
        op.drop_index(name, table_name=table)
    op.drop_table("creators")
    op.drop_table("deployment_log_chunks")
    for table, columns in reversed(_COLUMNS.items()):
        for name, _, _ in reversed(columns):
            op.drop_column(table, name)
