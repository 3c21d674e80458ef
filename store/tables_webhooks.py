"""The tables of webhooks: who is called, each call, and how far the journal has been read for them."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table, UniqueConstraint

from domain.webhook import CALLS, WEBHOOKS, CallState, WebhookState
from store.columns import META, Instant, one_of

webhook = Table(
    "webhook",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("organisation", sa.String(120), nullable=False, index=True),
    Column("url", sa.LargeBinary, nullable=False),  # sealed, as are the secrets: an address may hold a token
    Column("secret", sa.LargeBinary, nullable=False),
    Column(
        "secret_before", sa.LargeBinary
    ),  # signs besides until `rotates_at`, so that a receiver can change over
    Column("rotates_at", Instant),
    Column("state", sa.String(10), nullable=False),
    Column("failing_since", Instant),  # the first failure after the last success
    Column("reason", sa.String(40), nullable=False, server_default=""),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    one_of("state", WebhookState),
)

webhook_call = Table(
    "webhook_call",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("webhook", ForeignKey("webhook.id"), nullable=False),
    Column("entry", sa.String(40), nullable=False),  # of the journal: seq, or a name for a trial; no event twice
    Column("about", sa.String(40), nullable=False, server_default=""),  # the report that it tells of
    Column("body", sa.LargeBinary, nullable=False),  # ids and states, nothing that a reporter wrote
    Column("state", sa.String(10), nullable=False),
    Column("tries", sa.Integer, nullable=False, server_default="0"),
    Column("next_due", Instant, nullable=False),
    Column("status", sa.Integer, nullable=False, server_default="0"),  # of the last answer; 0: there was none
    Column("reason", sa.String(40), nullable=False, server_default=""),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    UniqueConstraint("webhook", "entry"),
    Index("ix_webhook_call_state", "state"),  # for its figures
    Index("ix_webhook_call_pending", "next_due", postgresql_where=sa.text("state = 'pending'"),
          sqlite_where=sa.text("state = 'pending'")),
    one_of("state", CallState),
)  # fmt: skip

webhook_cursor = Table(
    "webhook_cursor",
    META,
    Column("one", sa.Integer, primary_key=True),
    Column("xid", sa.BigInteger, nullable=False),
    Column("seq", sa.BigInteger, nullable=False),
    sa.CheckConstraint("one = 1", name="single"),
)

MACHINES = {"webhook": WEBHOOKS, "webhook_call": CALLS}
