"""The tables of what comes after a report: follow-ups, and files that are sent in parts."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from domain.further import Further, UploadState
from store.columns import META, Instant, one_of

follow_up = Table(
    "follow_up",
    META,
    Column("inbound", ForeignKey("inbound.id"), primary_key=True),
    Column("report", sa.String(40), nullable=False),  # may be kept before its report is filed: no foreign key
    Column("kind", sa.String(12), nullable=False),
    Column(
        "version", sa.Integer
    ),  # of the report that says it; NULL until it is filed, and for a linked report
    Column(
        "linked", sa.String(40), nullable=False, server_default=""
    ),  # the report that was made of it instead
    Column("at", Instant, nullable=False),
    Index("ix_follow_up_report", "report", "at"),
    one_of("kind", Further),
)

upload = Table(
    "upload",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("report", sa.String(40), nullable=False, index=True),
    Column("client", sa.String(40), nullable=False),  # the API key that began it; no other goes on with it
    Column("name", sa.LargeBinary, nullable=False),  # sealed with the report's key
    Column("declared_type", sa.String(120), nullable=False),
    Column("length", sa.BigInteger, nullable=False),
    Column("got", sa.BigInteger, nullable=False, server_default="0"),  # bytes on disk, never more than are fsynced
    Column("state", sa.String(10), nullable=False),
    Column("sha256", ForeignKey("blob.sha256")),
    Column("next_due", Instant, nullable=False),  # open: when it is given up; whole: when it is looked at
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Index("ix_upload_due", "next_due", postgresql_where=sa.text("state IN ('open', 'whole')"),
          sqlite_where=sa.text("state IN ('open', 'whole')")),
    one_of("state", UploadState),
)  # fmt: skip
