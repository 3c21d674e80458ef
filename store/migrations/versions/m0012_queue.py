"""The queue's lists are walks of an index, however many reports lie behind them."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_report_queue", "report")
    op.create_index("ix_report_queue", "report", ["state", "received_at", "id"])
    held = sa.text("claimed_by IS NOT NULL")
    op.create_index("ix_report_holder", "report", ["claimed_by", "state", "received_at", "id"],
                    postgresql_where=held, sqlite_where=held)  # fmt: skip
    op.create_index("ix_report_organisation", "report", ["organisation", "received_at", "id"])
