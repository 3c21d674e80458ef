"""The tables of what reports have to do with each other: sketches, likenesses, incidents, threads."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from domain.incident import IncidentState, Sign, ThreadState
from store.columns import META, Instant, Json, one_of

sketch = Table(
    "sketch",
    META,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("sealed", sa.LargeBinary, nullable=False),  # with the report's key: gone when that is destroyed
    Column("made_at", Instant, nullable=False),
    Index("ix_sketch_made", "made_at"),
)

# Keyed hashes of what a report names (HMAC with the deployment's key): equal words, equal number, nothing else.
sketch_key = Table(
    "sketch_key",
    META,
    Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
    Column(
        "at", sa.BigInteger, primary_key=True, autoincrement=False
    ),  # minutes since the epoch when it arrived
    Column("report", ForeignKey("report.id"), primary_key=True),
    Index("ix_sketch_key_report", "report"),
    sqlite_with_rowid=False,
)

likeness = Table(
    "likeness",
    META,
    Column("report", ForeignKey("report.id"), primary_key=True),  # the later one
    Column("other", ForeignKey("report.id"), primary_key=True),
    Column("score", sa.Float, nullable=False),
    Column("reasons", Json, nullable=False),  # [[code, number]]: never words of the reports
    Column("found_at", Instant, nullable=False),
    Column("refused_by", sa.String(60)),  # an officer says that they are two
    Column("refused_at", Instant),
    Index("ix_likeness_other", "other"),
)

incident = Table(
    "incident",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("title", sa.LargeBinary, nullable=False),  # sealed
    Column("state", sa.String(10), nullable=False),
    Column("revision", sa.Integer, nullable=False),
    Column("event_code", sa.String(10), nullable=False, server_default=""),
    Column("area", sa.String(12), nullable=False, server_default=""),
    Column("opened_by", sa.String(60), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("merged_into", ForeignKey("incident.id")),
    Column("closed_reason", sa.String(500), nullable=False, server_default=""),
    Index("ix_incident_newest", "state", "opened_at", "id"),
    one_of("state", IncidentState),
)

report_incident = Table(
    "report_incident",
    META,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("incident", ForeignKey("incident.id"), primary_key=True),
    Column("added_by", sa.String(60), nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("score", sa.Float),
    Column("via", sa.String(40), nullable=False, server_default=""),  # the merged incident that brought it
    Column("removed_by", sa.String(60)),
    Column("removed_at", Instant),
    Index("ix_report_incident_incident", "incident", "added_at"),
)

thread = Table(
    "thread",
    META,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("follows", ForeignKey("report.id"), primary_key=True),
    Column("sign", sa.String(10), nullable=False),
    Column("state", sa.String(10), nullable=False),
    Column("is_certain", sa.Boolean, nullable=False),
    Column("by", sa.String(60), nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_thread_follows", "follows"),
    one_of("state", ThreadState),
    one_of("sign", Sign),
)
