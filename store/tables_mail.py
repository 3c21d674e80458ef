"""Tables of what is known about who sent a mail."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from domain.sender import Verdict
from store.columns import META, Instant, Json, one_of

sender_check = Table(
    "sender_check",
    META,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("verdict", sa.String(12), nullable=False),
    Column("reasons", Json, nullable=False),  # keys of the console's words: no names, no addresses
    Column("results", sa.LargeBinary),  # sealed JSON of what DKIM, SPF and DMARC said; they name domains
    Column("checked_at", Instant),
    Column("tries", sa.Integer, nullable=False, server_default="0"),
    Column("next_due", Instant),  # NULL: settled
    Index("ix_sender_check_due", "next_due", postgresql_where=sa.text("next_due IS NOT NULL"),
          sqlite_where=sa.text("next_due IS NOT NULL")),
    Index("ix_sender_check_verdict", "verdict"),
    one_of("verdict", Verdict),
)  # fmt: skip

mail_seal = Table(
    "mail_seal",
    META,
    Column("seal", sa.String(64), primary_key=True),  # of a verified mail: hash of d=, bh= and Message-ID
    Column("report", ForeignKey("report.id"), nullable=False),  # that held it first
)
