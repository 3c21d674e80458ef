"""Responsible bodies, the rules that choose them, hand-overs with their signatures; reports that come back from them."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

MOVES = [("proposed", "sent"), ("proposed", "dropped"), ("sent", "signed"), ("sent", "passed_on"), ("signed", "passed_on"),
         ("sent", "taken_back"), ("signed", "taken_back")]  # fmt: skip
OF_REPORTS = [("transferred", "transferred"), ("signed_for", "transferred"), ("transferred", "claimed"),
              ("signed_for", "claimed"), ("signed_for", "closed")]  # fmt: skip
KEPT = ("report", "body", "at", "due_at", "dispatch", "signed_at", "escalated_at")
ONE = "state IN ('proposed', 'sent', 'signed')"
DUE = "state = 'sent' AND escalated_at IS NULL"


def upgrade() -> None:
    op.create_table(
        "body",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=200), nullable=False, server_default=""),
        sa.Column("sign_minutes", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("channel IN ('email', 'sms', 'console')", name=op.f("ck_body_channel")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_body")),
    )
    op.create_table(
        "route_rule",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("area", sa.String(length=12), nullable=False, server_default=""),
        sa.Column("category", sa.String(length=10), nullable=False, server_default=""),
        sa.Column("body", sa.String(length=40), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["body"], ["body.id"], name=op.f("fk_route_rule_body")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_route_rule")),
    )
    op.create_index("ix_route_rule", "route_rule", ["area", "category"])
    op.create_table(
        "handover",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("body", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=True),
        sa.Column("why", sa.String(length=500), nullable=False, server_default=""),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("dispatch", sa.String(length=40), nullable=True),
        sa.Column("signed_by", sa.String(length=80), nullable=False, server_default=""),
        sa.Column("signed_at", sa.BigInteger(), nullable=True),
        sa.Column("signed_way", sa.String(length=12), nullable=False, server_default=""),
        sa.Column("escalated_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('proposed', 'sent', 'signed', 'passed_on', 'dropped', 'taken_back')",
            name=op.f("ck_handover_state"),
        ),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_handover_report")),
        sa.ForeignKeyConstraint(["body"], ["body.id"], name=op.f("fk_handover_body")),
        sa.ForeignKeyConstraint(["rule"], ["route_rule.id"], name=op.f("fk_handover_rule")),
        sa.ForeignKeyConstraint(["dispatch"], ["dispatch.id"], name=op.f("fk_handover_dispatch")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handover")),
    )
    op.create_index("ix_handover_report", "handover", ["report", "at"])
    op.create_index("ix_handover_dispatch", "handover", ["dispatch"])
    op.create_index("ix_handover_due", "handover", ["due_at"], postgresql_where=sa.text(DUE),
                    sqlite_where=sa.text(DUE))  # fmt: skip
    op.create_index("ix_handover_one", "handover", ["report"], unique=True, postgresql_where=sa.text(ONE),
                    sqlite_where=sa.text(ONE))  # fmt: skip
    dialect = op.get_context().dialect.name
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    op.bulk_insert(moves, [*guards.move_rows("handover", MOVES), *guards.move_rows("report", OF_REPORTS)])
    for statement in (*guards.only_known_moves("handover", dialect), *guards.kept_columns("handover", KEPT, dialect)):
        op.execute(statement)
