"""Webhooks of departments: who is called, each call, how far the journal has been read."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

MOVES = {
    "webhook": [
        ("active", "disabled"),
        ("disabled", "active"),
        ("active", "removed"),
        ("disabled", "removed"),
    ],
    "webhook_call": [("pending", "delivered"), ("pending", "dropped"), ("dropped", "pending")],
}


def upgrade() -> None:
    op.create_table(
        "webhook",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organisation", sa.String(length=120), nullable=False),
        sa.Column("url", sa.LargeBinary(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("secret_before", sa.LargeBinary(), nullable=True),
        sa.Column("rotates_at", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('active', 'disabled', 'removed')", name=op.f("ck_webhook_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
    )
    op.create_index(op.f("ix_webhook_organisation"), "webhook", ["organisation"])
    op.create_table(
        "webhook_call",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("webhook", sa.String(length=40), nullable=False),
        sa.Column("entry", sa.String(length=40), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_due", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("reason", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'dropped')", name=op.f("ck_webhook_call_state")
        ),
        sa.ForeignKeyConstraint(["webhook"], ["webhook.id"], name=op.f("fk_webhook_call_webhook")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_call")),
        sa.UniqueConstraint("webhook", "entry", name=op.f("uq_webhook_call_webhook_entry")),
    )
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_webhook_call_pending",
        "webhook_call",
        ["next_due"],
        postgresql_where=pending,
        sqlite_where=pending,
    )
    op.create_table(
        "webhook_cursor",
        sa.Column("one", sa.Integer(), nullable=False),
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("one = 1", name=op.f("ck_webhook_cursor_single")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_webhook_cursor")),
    )
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    for machine, pairs in MOVES.items():
        op.bulk_insert(moves, guards.move_rows(machine, pairs))
        for statement in guards.only_known_moves(machine, op.get_context().dialect.name):
            op.execute(statement)
