"""Statutory clocks: rules, clocks, what stops them, the instants of a report."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

MOVES = [("running", "stopped"), ("running", "waived"), ("running", "ended")]
KEPT = ("starts_at", "starts_from", "due_at", "opened_at", "stopped_at", "stop", "overdue_at")


def upgrade() -> None:
    op.create_table(
        "clock_rule",
        sa.Column("id", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("category", sa.String(length=10), nullable=False, server_default=""),
        sa.Column("grade", sa.Integer(), nullable=True),
        sa.Column("mildest", sa.Integer(), nullable=True),
        sa.Column("hop", sa.String(length=20), nullable=False, server_default=""),
        sa.Column("starts_from", sa.String(length=10), nullable=False),
        sa.Column("phone_seconds", sa.Integer(), nullable=True),
        sa.Column("written_seconds", sa.Integer(), nullable=True),
        sa.Column("daily", sa.Text(), nullable=False),
        sa.Column("every_seconds", sa.Integer(), nullable=True),
        sa.Column("effective", sa.String(length=10), nullable=True),
        sa.Column("superseded", sa.String(length=10), nullable=True),
        sa.Column("source", sa.String(length=400), nullable=False, server_default=""),
        sa.Column("confirmed_by", sa.String(length=40), nullable=True),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("starts_from IN ('occurrence', 'knowledge', 'receipt', 'order')",
                           name=op.f("ck_clock_rule_starts_from")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_rule")),
    )  # fmt: skip
    op.create_table(
        "clock_stop",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("duty", sa.String(length=10), nullable=False),
        sa.Column("whom", sa.String(length=120), nullable=False, server_default=""),
        sa.Column("who", sa.String(length=80), nullable=False, server_default=""),
        sa.Column("said_at", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.String(length=500), nullable=False, server_default=""),
        sa.Column("by", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('call', 'sign', 'waive')", name=op.f("ck_clock_stop_kind")),
        sa.CheckConstraint("duty IN ('phone', 'written', 'follow_up')", name=op.f("ck_clock_stop_duty")),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_clock_stop_report")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_stop")),
    )
    op.create_index("ix_clock_stop_report", "clock_stop", ["report", "at"])
    _clock()
    op.create_table(
        "report_timing",
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=True),
        sa.Column("known_at", sa.BigInteger(), nullable=True),
        sa.Column("ordered_at", sa.BigInteger(), nullable=True),
        sa.Column("is_sensitive", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_report_timing_report")),
        sa.PrimaryKeyConstraint("report", name=op.f("pk_report_timing")),
    )
    dialect = op.get_context().dialect.name
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    op.bulk_insert(moves, guards.move_rows("clock", MOVES))
    for statement in (*guards.only_known_moves("clock", dialect), *guards.kept_columns("clock", KEPT, dialect),
                      *guards.append_only("clock_stop", dialect)):  # fmt: skip
        op.execute(statement)


def _clock() -> None:
    op.create_table(
        "clock",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("rule", sa.String(length=60), nullable=False),
        sa.Column("duty", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("grade", sa.Integer(), nullable=True),
        sa.Column("is_suggested", sa.Boolean(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("starts_from", sa.String(length=10), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("alarm_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("alarmed_at", sa.BigInteger(), nullable=True),
        sa.Column("overdue_at", sa.BigInteger(), nullable=True),
        sa.Column("stopped_at", sa.BigInteger(), nullable=True),
        sa.Column("stop", sa.String(length=40), nullable=True),
        sa.CheckConstraint("duty IN ('phone', 'written', 'follow_up')", name=op.f("ck_clock_duty")),
        sa.CheckConstraint("state IN ('running', 'stopped', 'waived', 'ended')", name=op.f("ck_clock_state")),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_clock_report")),
        sa.ForeignKeyConstraint(["rule"], ["clock_rule.id"], name=op.f("fk_clock_rule")),
        sa.ForeignKeyConstraint(["stop"], ["clock_stop.id"], name=op.f("fk_clock_stop")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock")),
    )
    op.create_index("ix_clock_once", "clock", ["report", "rule", "duty", "starts_at"], unique=True)
    runs = sa.text("state = 'running'")
    op.create_index("ix_clock_running", "clock", ["due_at"], postgresql_where=runs, sqlite_where=runs)
    op.create_index("ix_clock_due", "clock", ["due_at"])
