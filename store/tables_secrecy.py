"""Tables of what not everybody sees: grants of sight, and what two persons destroy."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from domain.secrecy import PurgeState
from store.columns import META, Instant, Json, one_of

# Who may see a compartment, by whose leave and until when. A row is never changed but once, when it is withdrawn.
sight_grant = Table(
    "sight_grant",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("holder", sa.String(40), nullable=False),  # a person, a key or an address that is called
    Column("compartment", sa.String(10), nullable=False),  # domain.secrecy.GRANTED
    Column("given_by", ForeignKey("person.id"), nullable=False),
    Column("given_at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("reason", sa.String(500), nullable=False),
    Column("withdrawn_by", ForeignKey("person.id")),
    Column("withdrawn_at", Instant),
    Index("ix_sight_grant_holder", "holder", "until"),
    sa.CheckConstraint("compartment IN ('social', 'sensitive')", name="compartment"),
)

# 两人销毁: the second is never the first, and the store says so too.
purge = Table(
    "purge",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("report", ForeignKey("report.id"), nullable=False),
    Column("state", sa.String(10), nullable=False),
    Column("reason", sa.String(500), nullable=False),
    Column("ordered_by", ForeignKey("person.id"), nullable=False),
    Column("ordered_at", Instant, nullable=False),
    Column("settled_by", ForeignKey("person.id")),  # who confirmed it, or took it back
    Column("settled_at", Instant),
    Column("blobs", Json, nullable=False),  # files that nothing else named when it was confirmed
    Column("swept_at", Instant),  # when they were gone
    Index("ix_purge_report", "report"),
    Index("ix_purge_one", "report", unique=True, postgresql_where=sa.text("state <> 'withdrawn'"),
          sqlite_where=sa.text("state <> 'withdrawn'")),
    one_of("state", PurgeState),
    sa.CheckConstraint("state <> 'confirmed' OR (settled_by IS NOT NULL AND settled_by <> ordered_by)",
                       name="two_persons"),
)  # fmt: skip
