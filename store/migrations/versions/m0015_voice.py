"""Calls: media that several messages of one report name, calls of the telephone system, proof of life."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_media_report", "media")
    op.create_index("ix_media_report", "media", ["report", "inbound", "n"], unique=True)
