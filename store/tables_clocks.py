"""Tables of statutory clocks: the rules, the clocks they set, what stopped them, and the instants of a report."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from domain.clock import Duty, StartsFrom, State
from store.columns import META, Instant, Json, one_of

clock_rule = Table(
    "clock_rule",
    META,
    Column("id", sa.String(60), primary_key=True),
    Column("name", sa.String(200), nullable=False),
    Column("category", sa.String(10), nullable=False, server_default=""),
    Column("grade", sa.Integer),
    Column("mildest", sa.Integer),
    Column("hop", sa.String(20), nullable=False, server_default=""),
    Column("starts_from", sa.String(10), nullable=False),
    Column("phone_seconds", sa.Integer),
    Column("written_seconds", sa.Integer),
    Column("daily", Json, nullable=False),  # list of HH:MM
    Column("every_seconds", sa.Integer),
    Column("effective", sa.String(10)),  # a day, YYYY-MM-DD
    Column("superseded", sa.String(10)),
    Column("source", sa.String(400), nullable=False, server_default=""),
    Column("confirmed_by", sa.String(40)),  # NULL: an example nobody here has looked at
    Column("confirmed_at", Instant),
    one_of("starts_from", StartsFrom),
)

clock_stop = Table(  # an act that stops clocks; append-only
    "clock_stop",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("report", ForeignKey("report.id"), nullable=False),
    Column("kind", sa.String(10), nullable=False),  # call | sign | waive
    Column("duty", sa.String(10), nullable=False),
    Column("whom", sa.String(120), nullable=False, server_default=""),  # the office
    Column("who", sa.String(80), nullable=False, server_default=""),  # the person there
    Column("said_at", Instant),  # when it was, as the officer says; the clock goes by `at`
    Column("note", sa.String(500), nullable=False, server_default=""),
    Column("by", sa.String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_clock_stop_report", "report", "at"),
    sa.CheckConstraint("kind IN ('call', 'sign', 'waive')", name="kind"),
    one_of("duty", Duty),
)

clock = Table(
    "clock",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("report", ForeignKey("report.id"), nullable=False),
    Column("rule", ForeignKey("clock_rule.id"), nullable=False),
    Column("duty", sa.String(10), nullable=False),
    Column("state", sa.String(10), nullable=False),
    Column("grade", sa.Integer),  # as it was when the clock was set
    Column("is_suggested", sa.Boolean, nullable=False),  # by the hub's reading; an officer had not classified it
    Column("starts_at", Instant, nullable=False),
    Column("starts_from", sa.String(10), nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("alarm_at", Instant, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("alarmed_at", Instant),
    Column("overdue_at", Instant),  # when the hub said so; late it was from due_at on
    Column("stopped_at", Instant),
    Column("stop", ForeignKey("clock_stop.id")),
    Index("ix_clock_once", "report", "rule", "duty", "starts_at", unique=True),
    Index("ix_clock_running", "due_at", postgresql_where=sa.text("state = 'running'"),
          sqlite_where=sa.text("state = 'running'")),
    Index("ix_clock_due", "due_at"),
    one_of("duty", Duty),
    one_of("state", State),
)  # fmt: skip

report_timing = Table(
    "report_timing",
    META,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("occurred_at", Instant),
    Column("known_at", Instant),
    Column("ordered_at", Instant),
    Column("is_sensitive", sa.Boolean, nullable=False, server_default=sa.false()),
)

report_instant = (
    Table(  # every instant that was ever said of a report: each sets its clock, whatever is said after it
        "report_instant",
        META,
        Column("report", ForeignKey("report.id"), primary_key=True),
        Column("kind", sa.String(12), primary_key=True),  # occurred_at | known_at | ordered_at
        Column("said", Instant, primary_key=True),
    )
)
