"""What records of calls say of meetings, and whose the accounts in them are."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add to what is there; nothing is rewritten."""
    op.create_table(
        "call_records",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("recurrence_id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.String(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("owner", "uid", "recurrence_id", "account"),
    )
    op.create_table(
        "call_users",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("learned_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "service", "user", "address"),
    )
