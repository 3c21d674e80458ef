"""Tables of responsible bodies, the rules that choose them, and the hand-overs of reports."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table

from domain import routing
from store.columns import META, Instant, one_of, only

MACHINES = {"handover": routing.HANDOVERS}

body = Table(
    "body",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("name", sa.String(120), nullable=False),
    Column("channel", sa.String(20), nullable=False),
    Column("address", sa.String(200), nullable=False, server_default=""),  # of an office, no person's
    Column("sign_minutes", sa.Integer, nullable=False),
    Column("by", sa.String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Column("ended_at", Instant),
    sa.CheckConstraint("channel IN ('email', 'sms', 'console')", name="channel"),
)
route_rule = Table(
    "route_rule",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("area", sa.String(12), nullable=False, server_default=""),  # beginnings of codes; '' is all
    Column("category", sa.String(10), nullable=False, server_default=""),
    Column("body", ForeignKey("body.id"), nullable=False),
    Column("by", sa.String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Column("ended_at", Instant),
    Index("ix_route_rule", "area", "category"),
)
handover = Table(
    "handover",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("report", ForeignKey("report.id"), nullable=False),
    Column("body", ForeignKey("body.id"), nullable=False),
    Column("state", sa.String(12), nullable=False),
    Column("rule", ForeignKey("route_rule.id")),
    Column("why", sa.String(500), nullable=False, server_default=""),
    Column("by", sa.String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Column("due_at", Instant),
    Column("dispatch", ForeignKey("dispatch.id")),
    Column("signed_by", sa.String(80), nullable=False, server_default=""),
    Column("signed_at", Instant),
    Column("signed_way", sa.String(12), nullable=False, server_default=""),
    Column("escalated_at", Instant),
    Column("declined_by", sa.String(80), nullable=False, server_default=""),
    Column("declined_at", Instant),  # once: what is said again changes nothing
    Column("declined_why", sa.String(500), nullable=False, server_default=""),
    Index("ix_handover_report", "report", "at"),
    Index("ix_handover_dispatch", "dispatch"),
    Index("ix_handover_declined", "declined_at", **only("declined_at IS NOT NULL")),
    Index("ix_handover_due", "due_at", **only("state = 'sent' AND escalated_at IS NULL")),
    Index("ix_handover_one", "report", unique=True, **only("state IN ('proposed', 'sent', 'signed')")),
    one_of("state", routing.HandoverState),
)  # fmt: skip
