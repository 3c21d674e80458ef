"""The tables of messages that belong together, and of who asks a chat provider for them."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from store.columns import META, Instant

# Locked while a piece is put in: of two that come at once, the second sees the first.
correspondent = Table("correspondent", META, Column("key", sa.String(32), primary_key=True))  # blind

piece = Table(
    "piece",
    META,
    Column("inbound", ForeignKey("inbound.id"), primary_key=True),
    Column("report", ForeignKey("report.id"), index=True),  # NULL: waits for the missing parts
    Column("thread", sa.String(32), nullable=False),  # blind
    Column("message", sa.String(32), nullable=False, index=True),  # blind
    Column("n", sa.BigInteger, nullable=False),
    Column("total", sa.Integer, nullable=False),
    Column("edited", sa.BigInteger, nullable=False),
    Column("body", sa.LargeBinary, nullable=False),  # sealed with the key of its own message
    Column("at", Instant, nullable=False),
    Index("ix_piece_thread", "thread", "at"),
)

poll = Table(
    "poll",
    META,
    Column("source", sa.String(60), primary_key=True),  # telegram:123456789
    Column("holder", sa.String(80), nullable=False, server_default=""),  # the one process that asks
    Column("held_until", Instant),
    Column("answered_at", Instant, nullable=False),  # when the provider last answered
    Column("code", sa.String(40), nullable=False, server_default=""),  # of the trouble now; '' for none
)
