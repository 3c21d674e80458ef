"""What a body says is not its own is found at once, on every page of the desk."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

DECLINED = "declined_at IS NOT NULL"


def upgrade() -> None:
    op.create_index("ix_handover_declined", "handover", ["declined_at"], postgresql_where=sa.text(DECLINED),
                    sqlite_where=sa.text(DECLINED))  # fmt: skip
