"""Entity tags, audit log, secrets, checked recipes, published documents."""

from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only adds: the older version of the services goes on working."""
    _add_entity_tags()
    _add_audit_log()
    _add_secrets_and_switches()
    _add_checks_of_recipes()
    _add_publications()
    _add_indices()


def downgrade() -> None:
    """Take it away again."""
    _drop_indices()
    _drop_publications()
    _drop_checks_of_recipes()
    _drop_audit_log()
    _drop_entity_tags()
    _drop_secrets_and_switches()


_MOMENT = sa.DateTime(timezone=True)
_SWITCH_COLUMNS: dict[str, list[tuple[str, sa.types.TypeEngine[Any], str | None]]] = {
    # table: column, type, value for the rows that are there; None = NULL
    "clusters": [
        ("previous_agent_token_version", sa.Integer(), None),
        ("paused_at", _MOMENT, None),
        ("paused_by", sa.String(100), ""),
        ("paused_reason", sa.Text(), ""),
        ("paused_until", _MOMENT, None),
        ("protected", sa.Boolean(), "0"),
        ("deploy_requested_at", _MOMENT, None),
        ("deploy_requested_by", sa.String(100), ""),
    ],
    "cluster_variables": [("encrypted", sa.Text(), None), ("value_version", sa.BigInteger(), "1")],
    "deployments": [
        ("decided_at", _MOMENT, None),
        ("decided_by", sa.String(100), ""),
        ("approved", sa.Boolean(), None),
    ],
    "probers": [
        ("severity", sa.String(16), ""),
        ("stopped_at", _MOMENT, None),
        ("stopped_by", sa.String(100), ""),
        ("stopped_reason", sa.Text(), ""),
    ],
    "prober_revisions": [
        ("stopped_at", _MOMENT, None),
        ("stopped_by", sa.String(100), ""),
        ("stopped_reason", sa.Text(), ""),
    ],
    "agents": [("token_version", sa.Integer(), None)],
}


def _add_secrets_and_switches() -> None:
    for table, columns in _SWITCH_COLUMNS.items():
        for name, kind, value in columns:
            default = sa.false() if value == "0" else value
            op.add_column(
                table,
                sa.Column(name, kind, nullable=value is None, server_default=default),
            )
    op.create_table(
        "installation_switches",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("applies_stopped", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.String(100), nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation_switches")),
    )


def _drop_secrets_and_switches() -> None:
    op.drop_table("installation_switches")
    for table, columns in reversed(_SWITCH_COLUMNS.items()):
        for name, _, _ in reversed(columns):
            op.drop_column(table, name)


_TAGGED = ("recipes", "clusters", "cluster_variables", "probers", "prober_configs", "api_keys")
_VARIABLES = sa.table(
    "cluster_variables",
    sa.column("cluster_id", sa.Uuid()),
    sa.column("name", sa.String()),
    sa.column("id", sa.Uuid()),
)


# Plain ALTER TABLE, no batch: on SQLite a batch makes the table anew, and whatever refers to it forbids that.
def _add_entity_tags() -> None:
    for table in _TAGGED:
        op.add_column(table, sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column(
        "cluster_variables",
        sa.Column("id", sa.Uuid(), nullable=False, server_default="0" * 32),
    )
    connection = op.get_bind()
    for cluster_id, name in connection.execute(
        sa.select(_VARIABLES.c.cluster_id, _VARIABLES.c.name)
    ).all():
        connection.execute(
            _VARIABLES.update()
            .where(_VARIABLES.c.cluster_id == cluster_id, _VARIABLES.c.name == name)
            .values(id=uuid4())
        )


def _drop_entity_tags() -> None:
    op.drop_column("cluster_variables", "id")
    for table in _TAGGED:
        op.drop_column(table, "version")


def _add_audit_log() -> None:
    op.add_column("api_keys", sa.Column("clusters", sa.JSON(), nullable=True))
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=200), nullable=False),
        sa.Column("cluster_id", sa.Uuid(), nullable=True),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    for name, columns in _AUDIT_INDICES:
        op.create_index(name, "audit_log", columns)
    for statement in _GUARD[op.get_bind().dialect.name]:
        op.execute(statement)


_AUDIT_INDICES = (
    ("ix_audit_log_kind_slug_id", ["kind", "slug", "id"]),
    ("ix_audit_log_kind_id", ["kind", "id"]),
    ("ix_audit_log_slug_id", ["slug", "id"]),
    ("ix_audit_log_actor_id", ["actor", "id"]),
    ("ix_audit_log_at", ["at"]),
)


# Rows may go when they are old, but none is ever rewritten.
_TRIGGER = "CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE ON audit_log"
_REFUSAL = "BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END"
_GUARD = {
    "sqlite": (f"{_TRIGGER} BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END",),
    "postgresql": (
        f"CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ {_REFUSAL} $$",
        f"{_TRIGGER} FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    ),
}


def _drop_audit_log() -> None:
    op.drop_table("audit_log")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change")
    op.drop_column("api_keys", "clusters")


def _add_checks_of_recipes() -> None:
    for column in (
        sa.Column("declared_variables", sa.JSON(), nullable=True),
        sa.Column("validity", sa.String(length=16), nullable=False, server_default="unchecked"),
        sa.Column("problems", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("check_again_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("recipe_revisions", column)


def _drop_checks_of_recipes() -> None:
    for name in ("check_again_at", "checked_at", "problems", "validity", "declared_variables"):
        op.drop_column("recipe_revisions", name)


def _add_publications() -> None:
    op.create_index(
        "ix_clusters_digest",
        "clusters",
        [
            "configuration_change",
            "agent_token_version",
            "previous_agent_token_version",
            "created_at",
        ],
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "publications",
        sa.Column("cluster_id", sa.Uuid(), nullable=False),
        sa.Column("etag", sa.String(66), nullable=False),
        sa.Column("signed_for", sa.String(64), nullable=False),
        sa.Column("storage", sa.String(64), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("published_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("cluster_id", name=op.f("pk_publications")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(200), nullable=False),
        sa.Column("fencing", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )


def _drop_publications() -> None:
    op.drop_table("leases")
    op.drop_table("publications")
    op.drop_index("ix_clusters_digest", table_name="clusters")


def _add_indices() -> None:
    op.create_index("ix_deployments_recipe_revision_id", "deployments", ["recipe_revision_id"])
    op.create_index("ix_agents_reported_at", "agents", ["reported_at"])
    op.create_index("ix_agents_instance", "agents", ["instance"])
    op.create_index("ix_agents_cluster_id_host", "agents", ["cluster_id", "host"])

    op.create_index("ix_deployments_finished_at", "deployments", ["finished_at"])
    op.create_index(
        "ix_clusters_destroyed",
        "clusters",
        ["deleted_at"],
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )


def _drop_indices() -> None:
    op.drop_index("ix_clusters_destroyed", table_name="clusters")
    op.drop_index("ix_deployments_finished_at", table_name="deployments")
    op.drop_index("ix_agents_cluster_id_host", table_name="agents")
    op.drop_index("ix_agents_instance", table_name="agents")
    op.drop_index("ix_agents_reported_at", table_name="agents")
    op.drop_index("ix_deployments_recipe_revision_id", table_name="deployments")
