"""Tables of the desk's own work: slips in hold, shifts, long operations, the processes that run."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from store.columns import META, Instant, Json

slip = Table(
    "slip",
    META,
    Column("id", sa.String(40), primary_key=True),  # owner of its data key as well
    Column("person", ForeignKey("person.id"), nullable=False),
    Column("content", sa.LargeBinary, nullable=False),  # sealed JSON of the form as it was typed so far
    Column("started_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("report", sa.String(40), nullable=False, server_default=""),  # that it became
    Column("done_at", Instant),
    Index("ix_slip_open", "person", postgresql_where=sa.text("done_at IS NULL"),
          sqlite_where=sa.text("done_at IS NULL")),
)  # fmt: skip

ring = Table(
    "ring",
    META,
    Column("id", sa.String(40), primary_key=True),  # owner of its data key
    Column(
        "slip", sa.String(40), nullable=False, unique=True
    ),  # the name of its call slip, minted when it rang
    Column("call_id", sa.String(250), nullable=False, unique=True),  # the telephone system's own
    Column("content", sa.LargeBinary, nullable=False),  # sealed JSON: caller, called, agents, recording
    Column("rang_at", Instant, nullable=False),
    Column("answered_at", Instant),
    Column("ended_at", Instant),
    Column("cause", sa.String(40), nullable=False, server_default=""),
    Column("answered_by", ForeignKey("person.id")),
    Column("report", sa.String(40), nullable=False, server_default=""),  # that its slip became
    Column("dismissed_at", Instant),  # an officer says that it needs no slip
    Index("ix_ring_newest", "rang_at"),
)

proof = Table(
    "proof",
    META,
    Column("channel", sa.String(20), primary_key=True),
    Column("proof", sa.String(40), nullable=False),  # the last synthetic report that was sent
    Column("sent_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("answer", sa.String(40), nullable=False, server_default=""),
    Column("proved_at", Instant),  # when one was filed last
)

shift = Table(
    "shift",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("person", ForeignKey("person.id"), nullable=False),
    Column("began_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("left_open", Json, nullable=False),  # ids of the reports still claimed at sign-off
    Column("note", sa.String(2000), nullable=False, server_default=""),
    Index("ix_shift_on", "person", unique=True, postgresql_where=sa.text("ended_at IS NULL"),
          sqlite_where=sa.text("ended_at IS NULL")),
)  # fmt: skip

operation = Table(
    "operation",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("kind", sa.String(30), nullable=False),
    Column("state", sa.String(10), nullable=False),  # running | done | failed
    Column("by", sa.String(60), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("total", sa.Integer, nullable=False, server_default="0"),
    Column("done", sa.Integer, nullable=False, server_default="0"),
    Column("result", Json, nullable=False),  # counts and errors: lines and codes, never what stood there
    sa.CheckConstraint("state IN ('running', 'done', 'failed')", name="state"),
)

process = Table(
    "process",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("kind", sa.String(20), nullable=False),  # up | web | worker | smtp
    Column("host", sa.String(80), nullable=False),
    Column("pid", sa.Integer, nullable=False),
    Column("version", sa.String(40), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("left_at", Instant),  # a clean stop
)

# What was numbered last in a year: its row is locked while one is taken, so none is left out.
year_number = Table(
    "year_number",
    META,
    Column("what", sa.String(20), primary_key=True),  # fax | brief
    Column("year", sa.Integer, primary_key=True, autoincrement=False),
    Column("last", sa.Integer, nullable=False),
)
