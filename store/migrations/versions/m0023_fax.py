"""Faxes are numbered within their year."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "year_number",
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("what", "year", name=op.f("pk_year_number")),
    )
    op.create_table(
        "fax",
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_fax_report")),
        sa.PrimaryKeyConstraint("report", name=op.f("pk_fax")),
        sa.UniqueConstraint("year", "n", name=op.f("uq_fax_year_n")),
    )
