"""What was merged into a report, what was told about it, and one channel of one state are found at once."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

MERGED, TOLD = "merged_into IS NOT NULL", "notice IS NOT NULL"


def upgrade() -> None:
    op.create_index("ix_report_merged", "report", ["merged_into"], postgresql_where=sa.text(MERGED),
                    sqlite_where=sa.text(MERGED))  # fmt: skip
    op.drop_index("ix_report_channel", "report")
    op.create_index("ix_report_channel", "report", ["channel", "state", "received_at", "id"])
    op.drop_index("ix_dispatch_notice", "dispatch")
    op.create_index("ix_dispatch_notice", "dispatch", ["about", "notice"], unique=True,
                    postgresql_where=sa.text(TOLD), sqlite_where=sa.text(TOLD))  # fmt: skip
