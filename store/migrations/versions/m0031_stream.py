"""What is handed on from hub to hub."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stream",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("dispatch", sa.String(length=40), nullable=True),
        sa.Column("bulletin", sa.String(length=40), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False, server_default=""),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(dispatch IS NULL) <> (bulletin IS NULL)", name=op.f("ck_stream_one_origin")),
        sa.ForeignKeyConstraint(["dispatch"], ["dispatch.id"], name=op.f("fk_stream_dispatch")),
        sa.ForeignKeyConstraint(["bulletin"], ["bulletin.id"], name=op.f("fk_stream_bulletin")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_stream")),
        sa.UniqueConstraint("dispatch", name=op.f("uq_stream_dispatch")),
        sa.UniqueConstraint("bulletin", name=op.f("uq_stream_bulletin")),
    )
    op.create_index(
        "ix_stream_unwritten", "stream", ["seq"], postgresql_where=sa.text("sha256 = ''"),
        sqlite_where=sa.text("sha256 = ''"),
    )  # fmt: skip
    op.add_column("peer", sa.Column("form", sa.String(length=6), nullable=False, server_default="feed"))
    op.add_column("peer", sa.Column("hub", sa.String(length=200), nullable=False, server_default=""))
    op.add_column("peer", sa.Column("head", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("peer", sa.Column("loops", sa.Integer(), nullable=False, server_default="0"))
