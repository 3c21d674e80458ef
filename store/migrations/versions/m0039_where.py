"""Reports of one area are found at once, however many are elsewhere."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

SOMEWHERE = sa.text("area <> '' OR found_area <> ''")  # those whose place nobody knows yet cost nothing


def upgrade() -> None:
    where = sa.text("(CASE WHEN area <> '' THEN area ELSE found_area END)")
    op.create_index("ix_report_where", "report", [where, "received_at", "id", "compartments"], postgresql_where=SOMEWHERE,
                    sqlite_where=SOMEWHERE)  # fmt: skip
