"""Later signatures of a peer's bytes, files looked into once more, the shelf by origin, every instant said of a report."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

MOVES = {"bulletin_arrival": [("read", "received")], "scan": [("unscanned", "pending")]}


def upgrade() -> None:
    op.add_column(
        "bulletin_arrival", sa.Column("countersigned", sa.Text(), nullable=False, server_default="[]")
    )
    op.create_index("ix_shelf_origin", "shelf", ["origin"])
    op.create_table(
        "report_instant",
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("said", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_report_instant_report")),
        sa.PrimaryKeyConstraint("report", "kind", "said", name=op.f("pk_report_instant")),
    )
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    for machine, pairs in MOVES.items():
        op.bulk_insert(moves, guards.move_rows(machine, pairs))
