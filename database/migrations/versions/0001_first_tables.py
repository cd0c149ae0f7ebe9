"""First tables: recipes, clusters, deployments, probers, documents, agents, keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "viewer", "editor", "approver", "admin", name="role", native_enum=False, length=16
            ),
            nullable=False,
        ),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
    )
    op.create_table(
        "probers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=63), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("runbook_url", sa.Text(), nullable=False),
        sa.Column("command", sa.JSON(), nullable=False),
        sa.Column("defaults", sa.JSON(), nullable=False),
        sa.Column("managed_by", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_probers")),
    )
    with op.batch_alter_table("probers", schema=None) as batch_op:
        batch_op.create_index(
            "ix_probers_living_slug",
            ["slug"],
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )

    op.create_table(
        "recipes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=63), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("managed_by", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipes")),
    )
    with op.batch_alter_table("recipes", schema=None) as batch_op:
        batch_op.create_index(
            "ix_recipes_living_slug",
            ["slug"],
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )

    op.create_table(
        "clusters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=63), nullable=False),
        sa.Column("recipe_id", sa.Uuid(), nullable=False),
        sa.Column("recipe_revision", sa.Integer(), nullable=True),
        sa.Column(
            "deploy_policy",
            sa.Enum(
                "automatic",
                "approve",
                "plan_only",
                name="deploypolicy",
                native_enum=False,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "active", "deleting", "destroyed", name="clusterstate", native_enum=False, length=16
            ),
            nullable=False,
        ),
        sa.Column("managed_by", sa.String(length=100), nullable=False),
        sa.Column("hosts", sa.JSON(), nullable=False),
        sa.Column("agent_token_version", sa.Integer(), nullable=False),
        sa.Column("configuration_change", sa.Integer(), nullable=False),
        sa.Column("deployed_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("last_planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["recipe_id"], ["recipes.id"], name=op.f("fk_clusters_recipe_id_recipes")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clusters")),
    )
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.create_index(
            "ix_clusters_living_slug",
            ["slug"],
            unique=True,
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_clusters_recipe_id"), ["recipe_id"], unique=False)

    op.create_table(
        "prober_configs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("prober_id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=63), nullable=False),
        sa.Column("order", sa.Integer(), nullable=False),
        sa.Column("clusters", sa.JSON(), nullable=False),
        sa.Column("hosts", sa.JSON(), nullable=False),
        sa.Column("except_hosts", sa.JSON(), nullable=False),
        sa.Column("host_labels", sa.JSON(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("managed_by", sa.String(length=100), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["prober_id"], ["probers.id"], name=op.f("fk_prober_configs_prober_id_probers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prober_configs")),
        sa.UniqueConstraint("prober_id", "slug", name=op.f("uq_prober_configs_prober_id")),
    )
    op.create_table(
        "prober_revisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("prober_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["prober_id"], ["probers.id"], name=op.f("fk_prober_revisions_prober_id_probers")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prober_revisions")),
        sa.UniqueConstraint("prober_id", "number", name=op.f("uq_prober_revisions_prober_id")),
    )
    op.create_table(
        "recipe_revisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recipe_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["recipe_id"], ["recipes.id"], name=op.f("fk_recipe_revisions_recipe_id_recipes")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipe_revisions")),
        sa.UniqueConstraint("recipe_id", "number", name=op.f("uq_recipe_revisions_recipe_id")),
    )
    op.create_table(
        "sign_in_links",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name=op.f("fk_sign_in_links_key_id_api_keys")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sign_in_links")),
    )
    op.create_table(
        "agents",
        sa.Column("cluster_id", sa.Uuid(), nullable=False),
        sa.Column("instance", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(length=253), nullable=False),
        sa.Column("boot", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.Column("clock_skew_seconds", sa.Double(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_agents_cluster_id_clusters")
        ),
        sa.PrimaryKeyConstraint("cluster_id", "instance", name=op.f("pk_agents")),
    )
    op.create_table(
        "cluster_variables",
        sa.Column("cluster_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("value", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("managed_by", sa.String(length=100), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_cluster_variables_cluster_id_clusters")
        ),
        sa.PrimaryKeyConstraint("cluster_id", "name", name=op.f("pk_cluster_variables")),
    )
    op.create_table(
        "deployments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cluster_id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "planning",
                "waiting_for_approval",
                "applying",
                "succeeded",
                "failed",
                "unknown",
                "superseded",
                name="deploymentstate",
                native_enum=False,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("recipe_revision_id", sa.Uuid(), nullable=False),
        sa.Column("summary", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_deployments_cluster_id_clusters")
        ),
        sa.ForeignKeyConstraint(
            ["recipe_revision_id"],
            ["recipe_revisions.id"],
            name=op.f("fk_deployments_recipe_revision_id_recipe_revisions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.create_index("ix_deployments_cluster_id_id", ["cluster_id", "id"], unique=False)

    op.create_table(
        "documents",
        sa.Column("cluster_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(length=66), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("built_for_change", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name=op.f("fk_documents_cluster_id_clusters")
        ),
        sa.PrimaryKeyConstraint("cluster_id", name=op.f("pk_documents")),
    )
    op.create_table(
        "prober_files",
        sa.Column("revision_id", sa.Uuid(), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("mode", sa.String(length=4), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["revision_id"],
            ["prober_revisions.id"],
            name=op.f("fk_prober_files_revision_id_prober_revisions"),
        ),
        sa.PrimaryKeyConstraint("revision_id", "path", name=op.f("pk_prober_files")),
    )
    with op.batch_alter_table("prober_files", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_prober_files_sha256"), ["sha256"], unique=False)

    op.create_table(
        "recipe_files",
        sa.Column("revision_id", sa.Uuid(), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("mode", sa.String(length=4), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["revision_id"],
            ["recipe_revisions.id"],
            name=op.f("fk_recipe_files_revision_id_recipe_revisions"),
        ),
        sa.PrimaryKeyConstraint("revision_id", "path", name=op.f("pk_recipe_files")),
    )
    with op.batch_alter_table("recipe_files", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recipe_files_sha256"), ["sha256"], unique=False)

    op.create_table(
        "deployment_steps",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("process_start_ticks", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["deployments.id"],
            name=op.f("fk_deployment_steps_deployment_id_deployments"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment_steps")),
    )
    with op.batch_alter_table("deployment_steps", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_deployment_steps_deployment_id"), ["deployment_id"], unique=False
        )


def downgrade() -> None:

    with op.batch_alter_table("deployment_steps", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_deployment_steps_deployment_id"))

    op.drop_table("deployment_steps")
    with op.batch_alter_table("recipe_files", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_recipe_files_sha256"))

    op.drop_table("recipe_files")
    with op.batch_alter_table("prober_files", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_prober_files_sha256"))

    op.drop_table("prober_files")
    op.drop_table("documents")
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.drop_index("ix_deployments_cluster_id_id")

    op.drop_table("deployments")
    op.drop_table("cluster_variables")
    op.drop_table("agents")
    op.drop_table("sign_in_links")
    op.drop_table("recipe_revisions")
    op.drop_table("prober_revisions")
    op.drop_table("prober_configs")
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_clusters_recipe_id"))
        batch_op.drop_index(
            "ix_clusters_living_slug",
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )

    op.drop_table("clusters")
    with op.batch_alter_table("recipes", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_recipes_living_slug",
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )

    op.drop_table("recipes")
    with op.batch_alter_table("probers", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_probers_living_slug",
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )

    op.drop_table("probers")
    op.drop_table("api_keys")
