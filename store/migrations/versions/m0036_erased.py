"""A body that says a report is not its own is heard; notices and uploads end with the report that is destroyed."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

STOPPED = "state = 'stopped' AND release IS NULL"


def upgrade() -> None:
    op.add_column(
        "handover", sa.Column("declined_by", sa.String(length=80), nullable=False, server_default="")
    )
    op.add_column("handover", sa.Column("declined_at", sa.BigInteger(), nullable=True))
    op.add_column(
        "handover", sa.Column("declined_why", sa.String(length=500), nullable=False, server_default="")
    )
    op.create_index("ix_parcel_stopped", "parcel", ["lease_until"], postgresql_where=sa.text(STOPPED),
                    sqlite_where=sa.text(STOPPED))  # fmt: skip
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    op.bulk_insert(moves, [*guards.move_rows("upload", [("whole", "given_up")]),
                           *guards.move_rows("parcel", [("settled", "stopped")])])  # fmt: skip
