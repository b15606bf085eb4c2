"""Contacts, silences, opt-outs, demotions, history; grouped deliveries; whole days by their end."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add to what is there; nothing is rewritten."""
    op.create_table(
        "contacts",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("encounters", sa.Text(), nullable=False),
        sa.Column("met_at", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("calendar", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("recurrence_id", sa.String(), nullable=False),
        sa.Column("href", sa.Text(), nullable=False),
        sa.Column("last", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("wake_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("owner", "address"),
    )
    op.create_index("ix_contacts_uid", "contacts", ["owner", "uid", "recurrence_id"], unique=False)
    op.create_index(
        "ix_contacts_wake",
        "contacts",
        ["owner", "wake_at"],
        unique=False,
        sqlite_where=sa.text("wake_at IS NOT NULL"),
        postgresql_where=sa.text("wake_at IS NOT NULL"),
    )
    op.create_table(
        "silences",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("match", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_silences_ends", "silences", ["owner", "ends_at"], unique=False)
    op.create_table(
        "optouts",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("pattern", sa.String(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "pattern"),
    )
    op.create_table(
        "demotions",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("rejections", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("rule_digest", sa.String(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "rule"),
    )
    op.create_table(
        "history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("calendar", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("recurrence_id", sa.String(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_history_until", "history", ["owner", "until"], unique=False)
    op.add_column("deliveries", sa.Column("turn", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("deliveries", sa.Column("group_key", sa.Text(), nullable=False, server_default=""))
    op.add_column("deliveries", sa.Column("carried_by", sa.Integer(), nullable=True))
    op.create_index("ix_deliveries_to", "deliveries", ["owner", "to", "sent_at"], unique=False)
    op.create_index(
        "ix_deliveries_group",
        "deliveries",
        ["owner", "group_key"],
        unique=False,
        sqlite_where=sa.text("group_key <> ''"),
        postgresql_where=sa.text("group_key <> ''"),
    )
    op.create_index(
        "ix_occurrences_untimed",
        "occurrences",
        ["owner", "end"],
        unique=False,
        sqlite_where=sa.text("timed = 0"),
        postgresql_where=sa.text("NOT timed"),
    )
