"""Calls that ring at the desk's telephone system, and proof that each channel is alive."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ring",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("slip", sa.String(length=40), nullable=False),
        sa.Column("call_id", sa.String(length=250), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("rang_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("cause", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("answered_by", sa.String(length=40), nullable=True),
        sa.Column("report", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("dismissed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["answered_by"], ["person.id"], name=op.f("fk_ring_answered_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ring")),
        sa.UniqueConstraint("slip", name=op.f("uq_ring_slip")),
        sa.UniqueConstraint("call_id", name=op.f("uq_ring_call_id")),
    )
    op.create_index("ix_ring_newest", "ring", ["rang_at"])
