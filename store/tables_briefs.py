"""Tables of reports upwards and of the numbers of a year."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from domain.brief import Kind, State
from store.columns import META, Instant, Json, one_of

brief = Table(
    "brief",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("report", ForeignKey("report.id"), nullable=False),
    Column("kind", sa.String(12), nullable=False),
    Column("n", sa.Integer, nullable=False),
    Column("state", sa.String(10), nullable=False),
    Column("revision", sa.Integer, nullable=False, server_default="1"),
    Column("words", sa.LargeBinary, nullable=False),  # title and body, sealed with the report's key
    Column("missing", Json, nullable=False),
    Column("to", sa.String(120), nullable=False, server_default=""),
    Column("author", sa.String(40), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("year", sa.Integer),
    Column("number", sa.Integer),
    Column("signed_by", sa.String(40)),
    Column("signed_at", Instant),
    Column("sent_at", Instant),
    Column("way", sa.String(10), nullable=False, server_default=""),
    Column("received_at", Instant),
    Column("received_by", sa.String(80), nullable=False, server_default=""),
    Index("ix_brief_report", "report", "created_at"),
    Index("ix_brief_number", "year", "number", unique=True),
    Index("ix_brief_newest", "created_at", "id"),
    one_of("kind", Kind),
    one_of("state", State),
)
