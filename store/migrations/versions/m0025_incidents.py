"""What reports have to do with each other: sketches, likenesses, incidents, threads."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

INCIDENTS = [("open", "open"), ("open", "merged"), ("merged", "open"), ("open", "closed"), ("closed", "open")]
THREADS = [("proposed", "linked"), ("proposed", "detached"), ("linked", "detached"), ("detached", "linked")]


def upgrade() -> None:
    _sketches()
    _incidents()
    op.create_table(
        "thread",
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("follows", sa.String(length=40), nullable=False),
        sa.Column("sign", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("is_certain", sa.Boolean(), nullable=False),
        sa.Column("by", sa.String(length=60), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('proposed', 'linked', 'detached')", name=op.f("ck_thread_state")),
        sa.CheckConstraint("sign IN ('code', 'mail', 'number')", name=op.f("ck_thread_sign")),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_thread_report")),
        sa.ForeignKeyConstraint(["follows"], ["report.id"], name=op.f("fk_thread_follows")),
        sa.PrimaryKeyConstraint("report", "follows", name=op.f("pk_thread")),
    )
    op.create_index("ix_thread_follows", "thread", ["follows"])
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    for machine, pairs in (("incident", INCIDENTS), ("thread", THREADS)):
        op.bulk_insert(moves, guards.move_rows(machine, pairs))
        for statement in guards.only_known_moves(machine, op.get_context().dialect.name):
            op.execute(statement)


def _sketches() -> None:
    op.create_table(
        "sketch",
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_sketch_report")),
        sa.PrimaryKeyConstraint("report", name=op.f("pk_sketch")),
    )
    op.create_index("ix_sketch_made", "sketch", ["made_at"])
    op.create_table(
        "sketch_key",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_sketch_key_report")),
        sa.PrimaryKeyConstraint("key", "at", "report", name=op.f("pk_sketch_key")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sketch_key_report", "sketch_key", ["report"])
    op.create_table(
        "likeness",
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("other", sa.String(length=40), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.Column("refused_by", sa.String(length=60), nullable=True),
        sa.Column("refused_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_likeness_report")),
        sa.ForeignKeyConstraint(["other"], ["report.id"], name=op.f("fk_likeness_other")),
        sa.PrimaryKeyConstraint("report", "other", name=op.f("pk_likeness")),
    )
    op.create_index("ix_likeness_other", "likeness", ["other"])


def _incidents() -> None:
    op.create_table(
        "incident",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("title", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("event_code", sa.String(length=10), nullable=False, server_default=""),
        sa.Column("area", sa.String(length=12), nullable=False, server_default=""),
        sa.Column("opened_by", sa.String(length=60), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("merged_into", sa.String(length=40), nullable=True),
        sa.Column("closed_reason", sa.String(length=500), nullable=False, server_default=""),
        sa.CheckConstraint("state IN ('open', 'merged', 'closed')", name=op.f("ck_incident_state")),
        sa.ForeignKeyConstraint(["merged_into"], ["incident.id"], name=op.f("fk_incident_merged_into")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
    )
    op.create_index("ix_incident_newest", "incident", ["state", "opened_at", "id"])
    op.create_table(
        "report_incident",
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("incident", sa.String(length=40), nullable=False),
        sa.Column("added_by", sa.String(length=60), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("via", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("removed_by", sa.String(length=60), nullable=True),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_report_incident_report")),
        sa.ForeignKeyConstraint(["incident"], ["incident.id"], name=op.f("fk_report_incident_incident")),
        sa.PrimaryKeyConstraint("report", "incident", name=op.f("pk_report_incident")),
    )
    op.create_index("ix_report_incident_incident", "report_incident", ["incident", "added_at"])
