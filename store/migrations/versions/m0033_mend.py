"""Later signatures of a peer's bytes, files that are looked into once more, and the shelf by where a thing is from."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0033"
down_revision = "0027"
branch_labels = None
depends_on = None

MOVES = {"bulletin_arrival": [("read", "received")], "scan": [("unscanned", "pending")]}


def upgrade() -> None:
    op.add_column(
        "bulletin_arrival", sa.Column("countersigned", sa.Text(), nullable=False, server_default="[]")
    )
    op.create_index("ix_shelf_origin", "shelf", ["origin"])
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    for machine, pairs in MOVES.items():
        op.bulk_insert(moves, guards.move_rows(machine, pairs))
