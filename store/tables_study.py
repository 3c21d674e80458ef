"""The table of reports that are to be studied: where, what kind, which others tell of the same."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from store.columns import META, Instant

study = Table(
    "study",
    META,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("asked", sa.Integer, nullable=False, server_default="1"),  # how often something new was said
    Column("studied", sa.Integer, nullable=False, server_default="0"),  # `asked` as it was for the last whole study
    Column("tries", sa.Integer, nullable=False, server_default="0"),  # since the last time something was new
    Column("failed", sa.String(200), nullable=False, server_default=""),  # steps that broke the last time, by comma
    Column("due_at", Instant),  # NULL: nothing new to study
    Index("ix_study_due", "due_at", postgresql_where=sa.text("due_at IS NOT NULL"),
          sqlite_where=sa.text("due_at IS NOT NULL")),
)  # fmt: skip
