"""The table of files that are looked into after their report is filed."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from domain.report import ScanState
from store.columns import META, Instant, one_of

scan = Table(
    "scan",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("report", ForeignKey("report.id"), nullable=False),
    Column("sha256", ForeignKey("blob.sha256"), nullable=False),
    Column("state", sa.String(10), nullable=False),
    Column("tries", sa.Integer, nullable=False, server_default="0"),
    Column("next_due", Instant, nullable=False),
    Column("reason", sa.String(40), nullable=False, server_default=""),  # of the last try that failed
    Column("found", sa.LargeBinary),  # sealed JSON: entries, findings, documents with their words
    Column("changed_at", Instant, nullable=False),
    Index("ix_scan_report", "report", "sha256", unique=True),
    Index("ix_scan_pending", "next_due", postgresql_where=sa.text("state = 'pending'"),
          sqlite_where=sa.text("state = 'pending'")),
    one_of("state", ScanState),
)  # fmt: skip
