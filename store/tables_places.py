"""The tables of what a report was found to tell: where, what, what is missing; and the landmarks of the deployment."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from store.columns import META, Instant, Json

report_place = Table(
    "report_place",
    META,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column(
        "n", sa.Integer, primary_key=True
    ),  # 0: what an officer chose; from 1 on: candidates, the best first
    Column("kind", sa.String(10), nullable=False),
    Column("code", sa.String(12), nullable=False),  # '' when no division is known
    Column("accuracy", sa.Integer, nullable=False),  # m
    Column("origin", sa.String(20), nullable=False),
    Column("score", sa.Integer, nullable=False),  # in thousandths
    Column(
        "found", sa.LargeBinary, nullable=False
    ),  # sealed: degrees, words and where they stand, the place's name
    Column("chosen_by", ForeignKey("person.id")),
    Column("chosen_at", Instant),
    sa.CheckConstraint("(n = 0) = (chosen_by IS NOT NULL)", name="chosen"),
)

report_triage = Table(
    "report_triage",
    META,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("version", sa.Integer, nullable=False),  # of the report, that was read
    Column("scheme", sa.String(20), nullable=False),
    Column("event_code", sa.String(10), nullable=False),  # '' when no rule hit
    Column("rule", sa.String(60), nullable=False),  # the deciding one
    Column("level", sa.Integer),  # as the text words it
    Column("grade", sa.Integer),  # as its numbers suggest
    Column("known", sa.String(200), nullable=False),  # elements that any version held, by comma
    Column("found", sa.LargeBinary, nullable=False),  # sealed: hits with their words, numbers of people
    Column("studied_at", Instant, nullable=False),
    sa.CheckConstraint("level BETWEEN 1 AND 4", name="level"),
    sa.CheckConstraint("grade BETWEEN 1 AND 4", name="grade"),
)

report_question = Table(
    "report_question",
    META,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("element", sa.String(20), primary_key=True),
    Column("opened_by", sa.Integer, nullable=False),  # the version that lacked it
    Column("opened_at", Instant, nullable=False),
    Column("asked_at", Instant),  # NULL: nobody was asked yet
    Column("answered_by", sa.Integer),  # the version that holds it; NULL: open
    Column("answered_at", Instant),
    Index("ix_report_question_open", "report", postgresql_where=sa.text("answered_by IS NULL"),
          sqlite_where=sa.text("answered_by IS NULL")),
)  # fmt: skip

landmark = Table(
    "landmark",
    META,
    Column("name", sa.String(100), primary_key=True),
    Column("area", sa.String(12), primary_key=True),
    Column("aliases", Json, nullable=False),
    Column("lat", sa.Float),
    Column("lon", sa.Float),
    Column("source", sa.String(200), nullable=False),
    Column("loaded_at", Instant, nullable=False),
)
