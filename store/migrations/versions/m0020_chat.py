"""Messages that belong together; doors that have to ask; media of several messages of one report."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "correspondent",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_correspondent")),
    )
    op.create_table(
        "piece",
        sa.Column("inbound", sa.String(length=40), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=True),
        sa.Column("thread", sa.String(length=32), nullable=False),
        sa.Column("message", sa.String(length=32), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("edited", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["inbound"], ["inbound.id"], name=op.f("fk_piece_inbound")),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_piece_report")),
        sa.PrimaryKeyConstraint("inbound", name=op.f("pk_piece")),
    )
    op.create_index(op.f("ix_piece_report"), "piece", ["report"])
    op.create_index(op.f("ix_piece_message"), "piece", ["message"])
    op.create_index("ix_piece_thread", "piece", ["thread", "at"])
    op.create_table(
        "poll",
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("holder", sa.String(length=80), nullable=False, server_default=""),
        sa.Column("held_until", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_poll")),
    )
    op.drop_index("ix_media_report", table_name="media")
    op.create_index("ix_media_report", "media", ["report", "inbound", "n"], unique=True)
