"""Peers, their bulletins, and which of them tell of one event."""

import sqlalchemy as sa
from alembic import op

from store import guards

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

MOVES = {
    "bulletin_arrival": [("received", "read"), ("received", "shelved"), ("shelved", "received")],
    "peer_item": [("pending", "kept"), ("pending", "refused")],
    "bulletin": [("apart", "current"), ("current", "apart")],
    "bulletin_pair": [
        ("proposed", "joined"), ("proposed", "parted"), ("joined", "proposed"), ("parted", "proposed"),
    ],
}  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "peer",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=4), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False, server_default=""),
        sa.Column("hosts", sa.Text(), nullable=False),
        sa.Column("senders", sa.Text(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False, server_default="60"),
        sa.Column("is_active", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("etag", sa.String(length=300), nullable=False, server_default=""),
        sa.Column("modified", sa.String(length=60), nullable=False, server_default=""),
        sa.Column("whole_at", sa.BigInteger(), nullable=True),
        sa.Column("feed_due", sa.BigInteger(), nullable=True),
        sa.Column("next_due", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("failed", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("reason", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("heard_at", sa.BigInteger(), nullable=True),
        sa.Column("tried_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('pull', 'push')", name=op.f("ck_peer_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_peer")),
    )
    op.create_index("ix_peer_due", "peer", ["next_due"], postgresql_where=sa.text("next_due IS NOT NULL"), sqlite_where=sa.text("next_due IS NOT NULL"))
    op.create_table(
        "peer_key",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("peer", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("material", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('x509', 'ed25519')", name=op.f("ck_peer_key_kind")),
        sa.ForeignKeyConstraint(["peer"], ["peer.id"], name=op.f("fk_peer_key_peer")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_peer_key")),
        sa.UniqueConstraint("peer", "fingerprint", name=op.f("uq_peer_key_peer")),
    )
    op.create_table(
        "peer_item",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("peer", sa.String(length=40), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("mark", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_due", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('pending', 'kept', 'refused')", name=op.f("ck_peer_item_state")),
        sa.ForeignKeyConstraint(["peer"], ["peer.id"], name=op.f("fk_peer_item_peer")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_peer_item")),
        sa.UniqueConstraint("peer", "mark", name=op.f("uq_peer_item_peer")),
    )
    op.create_index("ix_peer_item_pending", "peer_item", ["peer", "next_due"], postgresql_where=sa.text("state = 'pending'"), sqlite_where=sa.text("state = 'pending'"))
    op.create_table(
        "bulletin_arrival",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("peer", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.String(length=120), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False, server_default=""),
        sa.Column("signature", sa.String(length=600), nullable=False, server_default=""),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("blob", sa.String(length=64), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_due", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('received', 'read', 'shelved')", name=op.f("ck_bulletin_arrival_state")),
        sa.ForeignKeyConstraint(["peer"], ["peer.id"], name=op.f("fk_bulletin_arrival_peer")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulletin_arrival")),
        sa.UniqueConstraint("peer", "sha256", name=op.f("uq_bulletin_arrival_peer")),
    )
    op.create_index("ix_bulletin_arrival_unread", "bulletin_arrival", ["next_due"], postgresql_where=sa.text("state = 'received'"), sqlite_where=sa.text("state = 'received'"))
    op.create_table(
        "bulletin",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("arrival", sa.String(length=40), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("peer", sa.String(length=40), nullable=False),
        sa.Column("sender", sa.String(length=300), nullable=False),
        sa.Column("identifier", sa.String(length=300), nullable=False),
        sa.Column("sent_key", sa.String(length=80), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=True),
        sa.Column("mode", sa.String(length=10), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("msg_type", sa.String(length=20), nullable=False),
        sa.Column("scope", sa.String(length=20), nullable=False),
        sa.Column("format", sa.String(length=60), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("apart", sa.String(length=20), nullable=False, server_default=""),
        sa.Column("ended_by", sa.String(length=40), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("event_scheme", sa.String(length=120), nullable=False, server_default=""),
        sa.Column("event_code", sa.String(length=120), nullable=False, server_default=""),
        sa.Column("event", sa.String(length=200), nullable=False, server_default=""),
        sa.Column("headline", sa.String(length=300), nullable=False, server_default=""),
        sa.Column("severity", sa.String(length=20), nullable=False, server_default=""),
        sa.Column("category", sa.String(length=20), nullable=False, server_default=""),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("is_expiry_assumed", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("areas", sa.Text(), nullable=False),
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("seal", sa.String(length=12), nullable=False),
        sa.Column("seal_key", sa.String(length=64), nullable=False, server_default=""),
        sa.Column("seal_reason", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("conflicts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("report", sa.String(length=40), nullable=False, server_default=""),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(state = 'apart') = (apart <> '')", name=op.f("ck_bulletin_apart")),
        sa.CheckConstraint("mode IN ('live', 'exercise', 'demo')", name=op.f("ck_bulletin_mode")),
        sa.CheckConstraint("state = 'apart' OR (mode = 'live' AND status = 'Actual') OR (mode <> 'live' AND status IN ('Exercise', 'Test'))", name=op.f("ck_bulletin_never_mixed")),
        sa.CheckConstraint("state IN ('current', 'apart')", name=op.f("ck_bulletin_state")),
        sa.ForeignKeyConstraint(["arrival"], ["bulletin_arrival.id"], name=op.f("fk_bulletin_arrival")),
        sa.ForeignKeyConstraint(["peer"], ["peer.id"], name=op.f("fk_bulletin_peer")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulletin")),
        sa.UniqueConstraint("sender", "identifier", "sent_key", name=op.f("uq_bulletin_sender")),
    )
    op.create_index("ix_bulletin_in_force", "bulletin", ["expires"], postgresql_where=sa.text("state = 'current' AND ended_by IS NULL"), sqlite_where=sa.text("state = 'current' AND ended_by IS NULL"))
    op.create_index("ix_bulletin_newest", "bulletin", ["received_at", "id"])
    op.create_index("ix_bulletin_of_peer", "bulletin", ["peer", "received_at"])
    op.create_table(
        "bulletin_reference",
        sa.Column("bulletin", sa.String(length=40), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("sender", sa.String(length=300), nullable=False),
        sa.Column("identifier", sa.String(length=300), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["bulletin"], ["bulletin.id"], name=op.f("fk_bulletin_reference_bulletin")),
        sa.PrimaryKeyConstraint("bulletin", "n", name=op.f("pk_bulletin_reference")),
    )
    op.create_index("ix_bulletin_reference_to", "bulletin_reference", ["sender", "identifier"])
    op.create_table(
        "bulletin_pair",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("one", sa.String(length=40), nullable=False),
        sa.Column("other", sa.String(length=40), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("by", sa.String(length=60), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('proposed', 'joined', 'parted')", name=op.f("ck_bulletin_pair_state")),
        sa.ForeignKeyConstraint(["one"], ["bulletin.id"], name=op.f("fk_bulletin_pair_one")),
        sa.ForeignKeyConstraint(["other"], ["bulletin.id"], name=op.f("fk_bulletin_pair_other")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulletin_pair")),
        sa.UniqueConstraint("one", "other", name=op.f("uq_bulletin_pair_one")),
    )
    op.create_index("ix_bulletin_pair_other", "bulletin_pair", ["other"])
    op.add_column("release", sa.Column("from_bulletin", sa.String(length=40), nullable=False, server_default=""))
    moves = sa.table("moves", *(sa.column(name, sa.String) for name in ("machine", "before", "after")))
    for machine, pairs in MOVES.items():
        op.bulk_insert(moves, guards.move_rows(machine, pairs))
        for statement in guards.only_known_moves(machine, op.get_context().dialect.name):
            op.execute(statement)
