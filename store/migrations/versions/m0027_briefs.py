"""Reports upwards."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

MOVES = [("draft", "draft"), ("draft", "signed"), ("draft", "withdrawn"), ("signed", "sent"), ("sent", "received")]
SIGNED = ("words", "to", "author", "missing")
KEPT = ("report", "kind", "n", "number", "year", "signed_by", "signed_at", "sent_at", "received_at")


def upgrade() -> None:
    op.create_table(
        "brief",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("words", sa.LargeBinary(), nullable=False),
        sa.Column("missing", sa.Text(), nullable=False),
        sa.Column("to", sa.String(length=120), nullable=False, server_default=""),
        sa.Column("author", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("signed_by", sa.String(length=40), nullable=True),
        sa.Column("signed_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("way", sa.String(length=10), nullable=False, server_default=""),
        sa.Column("received_at", sa.BigInteger(), nullable=True),
        sa.Column("received_by", sa.String(length=80), nullable=False, server_default=""),
        sa.CheckConstraint("kind IN ('first', 'follow_up', 'verification', 'supplement', 'daily', 'final')",
                           name=op.f("ck_brief_kind")),
        sa.CheckConstraint("state IN ('draft', 'signed', 'sent', 'received', 'withdrawn')",
                           name=op.f("ck_brief_state")),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_brief_report")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_brief")),
    )  # fmt: skip
    op.create_index("ix_brief_report", "brief", ["report", "created_at"])
    op.create_index("ix_brief_number", "brief", ["year", "number"], unique=True)
    op.create_index("ix_brief_newest", "brief", ["created_at", "id"])
    dialect = op.get_context().dialect.name
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    op.bulk_insert(moves, guards.move_rows("brief", MOVES))
    for statement in (*guards.only_known_moves("brief", dialect), *guards.kept_columns("brief", KEPT, dialect),
                      *guards.kept_once_signed("brief", SIGNED, dialect)):  # fmt: skip
        op.execute(statement)
