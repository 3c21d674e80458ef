"""Tables of what is asked of providers again: look-ups of deliveries, walks for silent ones, how providers stand."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from store.columns import META, Instant

look_up = Table(
    "look_up",
    META,
    Column("parcel", ForeignKey("parcel.id"), primary_key=True),
    Column("seq", sa.Integer, primary_key=True),
    Column("attempt", sa.Integer, nullable=False),  # of the delivery, when nobody knew its end
    Column("verdict", sa.String(12), nullable=False, server_default=""),  # outbox.lookup.Verdict, the last one
    Column("looks", sa.Integer, nullable=False, server_default="0"),
    Column("repeats", sa.Integer, nullable=False, server_default="0"),  # times it was sent again
    Column("is_double", sa.Boolean, nullable=False, server_default=sa.false()),  # sent again unproven: may come twice
    Column("absent_at", Instant),  # first of the looks in a row that found nothing
    Column("due_at", Instant),  # NULL: nothing more will be asked
    Column("changed_at", Instant, nullable=False),
    Index("ix_look_up_due", "due_at", postgresql_where=sa.text("due_at IS NOT NULL"),
          sqlite_where=sa.text("due_at IS NOT NULL")),
)  # fmt: skip

silence = Table(  # the walk through a dispatch for deliveries that no receipt has come of
    "silence",
    META,
    Column("dispatch", ForeignKey("dispatch.id"), primary_key=True),
    Column("n", sa.Integer, nullable=False),  # of the next parcel
    Column("due_at", Instant, nullable=False),
)

provider = Table(  # what a process makes of a provider that troubles it; no row: all is well
    "provider",
    META,
    Column("channel", sa.String(20), primary_key=True),
    Column("spare", sa.String(20), primary_key=True),  # its wire's name; '' is the channel's own
    Column("process", sa.String(40), primary_key=True),
    Column("standing", sa.String(10), nullable=False),  # outbox.breaker.Standing
    Column("code", sa.String(40), nullable=False),
    Column("is_told_to_wait", sa.Boolean, nullable=False),
    Column("until", Instant, nullable=False),
    Column("since", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
)
