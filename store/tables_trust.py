"""Tables of who reports: known reporters, block lists, and what was said of their reports."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from domain import trust
from store.columns import META, Instant, one_of

MACHINES = {"verdict": trust.VERDICTS}

known_reporter = Table(
    "known_reporter",
    META,
    Column("id", sa.String(40), primary_key=True),  # names the key that its words are sealed with
    Column("kind", sa.String(12), nullable=False),
    Column("name", sa.LargeBinary, nullable=False),
    Column("body", sa.LargeBinary, nullable=False),
    Column("area", sa.String(12), nullable=False, server_default=""),
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("by", sa.String(40), nullable=False),
    one_of("kind", trust.KnownKind),
)
known_address = Table(
    "known_address",
    META,
    Column("reporter", ForeignKey("known_reporter.id"), primary_key=True),
    Column("channel", sa.String(20), primary_key=True),
    Column("address_index", sa.String(64), primary_key=True),  # blind
    Column("address", sa.LargeBinary, nullable=False),
    Index("ix_known_address", "address_index", "channel"),
)
sender_block = Table(
    "sender_block",
    META,
    Column("id", sa.String(40), primary_key=True),  # names the key that the address is sealed with
    Column("channel", sa.String(20), nullable=False),
    Column("address_index", sa.String(64), nullable=False),
    Column("address", sa.LargeBinary, nullable=False),
    Column("reason", sa.String(500), nullable=False),
    Column("by", sa.String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("lifted_by", sa.String(40)),
    Column("lifted_at", Instant),
    Index("ix_sender_block", "address_index", "channel", "until"),
)
verdict = Table(
    "verdict",
    META,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("kind", sa.String(10), primary_key=True),
    Column("state", sa.String(10), nullable=False),
    Column("by", sa.String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Column("reason", sa.String(500), nullable=False),
    Column("is_urgent", sa.Boolean, nullable=False, server_default=sa.false()),
    one_of("kind", trust.VerdictKind),
    one_of("state", trust.VerdictState),
)
