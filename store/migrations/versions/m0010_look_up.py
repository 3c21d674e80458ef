"""Look-ups of unsure deliveries, how providers stand, and parcels that are opened again for a repeat."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "look_up",
        sa.Column("parcel", sa.String(length=60), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=12), nullable=False, server_default=""),
        sa.Column("looks", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("repeats", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("absent_at", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["parcel"], ["parcel.id"], name=op.f("fk_look_up_parcel")),
        sa.PrimaryKeyConstraint("parcel", "seq", name=op.f("pk_look_up")),
    )
    is_due = sa.text("due_at IS NOT NULL")
    op.create_index("ix_look_up_due", "look_up", ["due_at"], postgresql_where=is_due, sqlite_where=is_due)
    op.create_table(
        "silence",
        sa.Column("dispatch", sa.String(length=40), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["dispatch"], ["dispatch.id"], name=op.f("fk_silence_dispatch")),
        sa.PrimaryKeyConstraint("dispatch", name=op.f("pk_silence")),
    )
    op.create_table(
        "provider",
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("process", sa.String(length=40), nullable=False),
        sa.Column("standing", sa.String(length=10), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("is_told_to_wait", sa.Boolean(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "process", name=op.f("pk_provider")),
    )
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    op.bulk_insert(moves, guards.move_rows("parcel", [("settled", "ready")]))
