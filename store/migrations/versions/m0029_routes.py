"""What officers and reporters say to each other about a report."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

KEPT = ("report", "is_ours", "channel", "by", "text", "elements", "again", "address_index", "dispatch", "inbound",
        "version", "at", "fetched_at", "separated")  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "exchange",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("report", sa.String(length=40), nullable=False),
        sa.Column("is_ours", sa.Boolean(), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("by", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("elements", sa.String(length=100), nullable=False, server_default=""),
        sa.Column("again", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("address_index", sa.String(length=64), nullable=False, server_default=""),
        sa.Column("dispatch", sa.String(length=40), nullable=True),
        sa.Column("inbound", sa.String(length=40), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("fetched_at", sa.BigInteger(), nullable=True),
        sa.Column("separated", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_exchange_report")),
        sa.ForeignKeyConstraint(["dispatch"], ["dispatch.id"], name=op.f("fk_exchange_dispatch")),
        sa.ForeignKeyConstraint(["inbound"], ["inbound.id"], name=op.f("fk_exchange_inbound")),
        sa.ForeignKeyConstraint(["separated"], ["report.id"], name=op.f("fk_exchange_separated")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchange")),
    )
    op.create_index("ix_exchange_report", "exchange", ["report", "at"])
    op.create_index("ix_exchange_address", "exchange", ["address_index", "at"])
    op.create_index("ix_exchange_dispatch", "exchange", ["dispatch"], unique=True)
    op.create_index("ix_exchange_inbound", "exchange", ["inbound"], unique=True)
    for statement in guards.kept_columns("exchange", KEPT, op.get_context().dialect.name):
        op.execute(statement)
