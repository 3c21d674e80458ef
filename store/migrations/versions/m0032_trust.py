"""Known reporters, block lists, what was said of reports, and which of them lie in quarantine."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

MOVES = [("given", "withdrawn"), ("withdrawn", "given")]
KEPT = ("channel", "address_index", "reason", "by", "at", "until", "lifted_by", "lifted_at")


def upgrade() -> None:
    op.add_column("report", sa.Column("aside", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_report_aside", "report", ["received_at", "id"], sqlite_where=sa.text("aside"),
                    postgresql_where=sa.text("aside"))  # fmt: skip
    op.create_table(
        "known_reporter",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("area", sa.String(length=12), nullable=False, server_default=""),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.CheckConstraint("kind IN ('informant', 'enterprise')", name=op.f("ck_known_reporter_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_known_reporter")),
    )
    op.create_table(
        "known_address",
        sa.Column("reporter", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("address_index", sa.String(length=64), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["reporter"], ["known_reporter.id"], name=op.f("fk_known_address_reporter")
        ),
        sa.PrimaryKeyConstraint("reporter", "channel", "address_index", name=op.f("pk_known_address")),
    )
    op.create_index("ix_known_address", "known_address", ["address_index", "channel"])
    op.create_table(
        "sender_block",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("address_index", sa.String(length=64), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("lifted_by", sa.String(length=40), nullable=True),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sender_block")),
    )
    op.create_index("ix_sender_block", "sender_block", ["address_index", "channel", "until"])
    op.create_table(
        "verdict",
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("is_urgent", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.CheckConstraint("kind IN ('false', 'abuse', 'blocked')", name=op.f("ck_verdict_kind")),
        sa.CheckConstraint("state IN ('given', 'withdrawn')", name=op.f("ck_verdict_state")),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_verdict_report")),
        sa.PrimaryKeyConstraint("report", "kind", name=op.f("pk_verdict")),
    )
    dialect = op.get_context().dialect.name
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    op.bulk_insert(moves, guards.move_rows("verdict", MOVES))
    for statement in (*guards.only_known_moves("verdict", dialect), *guards.kept_columns("sender_block", KEPT, dialect)):
        op.execute(statement)
