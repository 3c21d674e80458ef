"""What a desk needs: notices, endings, slips in hold, shifts, operations, processes, and moves that end sooner."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# approved and publishing releases may be ended and replaced too: nobody waits for a lane with a false alarm
MOVES = [
    ("approved", "cancelled"), ("approved", "corrected"), ("approved", "superseded"),
    ("publishing", "superseded"), ("stopped", "superseded"),
]  # fmt: skip


def upgrade() -> None:
    op.add_column("inbound", sa.Column("acknowledged_at", sa.BigInteger(), nullable=True))
    for name, size, default in (("about", 40, ""), ("purpose", 12, "main"), ("ends", 40, "")):
        column = sa.Column(name, sa.String(length=size), nullable=False, server_default=default)
        op.add_column("dispatch", column)
    op.execute("UPDATE dispatch SET about = id WHERE notice IS NOT NULL")  # older notices do not say of what
    notice = sa.text("notice IS NOT NULL")
    op.create_index("ix_dispatch_notice", "dispatch", ["notice", "about"], unique=True,
                    postgresql_where=notice, sqlite_where=notice)
    op.create_table(
        "slip",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("person", sa.String(length=40), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_slip_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slip")),
    )
    is_open = sa.text("done_at IS NULL")
    op.create_index("ix_slip_open", "slip", ["person"], postgresql_where=is_open, sqlite_where=is_open)
    op.create_table(
        "shift",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("person", sa.String(length=40), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("left_open", sa.Text(), nullable=False),
        sa.Column("note", sa.String(length=2000), nullable=False, server_default=""),
        sa.ForeignKeyConstraint(["person"], ["person.id"], name=op.f("fk_shift_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shift")),
    )
    is_on = sa.text("ended_at IS NULL")
    op.create_index("ix_shift_on", "shift", ["person"], unique=True, postgresql_where=is_on, sqlite_where=is_on)
    op.create_table(
        "operation",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("by", sa.String(length=60), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("done", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("result", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('running', 'done', 'failed')", name=op.f("ck_operation_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation")),
    )
    op.create_table(
        "process",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("host", sa.String(length=80), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("left_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process")),
    )
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    op.bulk_insert(moves, guards.move_rows("release", MOVES))
