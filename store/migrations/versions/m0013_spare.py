"""Spare providers, and releases whose unsure deliveries are sent once more."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery", sa.Column("spare", sa.String(length=20), nullable=True))
    op.add_column("release", sa.Column("repeat_unsure", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("look_up", sa.Column("is_double", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "provider_by_wire",
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("spare", sa.String(length=20), nullable=False),
        sa.Column("process", sa.String(length=40), nullable=False),
        sa.Column("standing", sa.String(length=10), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("is_told_to_wait", sa.Boolean(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "spare", "process", name=op.f("pk_provider_by_wire")),
    )
    kept = "channel, process, standing, code, is_told_to_wait, until, since, seen_at"
    op.execute(f"INSERT INTO provider_by_wire (spare, {kept}) SELECT '', {kept} FROM provider")  # noqa: S608
    op.drop_table("provider")
    op.rename_table("provider_by_wire", "provider")
