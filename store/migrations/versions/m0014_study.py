"""Reports are studied after they are filed."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "study",
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("studied", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("failed", sa.String(length=200), nullable=False, server_default=""),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_study_report")),
        sa.PrimaryKeyConstraint("report", name=op.f("pk_study")),
    )
    is_due = sa.text("due_at IS NOT NULL")
    op.create_index("ix_study_due", "study", ["due_at"], postgresql_where=is_due, sqlite_where=is_due)
