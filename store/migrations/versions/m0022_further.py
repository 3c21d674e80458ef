"""What comes after a report: follow-ups, and files that are sent in parts."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

MOVES = [("open", "whole"), ("open", "given_up"), ("whole", "kept")]


def upgrade() -> None:
    op.create_table(
        "follow_up",
        sa.Column("inbound", sa.String(length=40), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("linked", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('follow_up', 'correction')", name=op.f("ck_follow_up_kind")),
        sa.ForeignKeyConstraint(["inbound"], ["inbound.id"], name=op.f("fk_follow_up_inbound")),
        sa.PrimaryKeyConstraint("inbound", name=op.f("pk_follow_up")),
    )
    op.create_index("ix_follow_up_report", "follow_up", ["report", "at"])
    op.create_table(
        "upload",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("client", sa.String(length=40), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("declared_type", sa.String(length=120), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("got", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("next_due", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'whole', 'kept', 'given_up')", name=op.f("ck_upload_state")),
        sa.ForeignKeyConstraint(["sha256"], ["blob.sha256"], name=op.f("fk_upload_sha256")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    op.create_index(op.f("ix_upload_report"), "upload", ["report"])
    is_due = sa.text("state IN ('open', 'whole')")
    op.create_index("ix_upload_due", "upload", ["next_due"], postgresql_where=is_due, sqlite_where=is_due)
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    op.bulk_insert(moves, guards.move_rows("upload", MOVES))
    for statement in guards.only_known_moves("upload", op.get_context().dialect.name):
        op.execute(statement)
