"""Whether a cluster's state was ever seen: if it is gone then, it is lost, whatever rows tell of its applies."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_CLUSTERS = sa.table(
    "clusters",
    sa.column("id", sa.Uuid()),
    sa.column("has_state", sa.Boolean()),
    sa.column("applied_snapshot", sa.Text()),
    sa.column("deployed_fingerprint", sa.String()),
)
_DEPLOYMENTS = sa.table(
    "deployments", sa.column("id", sa.Uuid()), sa.column("cluster_id", sa.Uuid())
)
_STEPS = sa.table(
    "deployment_steps",
    sa.column("deployment_id", sa.Uuid()),
    sa.column("kind", sa.String()),
    sa.column("exit_code", sa.Integer()),
)


def upgrade() -> None:
    """Only adds: the older version of the services goes on working."""
    op.add_column(
        "clusters", sa.Column("has_state", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    applied_well = (
        sa.select(_DEPLOYMENTS.c.cluster_id)
        .join_from(_DEPLOYMENTS, _STEPS, _STEPS.c.deployment_id == _DEPLOYMENTS.c.id)
        .where(_STEPS.c.kind == "apply", _STEPS.c.exit_code == 0)
    )
    is_deployed = (_CLUSTERS.c.applied_snapshot != "") & (_CLUSTERS.c.deployed_fingerprint != "")
    op.execute(
        sa.update(_CLUSTERS)
        .where(is_deployed | _CLUSTERS.c.id.in_(applied_well))
        .values(has_state=sa.true())
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_column("clusters", "has_state")
