"""Compartments, grants of sight, and what two persons destroy."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

MOVES = [("ordered", "confirmed"), ("ordered", "withdrawn")]
GIVEN = ("holder", "compartment", "given_by", "given_at", "until", "reason", "withdrawn_by", "withdrawn_at")
KEPT = ("report", "reason", "ordered_by", "ordered_at", "settled_by", "settled_at")
SOMEWHERE = sa.text("compartments > 0")
HELD = sa.text("claimed_by IS NOT NULL")


def upgrade() -> None:
    op.add_column("report", sa.Column("compartments", sa.SmallInteger(), nullable=False, server_default="0"))
    op.add_column(
        "webhook_call", sa.Column("about", sa.String(length=40), nullable=False, server_default="")
    )
    op.execute("UPDATE report SET compartments = 1 WHERE event_code LIKE '14%' OR (event_code = '' AND EXISTS"
               " (SELECT 1 FROM report_triage k WHERE k.report = report.id AND k.event_code LIKE '14%'))")  # fmt: skip
    op.drop_index("ix_report_queue", "report")
    op.drop_index("ix_report_holder", "report")
    op.create_index("ix_report_queue", "report", ["state", "received_at", "id", "compartments"])
    op.create_index("ix_report_holder", "report", ["claimed_by", "state", "received_at", "id", "compartments"],
                    postgresql_where=HELD, sqlite_where=HELD)  # fmt: skip
    op.create_index("ix_report_hidden", "report", ["id", "compartments"], postgresql_where=SOMEWHERE,
                    sqlite_where=SOMEWHERE)  # fmt: skip
    _grants()
    _purges()
    dialect = op.get_context().dialect.name
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    op.bulk_insert(moves, guards.move_rows("purge", MOVES))
    for statement in (*guards.only_known_moves("purge", dialect), *guards.kept_columns("purge", KEPT, dialect),
                      *guards.kept_columns("sight_grant", GIVEN, dialect)):  # fmt: skip
        op.execute(statement)


def _grants() -> None:
    op.create_table(
        "sight_grant",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("holder", sa.String(length=40), nullable=False),
        sa.Column("compartment", sa.String(length=10), nullable=False),
        sa.Column("given_by", sa.String(length=40), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("withdrawn_by", sa.String(length=40), nullable=True),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "compartment IN ('social', 'sensitive')", name=op.f("ck_sight_grant_compartment")
        ),
        sa.ForeignKeyConstraint(["given_by"], ["person.id"], name=op.f("fk_sight_grant_given_by")),
        sa.ForeignKeyConstraint(["withdrawn_by"], ["person.id"], name=op.f("fk_sight_grant_withdrawn_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sight_grant")),
    )
    op.create_index("ix_sight_grant_holder", "sight_grant", ["holder", "until"])


def _purges() -> None:
    op.create_table(
        "purge",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("ordered_by", sa.String(length=40), nullable=False),
        sa.Column("ordered_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_by", sa.String(length=40), nullable=True),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("blobs", sa.Text(), nullable=False),
        sa.Column("swept_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('ordered', 'confirmed', 'withdrawn')", name=op.f("ck_purge_state")),
        sa.CheckConstraint("state <> 'confirmed' OR (settled_by IS NOT NULL AND settled_by <> ordered_by)",
                           name=op.f("ck_purge_two_persons")),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_purge_report")),
        sa.ForeignKeyConstraint(["ordered_by"], ["person.id"], name=op.f("fk_purge_ordered_by")),
        sa.ForeignKeyConstraint(["settled_by"], ["person.id"], name=op.f("fk_purge_settled_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purge")),
    )  # fmt: skip
    op.create_index("ix_purge_report", "purge", ["report"])
    open_ones = sa.text("state <> 'withdrawn'")
    op.create_index("ix_purge_one", "purge", ["report"], unique=True, postgresql_where=open_ones,
                    sqlite_where=open_ones)  # fmt: skip
