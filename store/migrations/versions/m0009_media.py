"""Pictures and sounds that a message only names: fetched after the report is filed."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0009"
down_revision = "0004"
branch_labels = None
depends_on = None

MOVES = [("pending", "kept"), ("pending", "refused")]


def upgrade() -> None:
    op.create_table(
        "media",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("inbound", sa.String(length=40), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_due", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'kept', 'refused')", name=op.f("ck_media_state")),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_media_report")),
        sa.ForeignKeyConstraint(["inbound"], ["inbound.id"], name=op.f("fk_media_inbound")),
        sa.ForeignKeyConstraint(["sha256"], ["blob.sha256"], name=op.f("fk_media_sha256")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media")),
    )
    op.create_index("ix_media_report", "media", ["report", "n"], unique=True)
    pending = sa.text("state = 'pending'")
    op.create_index("ix_media_pending", "media", ["next_due"], postgresql_where=pending, sqlite_where=pending)
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    op.bulk_insert(moves, guards.move_rows("media", MOVES))
    for statement in guards.only_known_moves("media", op.get_context().dialect.name):
        op.execute(statement)
