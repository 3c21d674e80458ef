"""Whether mails are from whom they say, and which signed mails have come before."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sender_check",
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("verdict", sa.String(length=12), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("results", sa.LargeBinary(), nullable=True),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_due", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("verdict IN ('unchecked', 'unverified', 'verified')", name=op.f("ck_sender_check_verdict")),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_sender_check_report")),
        sa.PrimaryKeyConstraint("report", name=op.f("pk_sender_check")),
    )
    is_due = sa.text("next_due IS NOT NULL")
    op.create_index("ix_sender_check_due", "sender_check", ["next_due"], postgresql_where=is_due, sqlite_where=is_due)
    op.create_index("ix_sender_check_verdict", "sender_check", ["verdict"])
    op.create_table(
        "mail_seal",
        sa.Column("seal", sa.String(length=64), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_mail_seal_report")),
        sa.PrimaryKeyConstraint("seal", name=op.f("pk_mail_seal")),
    )
