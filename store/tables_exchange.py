"""The table of what officers and reporters say to each other about a report."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from store.columns import META, Instant

exchange = Table(
    "exchange",
    META,
    Column("id", sa.String(40), primary_key=True),  # made with the form: the same form sent twice is one line
    Column("report", ForeignKey("report.id"), nullable=False),
    Column("is_ours", sa.Boolean, nullable=False),
    Column("channel", sa.String(20), nullable=False),
    Column("by", sa.String(40), nullable=False, server_default=""),
    Column("text", sa.LargeBinary, nullable=False),  # sealed with the report's key
    Column("elements", sa.String(100), nullable=False, server_default=""),  # by comma
    Column("again", sa.Integer, nullable=False, server_default="0"),
    Column("address_index", sa.String(64), nullable=False, server_default=""),  # blind: to whom it went
    Column("dispatch", ForeignKey("dispatch.id")),
    Column("inbound", ForeignKey("inbound.id")),
    Column("version", sa.Integer),
    Column("at", Instant, nullable=False),
    Column("fetched_at", Instant),
    Column("separated", ForeignKey("report.id")),
    Index("ix_exchange_report", "report", "at"),
    Index("ix_exchange_address", "address_index", "at"),
    Index("ix_exchange_dispatch", "dispatch", unique=True),
    Index("ix_exchange_inbound", "inbound", unique=True),
)
