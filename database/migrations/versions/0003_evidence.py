"""Evidence of runs, kept for people."""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only adds: the older version of the services goes on working."""


def downgrade() -> None:
    """Take it away again."""
