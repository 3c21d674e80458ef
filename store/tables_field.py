"""The tables of people in the field: their tasks, what they sent; and who is to hear of a further report."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from domain.task import TaskState
from store.columns import META, Instant, one_of

field_task = Table(
    "field_task",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("report", ForeignKey("report.id"), nullable=False),  # owner of the key that seals its words
    Column("incident", ForeignKey("incident.id")),
    Column("person", ForeignKey("person.id"), nullable=False),
    Column("given_by", ForeignKey("person.id"), nullable=False),
    Column("words", sa.LargeBinary, nullable=False),  # sealed JSON: what, where, reason
    Column("given_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("state", sa.String(12), nullable=False),
    Column("revision", sa.Integer, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Index("ix_field_task_person", "person", "given_at"),
    Index("ix_field_task_report", "report"),
    one_of("state", TaskState),
)

field_item = Table(
    "field_item",
    META,
    Column("inbound", ForeignKey("inbound.id"), primary_key=True),
    Column("person", ForeignKey("person.id"), nullable=False),
    Column("task", ForeignKey("field_task.id")),  # NULL: of his own accord
    Column(
        "matter", sa.String(64), nullable=False
    ),  # then: what follows the first of one matter goes to its report
    Column("files", sa.Integer, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_field_item_person", "person", "at"),
    Index("ix_field_item_matter", "person", "matter", "at"),
)

incident_news = Table(
    "incident_news",
    META,
    Column("incident", ForeignKey("incident.id"), primary_key=True),
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("person", sa.String(60), primary_key=True),  # who had a hand in it
    Column("at", Instant, nullable=False),
    Column("seen_at", Instant),
    Index("ix_incident_news_unseen", "person", "at", postgresql_where=sa.text("seen_at IS NULL"),
          sqlite_where=sa.text("seen_at IS NULL")),
)  # fmt: skip
