"""Tables of what peers tell us: peers, their keys, what came, the bulletins in it, which tell of one event."""

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, UniqueConstraint

from domain import bulletin as b
from domain.handling import Mode
from store.columns import META, Instant, Json, one_of

peer = Table(
    "peer",
    META,
    Column("id", sa.String(40), primary_key=True),  # that of the API key for one that pushes
    Column("name", sa.String(120), nullable=False),
    Column("kind", sa.String(4), nullable=False),  # pull | push
    Column("url", sa.String(2000), nullable=False, server_default=""),
    Column("hosts", Json, nullable=False),  # further hosts that its entries and redirects may lead to
    Column("senders", Json, nullable=False),  # whom it may speak for; empty: everybody
    Column("period", sa.Integer, nullable=False, server_default="60"),  # seconds between looks
    Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
    Column("etag", sa.String(300), nullable=False, server_default=""),
    Column("modified", sa.String(60), nullable=False, server_default=""),  # Last-Modified as it was said
    Column("whole_at", Instant),  # when it was last read whatever its ETag said
    Column("feed_due", Instant),  # when its feed is looked at again
    Column("next_due", Instant),  # that, or when a file that it named is fetched
    Column("tries", sa.Integer, nullable=False, server_default="0"),  # claims, so that a lease is known again
    Column("failures", sa.Integer, nullable=False, server_default="0"),  # since it was last heard
    Column("failed", sa.Integer, nullable=False, server_default="0"),  # ever
    Column("reason", sa.String(40), nullable=False, server_default=""),  # of the last failure
    Column("heard_at", Instant),
    Column("tried_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("form", sa.String(6), nullable=False, server_default="feed"),  # feed | stream
    Column("hub", sa.String(200), nullable=False, server_default=""),  # of a stream: who signs it, from its first word on
    Column("head", sa.BigInteger, nullable=False, server_default="0"),  # of a stream: how far its files are named
    Column("loops", sa.Integer, nullable=False, server_default="0"),  # bulletins that had been here before
    Index("ix_peer_due", "next_due", postgresql_where=sa.text("next_due IS NOT NULL"),
          sqlite_where=sa.text("next_due IS NOT NULL")),
    CheckConstraint("kind IN ('pull', 'push')", name="kind"),
)  # fmt: skip

peer_key = Table(
    "peer_key",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("peer", ForeignKey("peer.id"), nullable=False),
    Column("kind", sa.String(8), nullable=False),  # x509 | ed25519
    Column("material", sa.Text, nullable=False),  # the certificate in PEM, or the public key in base64
    Column("fingerprint", sa.String(64), nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    UniqueConstraint("peer", "fingerprint"),
    CheckConstraint("kind IN ('x509', 'ed25519')", name="kind"),
)

peer_item = Table(
    "peer_item",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("peer", ForeignKey("peer.id"), nullable=False),
    Column("url", sa.String(2000), nullable=False),
    Column("mark", sa.String(64), nullable=False),  # SHA-256 of address and stamp: a changed entry is another
    Column("state", sa.String(10), nullable=False),
    Column("tries", sa.Integer, nullable=False, server_default="0"),
    Column("next_due", Instant, nullable=False),
    Column("reason", sa.String(40), nullable=False, server_default=""),
    Column("seen_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    UniqueConstraint("peer", "mark"),
    Index("ix_peer_item_pending", "peer", "next_due", postgresql_where=sa.text("state = 'pending'"),
          sqlite_where=sa.text("state = 'pending'")),
    one_of("state", b.ItemState),
)  # fmt: skip

bulletin_arrival = Table(
    "bulletin_arrival",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("peer", ForeignKey("peer.id"), nullable=False),
    Column("sha256", sa.String(64), nullable=False),  # of the bytes
    Column("media_type", sa.String(120), nullable=False),  # as declared; not believed
    Column("url", sa.String(2000), nullable=False, server_default=""),  # where it was fetched
    Column("signature", sa.String(600), nullable=False, server_default=""),  # that came beside it
    Column("countersigned", sa.Text, nullable=False, server_default="[]"),  # JSON: those that came later
    Column("raw", sa.LargeBinary),  # NULL when the bytes are in `blob`
    Column("blob", sa.String(64)),
    Column("received_at", Instant, nullable=False),
    Column("state", sa.String(10), nullable=False),
    Column("tries", sa.Integer, nullable=False, server_default="0"),
    Column("next_due", Instant, nullable=False),
    UniqueConstraint("peer", "sha256"),
    Index("ix_bulletin_arrival_unread", "next_due", postgresql_where=sa.text("state = 'received'"),
          sqlite_where=sa.text("state = 'received'")),
    one_of("state", b.ArrivalState),
)  # fmt: skip

bulletin = Table(
    "bulletin",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("arrival", ForeignKey("bulletin_arrival.id"), nullable=False),
    Column("n", sa.Integer, nullable=False),  # which alert of it
    Column("peer", ForeignKey("peer.id"), nullable=False),
    Column("sender", sa.String(300), nullable=False),
    Column("identifier", sa.String(300), nullable=False),
    Column("sent_key", sa.String(80), nullable=False),  # `sent` in UTC; else as written; else the digest
    Column("sent", Instant),
    Column("mode", sa.String(10), nullable=False),  # of this hub: what is practised never stands beside what is real
    Column("status", sa.String(20), nullable=False),
    Column("msg_type", sa.String(20), nullable=False),
    Column("scope", sa.String(20), nullable=False),
    Column("format", sa.String(60), nullable=False),
    Column("state", sa.String(10), nullable=False),
    Column("apart", sa.String(20), nullable=False, server_default=""),  # why it is apart
    Column("ended_by", sa.String(40)),  # the Update or Cancel of the same sender
    Column("ended_at", Instant),
    Column("digest", sa.String(64), nullable=False),  # of what it says
    Column("event_scheme", sa.String(120), nullable=False, server_default=""),
    Column("event_code", sa.String(120), nullable=False, server_default=""),
    Column("event", sa.String(200), nullable=False, server_default=""),
    Column("headline", sa.String(300), nullable=False, server_default=""),
    Column("severity", sa.String(20), nullable=False, server_default=""),
    Column("category", sa.String(20), nullable=False, server_default=""),
    Column("starts_at", Instant, nullable=False),  # onset, else effective, else sent
    Column("expires", Instant, nullable=False),
    Column("is_expiry_assumed", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("areas", Json, nullable=False),
    Column("alert", Json, nullable=False),  # the texts of each language
    Column("findings", Json, nullable=False),
    Column("seal", sa.String(12), nullable=False),  # none | verified | unknown_key | broken | unsupported
    Column("seal_key", sa.String(64), nullable=False, server_default=""),
    Column("seal_reason", sa.String(40), nullable=False, server_default=""),
    Column("conflicts", sa.Integer, nullable=False, server_default="0"),  # others that came under its name
    Column("report", sa.String(40), nullable=False, server_default=""),  # that was made of it
    Column("received_at", Instant, nullable=False),
    UniqueConstraint("sender", "identifier", "sent_key"),
    Index("ix_bulletin_newest", "received_at", "id"),
    Index("ix_bulletin_of_peer", "peer", "received_at"),
    Index("ix_bulletin_in_force", "expires",
          postgresql_where=sa.text("state = 'current' AND ended_by IS NULL"),
          sqlite_where=sa.text("state = 'current' AND ended_by IS NULL")),
    one_of("mode", Mode),
    one_of("state", b.Standing),
    CheckConstraint(
        "state = 'apart' OR (mode = 'live' AND status = 'Actual')"
        " OR (mode <> 'live' AND status IN ('Exercise', 'Test'))",
        name="never_mixed",
    ),
    CheckConstraint("(state = 'apart') = (apart <> '')", name="apart"),
)  # fmt: skip

bulletin_reference = Table(
    "bulletin_reference",
    META,
    Column("bulletin", ForeignKey("bulletin.id"), primary_key=True),
    Column("n", sa.Integer, primary_key=True),
    Column("sender", sa.String(300), nullable=False),
    Column("identifier", sa.String(300), nullable=False),
    Column("sent", Instant),  # NULL: the format names the event's first message only
    Index("ix_bulletin_reference_to", "sender", "identifier"),
)

bulletin_pair = Table(
    "bulletin_pair",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("one", ForeignKey("bulletin.id"), nullable=False),
    Column("other", ForeignKey("bulletin.id"), nullable=False),
    Column("score", sa.Float, nullable=False),
    Column("reasons", Json, nullable=False),
    Column("state", sa.String(10), nullable=False),
    Column("by", sa.String(60), nullable=False),
    Column("at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    UniqueConstraint("one", "other"),
    Index("ix_bulletin_pair_other", "other"),
    one_of("state", b.PairState),
)

stream = Table(
    "stream",
    META,
    Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),  # without a gap (store/numbers)
    Column("body", sa.LargeBinary, nullable=False),  # the bulletin as it came, or as it was published
    Column("path", Json, nullable=False),  # [hub, line] of those that had it before us
    Column("dispatch", ForeignKey("dispatch.id"), unique=True),  # of our own
    Column("bulletin", ForeignKey("bulletin.id"), unique=True),  # of another's
    Column(
        "sha256", sa.String(64), nullable=False, server_default=""
    ),  # of the envelope, once its file is written
    Column("at", Instant, nullable=False),
    Index(
        "ix_stream_unwritten",
        "seq",
        postgresql_where=sa.text("sha256 = ''"),
        sqlite_where=sa.text("sha256 = ''"),
    ),
    CheckConstraint("(dispatch IS NULL) <> (bulletin IS NULL)", name="one_origin"),
)

MACHINES = {
    "bulletin": b.BULLETINS,
    "bulletin_arrival": b.ARRIVALS,
    "bulletin_pair": b.PAIRS,
    "peer_item": b.ITEMS,
}
