"""The table of pictures and sounds that a message only names."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from domain.report import MediaState
from store.columns import META, Instant, one_of

media = Table(
    "media",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("report", ForeignKey("report.id"), nullable=False),
    Column("inbound", ForeignKey("inbound.id"), nullable=False),  # whose sealed meta holds the address
    Column("n", sa.Integer, nullable=False),  # place in that list
    Column("state", sa.String(10), nullable=False),
    Column("tries", sa.Integer, nullable=False, server_default="0"),
    Column("next_due", Instant, nullable=False),
    Column("reason", sa.String(40), nullable=False, server_default=""),  # of the last try that failed
    Column("sha256", ForeignKey("blob.sha256")),
    Column("changed_at", Instant, nullable=False),
    Index("ix_media_report", "report", "inbound", "n", unique=True),
    Index("ix_media_pending", "next_due", postgresql_where=sa.text("state = 'pending'"),
          sqlite_where=sa.text("state = 'pending'")),
    one_of("state", MediaState),
)  # fmt: skip
