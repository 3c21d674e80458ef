"""Files are looked into after their report is filed."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

MOVES = [("pending", "scanned"), ("pending", "unscanned")]


def upgrade() -> None:
    op.create_table(
        "scan",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_due", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("found", sa.LargeBinary(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'scanned', 'unscanned')", name=op.f("ck_scan_state")),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_scan_report")),
        sa.ForeignKeyConstraint(["sha256"], ["blob.sha256"], name=op.f("fk_scan_sha256")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scan")),
    )
    op.create_index("ix_scan_report", "scan", ["report", "sha256"], unique=True)
    pending = sa.text("state = 'pending'")
    op.create_index("ix_scan_pending", "scan", ["next_due"], postgresql_where=pending, sqlite_where=pending)
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    op.bulk_insert(moves, guards.move_rows("scan", MOVES))
    for statement in guards.only_known_moves("scan", op.get_context().dialect.name):
        op.execute(statement)
