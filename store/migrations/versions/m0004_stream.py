"""The journal in reading order, for open streams; verified reports may be taken over too."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_journal_order", "journal", ["xid", "seq"])  # asked ten times a second what is new
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    op.bulk_insert(moves, guards.move_rows("report", [("verified", "verified")]))
