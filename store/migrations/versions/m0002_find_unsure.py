"""An index over the deliveries that nobody knows the end of: the duty room asks for them all the time."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    unsure = sa.text("state = 'unsure'")
    op.create_index("ix_delivery_unsure", "delivery", ["parcel"], postgresql_where=unsure, sqlite_where=unsure)
