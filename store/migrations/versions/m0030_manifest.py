"""What was approved besides bytes, as the bytes that its digest was taken of; webhook calls are counted by state."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_webhook_call_state", "webhook_call", ["state"])
    op.create_table(
        "release_manifest",
        sa.Column("release", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["release"], ["release.id"], name=op.f("fk_release_manifest_release")),
        sa.PrimaryKeyConstraint("release", "digest", name=op.f("pk_release_manifest")),
    )
    for statement in guards.append_only("release_manifest", op.get_context().dialect.name):
        op.execute(statement)
