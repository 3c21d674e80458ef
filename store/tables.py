"""Every table of the store, as SQLAlchemy Core sees it; the migrations build the same ones."""

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Index, Table, UniqueConstraint

from domain import brief as briefs
from domain import clock as clocks
from domain import further, parcel, release, report, secrecy
from domain import incident as incidents
from domain import task as tasks
from domain.handling import Handling, Mode
from store.columns import META, Instant, Json, one_of, only
from store.tables_briefs import brief
from store.tables_chat import correspondent, piece, poll
from store.tables_clocks import clock, clock_rule, clock_stop, report_timing
from store.tables_desk import operation, process, proof, ring, shift, slip, year_number
from store.tables_exchange import exchange
from store.tables_fax import fax
from store.tables_field import field_item, field_task, incident_news
from store.tables_files import scan
from store.tables_further import follow_up, upload
from store.tables_incidents import incident, likeness, report_incident, sketch, sketch_key, thread
from store.tables_lookup import look_up, provider, silence
from store.tables_mail import mail_seal, sender_check
from store.tables_media import media
from store.tables_peers import MACHINES as PEER_MACHINES
from store.tables_people import api_key, login_failure, login_link, person, session
from store.tables_places import landmark, report_place, report_question, report_triage
from store.tables_routing import MACHINES as ROUTING_MACHINES
from store.tables_routing import body, handover, route_rule
from store.tables_secrecy import purge, sight_grant
from store.tables_study import study
from store.tables_trust import MACHINES as TRUST_MACHINES
from store.tables_trust import known_address, known_reporter, sender_block, verdict
from store.tables_webhooks import MACHINES as WEBHOOK_MACHINES
from store.tables_webhooks import webhook

__all__ = ["META", "api_key", "body", "brief", "clock", "clock_rule", "clock_stop", "correspondent",
           "exchange", "fax", "field_item", "field_task", "follow_up", "handover", "incident",
           "incident_news", "known_address", "known_reporter", "landmark", "likeness", "login_failure",
           "login_link", "look_up", "mail_seal", "media", "operation", "person", "piece", "poll", "process",
           "proof", "provider", "purge", "report_incident", "report_place", "report_question",
           "report_timing", "report_triage", "ring", "route_rule", "scan", "sender_block", "sender_check",
           "session", "shift", "sight_grant", "silence", "sketch", "sketch_key", "slip", "study", "thread",
           "upload", "verdict", "webhook", "year_number"]  # fmt: skip

hub = Table(
    "hub",
    META,
    Column("one", sa.Integer, primary_key=True),
    Column("mode", sa.String(10), nullable=False),
    Column("instance", sa.String(40), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("list_version", sa.BigInteger, nullable=False, server_default="0"),
    sa.CheckConstraint("one = 1", name="single"),
    one_of("mode", Mode),
)

moves = Table(
    "moves",
    META,
    Column("machine", sa.String(20), primary_key=True),
    Column("before", sa.String(20), primary_key=True),
    Column("after", sa.String(20), primary_key=True),
)

data_key = Table(
    "data_key",
    META,
    Column("owner", sa.String(40), primary_key=True),  # a report or a person
    Column("wrapped", sa.LargeBinary, nullable=True),  # NULL: destroyed, what it sealed is gone
    Column("destroyed_at", Instant),
)

idempotency = Table(
    "idempotency",
    META,
    Column("client", sa.String(40), primary_key=True),
    Column("route", sa.String(120), primary_key=True),
    Column("key", sa.String(255), primary_key=True),
    Column("fingerprint", sa.String(64), nullable=False),
    Column("status", sa.Integer, nullable=False),
    Column("body", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
)

area = Table(
    "area",
    META,
    Column("code", sa.String(12), primary_key=True),
    Column("prefix", sa.String(12), nullable=False, index=True),
    Column("name_zh", sa.String(80), nullable=False),
    Column("name_en", sa.String(120), nullable=False, server_default=""),
    Column("parent", sa.String(12), nullable=False, server_default=""),
    Column("lon", sa.Float),
    Column("lat", sa.Float),
)

blob = Table(
    "blob",
    META,
    Column("sha256", sa.String(64), primary_key=True),
    Column("size", sa.BigInteger, nullable=False),
    Column("handling", sa.String(10), nullable=False),
    Column("created_at", Instant, nullable=False),
    one_of("handling", Handling),
)

inbound = Table(
    "inbound",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("report", sa.String(40), nullable=False, unique=True),
    Column("code", sa.String(12), nullable=False, unique=True),
    Column("channel", sa.String(20), nullable=False),
    Column("external_id", sa.String(300), nullable=False),
    Column("media_type", sa.String(120), nullable=False),
    Column("raw", sa.LargeBinary),  # sealed; NULL when the bytes are in `blob`
    Column("blob", sa.String(64)),
    Column("raw_sha256", sa.String(64), nullable=False),
    Column("sender", sa.LargeBinary, nullable=False),  # sealed
    Column("sender_index", sa.String(32), nullable=False, server_default="", index=True),  # HMAC of it
    Column("meta", sa.LargeBinary, nullable=False),  # sealed JSON
    Column("organisation", sa.String(120), nullable=False, server_default=""),
    Column("handling", sa.String(10), nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("state", sa.String(20), nullable=False),
    Column("tries", sa.Integer, nullable=False, server_default="0"),
    Column("next_due", Instant, nullable=False),
    Column("acknowledged_at", Instant),  # when an acknowledgement was promised to its sender
    UniqueConstraint("channel", "external_id"),
    Index("ix_inbound_unfiled", "next_due", postgresql_where=sa.text("state = 'received'"),
          sqlite_where=sa.text("state = 'received'")),
    one_of("handling", Handling),
    one_of("state", report.Arrival),
)  # fmt: skip

report_row = Table(
    "report",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("inbound", ForeignKey("inbound.id"), nullable=False, unique=True),
    Column("code", sa.String(12), nullable=False, unique=True),
    Column("channel", sa.String(20), nullable=False),
    Column("organisation", sa.String(120), nullable=False),
    Column("handling", sa.String(10), nullable=False),
    Column("state", sa.String(20), nullable=False),
    Column("revision", sa.Integer, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("filed_at", Instant, nullable=False),
    Column("claimed_by", ForeignKey("person.id")),
    Column("claimed_at", Instant),
    Column("event_code", sa.String(10), nullable=False, server_default=""),
    Column("grade", sa.Integer),
    Column("area", sa.String(12), nullable=False, server_default=""),
    Column("found_area", sa.String(12), nullable=False, server_default=""),  # by its places; an officer's stands in area
    Column("closed_reason", sa.String(500), nullable=False, server_default=""),
    Column("merged_into", ForeignKey("report.id")),
    Column("aside", sa.Boolean, nullable=False, server_default=sa.false()),  # in quarantine: see store/verdicts
    Column("compartments", sa.SmallInteger, nullable=False, server_default="0"),  # domain.secrecy.Compartment
    Index("ix_report_queue", "state", "received_at", "id", "compartments"),  # with all that counting needs
    Index("ix_report_hidden", "id", "compartments", **only("compartments > 0")),
    Index("ix_report_holder", "claimed_by", "state", "received_at", "id", "compartments",
          **only("claimed_by IS NOT NULL")),
    Index("ix_report_organisation", "organisation", "received_at", "id"),
    Index("ix_report_newest", "received_at", "id"),
    Index("ix_report_channel", "channel", "state", "received_at", "id"),
    Index("ix_report_merged", "merged_into", **only("merged_into IS NOT NULL")),
    Index("ix_report_aside", "received_at", "id", **only("aside")),
    Index("ix_report_where", sa.text("(CASE WHEN area <> '' THEN area ELSE found_area END)"), "received_at", "id", "compartments",
          **only("area <> '' OR found_area <> ''")),  # see store.reports
    one_of("handling", Handling),
    one_of("state", report.State),
    sa.CheckConstraint("grade BETWEEN 1 AND 4", name="grade"),
)  # fmt: skip

report_version = Table(
    "report_version",
    META,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("n", sa.Integer, primary_key=True),
    Column("content", sa.LargeBinary, nullable=False),  # sealed JSON of domain.report.Content
    Column("by", sa.String(60), nullable=False),
    Column("at", Instant, nullable=False),
)

report_blob = Table(
    "report_blob",
    META,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("sha256", ForeignKey("blob.sha256"), primary_key=True),
)

release_row = Table(
    "release",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("kind", sa.String(20), nullable=False),
    Column("issuer", sa.String(120), nullable=False),
    Column("organisation", sa.String(120), nullable=False),
    Column("handling", sa.String(10), nullable=False),
    Column("template", sa.String(60), nullable=False),
    Column("template_version", sa.Integer, nullable=False),
    Column("event_code", sa.String(10), nullable=False),
    Column("grade", sa.Integer),
    Column("colour", sa.String(10)),
    Column("response_level", sa.Integer),
    Column("body", Json, nullable=False),  # the rest of domain.release.Draft
    Column("expires", Instant, nullable=False),
    Column("review_by", Instant),
    Column("repeat_unsure", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("state", sa.String(20), nullable=False),
    Column("state_at", Instant, nullable=False),
    Column("revision", sa.Integer, nullable=False),
    Column("author", ForeignKey("person.id"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("submitted_by", ForeignKey("person.id")),
    Column("submitted_at", Instant),
    Column("sent", Instant),
    Column("identifier", sa.String(80), unique=True),
    Column("digest", sa.String(64), nullable=False, server_default=""),
    Column("list_version", sa.BigInteger, nullable=False, server_default="0"),
    Column("reach", sa.BigInteger, nullable=False, server_default="0"),
    Column("approved_at", Instant),
    Column("supersedes", ForeignKey("release.id")),
    Column("from_report", ForeignKey("report.id")),
    Column("from_bulletin", sa.String(40), nullable=False, server_default=""),
    Column("ended_reason", sa.String(500), nullable=False, server_default=""),
    Index("ix_release_newest", "created_at", "id"),
    Index("ix_release_state", "state"),
    one_of("kind", release.Kind),
    one_of("handling", Handling),
    one_of("state", release.State),
    sa.CheckConstraint("colour IN ('red', 'orange', 'yellow', 'blue')", name="colour"),
    sa.CheckConstraint("grade BETWEEN 1 AND 4", name="grade"),
    sa.CheckConstraint("response_level BETWEEN 1 AND 4", name="response_level"),
)

release_editor = Table(
    "release_editor",
    META,
    Column("release", ForeignKey("release.id"), primary_key=True),
    Column("person", ForeignKey("person.id"), primary_key=True),
)

release_manifest = (
    Table(  # what the digest covers besides the bytes of artefacts: to whom, by which rule, for how long
        "release_manifest",
        META,
        Column("release", ForeignKey("release.id"), primary_key=True),
        Column("digest", sa.String(64), primary_key=True),
        Column(
            "manifest", sa.LargeBinary, nullable=False
        ),  # canonical JSON, exactly the bytes that were hashed
    )
)

artefact = Table(
    "artefact",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("release", ForeignKey("release.id"), nullable=False),
    Column("digest", sa.String(64), nullable=False),  # of the submission that froze it
    Column("channel", sa.String(20), nullable=False),
    Column("language", sa.String(10), nullable=False),
    Column("area_variant", sa.String(40), nullable=False, server_default=""),
    Column("purpose", sa.String(12), nullable=False),
    Column("media_type", sa.String(80), nullable=False),
    Column("body", sa.LargeBinary, nullable=False),
    Column("sha256", sa.String(64), nullable=False),
    Column("headline", sa.String(300), nullable=False, server_default=""),
    UniqueConstraint("release", "digest", "channel", "language", "area_variant", "purpose"),
)

approval = Table(
    "approval",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("release", ForeignKey("release.id"), nullable=False, index=True),
    Column("digest", sa.String(64), nullable=False),
    Column("person", ForeignKey("person.id"), nullable=False),
    Column("act", sa.String(20), nullable=False),
    Column("at", Instant, nullable=False),
    Column("step_up", Instant),
    Column("reason", sa.String(500), nullable=False, server_default=""),
    Column("is_void", sa.Boolean, nullable=False, server_default=sa.false()),
)

dispatch = Table(
    "dispatch",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("release", ForeignKey("release.id"), index=True),  # NULL for a notice
    Column("notice", sa.String(40)),  # template of a single notice; exactly one of the two
    Column("about", sa.String(40), nullable=False, server_default=""),  # of a notice: the report it speaks of
    Column("purpose", sa.String(12), nullable=False, server_default="main"),  # domain.artefact.Purpose
    Column("ends", sa.String(40), nullable=False, server_default=""),  # of an ending: the dispatch it ends
    Column("artefact", ForeignKey("artefact.id")),
    Column("notice_payload", sa.LargeBinary),
    Column("channel", sa.String(20), nullable=False),
    Column("language", sa.String(10), nullable=False),
    Column("sha256", sa.String(64), nullable=False),
    Column("lane", sa.String(20), nullable=False),
    Column("state", sa.String(20), nullable=False),
    Column("next_due", Instant, nullable=False),
    Column("tries", sa.Integer, nullable=False, server_default="0"),
    Column("expires", Instant, nullable=False),
    Column("cursor", sa.String(40), nullable=False, server_default=""),  # last recipient expanded
    Column("expanded", sa.BigInteger, nullable=False, server_default="0"),
    Column("is_expanded", sa.Boolean, nullable=False, server_default=sa.false()),
    Column("created_at", Instant, nullable=False),
    Column("done_at", Instant),
    UniqueConstraint("release", "artefact"),
    Index("ix_dispatch_notice", "about", "notice", unique=True, **only("notice IS NOT NULL")),
    Index("ix_dispatch_due", "next_due", postgresql_where=sa.text("state IN ('ready', 'open')"),
          sqlite_where=sa.text("state IN ('ready', 'open')")),
    one_of("state", parcel.DispatchState),
    sa.CheckConstraint(
        "(release IS NOT NULL AND artefact IS NOT NULL AND notice IS NULL)"
        " OR (release IS NULL AND notice IS NOT NULL AND notice_payload IS NOT NULL)",
        name="approved_or_notice",
    ),
)  # fmt: skip

parcel_row = Table(
    "parcel",
    META,
    Column("id", sa.String(60), primary_key=True),  # dispatch id + number: expanding twice is safe
    Column("dispatch", ForeignKey("dispatch.id"), nullable=False, index=True),
    Column("release", sa.String(40)),
    Column("n", sa.Integer, nullable=False),
    Column("state", sa.String(20), nullable=False),
    Column("fence", sa.Integer, nullable=False, server_default="0"),
    Column("lease_until", Instant),
    Column("next_due", Instant, nullable=False),
    Column("attempts", sa.Integer, nullable=False, server_default="0"),
    Index("ix_parcel_due", "next_due", **only("state = 'ready'")),
    Index("ix_parcel_lease", "lease_until", **only("state = 'leased'")),
    Index("ix_parcel_stopped", "lease_until", **only("state = 'stopped' AND release IS NULL")),  # a notice has no tombstone
    one_of("state", parcel.ParcelState),
)  # fmt: skip

delivery = Table(
    "delivery",
    META,
    Column("parcel", ForeignKey("parcel.id"), primary_key=True),
    Column("seq", sa.Integer, primary_key=True),
    Column("recipient", sa.String(40), nullable=False),
    Column("address", sa.String(200), nullable=False),
    Column("state", sa.String(20), nullable=False),
    Column("attempts", sa.Integer, nullable=False, server_default="0"),
    Column("provider_id", sa.String(80)),
    Column("spare", sa.String(20)),  # name of the wire of the last attempt; NULL: the channel's own
    Column("code", sa.String(40), nullable=False, server_default=""),
    Column("changed_at", Instant, nullable=False),
    Index("ix_delivery_open", "parcel", postgresql_where=sa.text("state IN ('queued', 'sending')"),
          sqlite_where=sa.text("state IN ('queued', 'sending')")),
    Index("ix_delivery_unsure", "parcel", postgresql_where=sa.text("state = 'unsure'"),
          sqlite_where=sa.text("state = 'unsure'")),
    Index("ix_delivery_provider_id", "provider_id", postgresql_where=sa.text("provider_id IS NOT NULL"),
          sqlite_where=sa.text("provider_id IS NOT NULL")),
    one_of("state", parcel.DeliveryState),
)  # fmt: skip

receipt = Table(
    "receipt",
    META,
    Column("channel", sa.String(20), primary_key=True),
    Column("provider_id", sa.String(80), primary_key=True),
    Column("state", sa.String(20), primary_key=True),
    Column("code", sa.String(40), nullable=False, server_default=""),
    Column("address", sa.String(200), nullable=False, server_default=""),
    Column("delivery", sa.String(80), nullable=False, server_default=""),  # our own tag, when it came back
    Column("raw", sa.LargeBinary, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("applied_at", Instant),
    Index("ix_receipt_waiting", "received_at", postgresql_where=sa.text("applied_at IS NULL"),
          sqlite_where=sa.text("applied_at IS NULL")),
)  # fmt: skip

recipient = Table(
    "recipient",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("channel", sa.String(20), nullable=False),
    Column("address", sa.String(200), nullable=False),
    Column("area", sa.String(12), nullable=False),
    Column("language", sa.String(10), nullable=False),
    Column("group", sa.String(40), nullable=False),  # responsible | grassroots | subscriber ...
    Column("name", sa.String(80), nullable=False, server_default=""),
    Column("since", sa.BigInteger, nullable=False),  # list version that added the row
    Column("until", sa.BigInteger),  # list version that removed it
    Index("ix_recipient_audience", "channel", "area", "id"),
    Index("ix_recipient_address", "channel", "address"),
)

opt_out = Table(
    "opt_out",
    META,
    Column("channel", sa.String(20), primary_key=True),
    Column("address", sa.String(200), primary_key=True),
    Column("scope", sa.String(20), nullable=False),  # subscriptions | responsible (shown, changes nothing)
    Column("at", Instant, nullable=False),
    Column("inbound", sa.String(40), nullable=False, server_default=""),
)

tombstone = Table(
    "tombstone",
    META,
    Column("release", sa.String(40), primary_key=True),
    Column("by", sa.String(60), nullable=False),
    Column("at", Instant, nullable=False),
    Column("reason", sa.String(500), nullable=False),
)

shelf = Table(
    "shelf",
    META,
    Column("id", sa.String(40), primary_key=True),
    Column("kind", sa.String(30), nullable=False),
    Column("reason", sa.String(60), nullable=False),
    Column("raw", sa.LargeBinary),
    Column("blob", sa.String(64)),
    Column("origin", sa.String(200), nullable=False, server_default=""),
    Column("at", Instant, nullable=False),
    Column("settled_by", sa.String(60)),
    Column("settled_at", Instant),
    Column("count", sa.Integer, nullable=False, server_default="1"),
    Index("ix_shelf_open", "at"),
    Index("ix_shelf_origin", "origin"),
)

journal = Table(
    "journal",
    META,
    Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("xid", sa.BigInteger, nullable=False, server_default="0"),  # PostgreSQL: the writing transaction
    Column("kind", sa.String(20), nullable=False),
    Column("entity", sa.String(60), nullable=False),
    Column("n", sa.Integer, nullable=False),
    Column("prev_hash", sa.String(64), nullable=False),
    Column("hash", sa.String(64), nullable=False),
    Column("act", sa.String(40), nullable=False),
    Column("by", sa.String(60), nullable=False),
    Column("at", Instant, nullable=False),
    Column("detail", Json, nullable=False),  # ids, states, reasons: never personal data
    Column("content", sa.String(64), nullable=False, server_default=""),  # keyed digest of what was acted on
    UniqueConstraint("kind", "entity", "n"),
    Index("ix_journal_order", "xid", "seq"),
)

journal_head = Table(
    "journal_head",
    META,
    Column("kind", sa.String(20), primary_key=True),
    Column("entity", sa.String(60), primary_key=True),
    Column("n", sa.Integer, nullable=False),
    Column("hash", sa.String(64), nullable=False),
    Column("mac", sa.String(64), nullable=False),  # HMAC of the head: a cut tail needs the key
)

root = Table(
    "root",
    META,
    Column("n", sa.Integer, primary_key=True),
    Column("prev_hash", sa.String(64), nullable=False),
    Column("from_xid", sa.BigInteger, nullable=False),
    Column("from_seq", sa.BigInteger, nullable=False),
    Column("to_xid", sa.BigInteger, nullable=False),
    Column("to_seq", sa.BigInteger, nullable=False),
    Column("count", sa.Integer, nullable=False),
    Column("merkle", sa.String(64), nullable=False),
    Column("at", Instant, nullable=False),
    Column("hash", sa.String(64), nullable=False),
    Column("signature", sa.String(128), nullable=False),
)

APPEND_ONLY = ("journal", "artefact", "release_manifest", "root", "report_version", "moves")
MACHINES = {
    "inbound": report.ARRIVALS,
    "upload": further.UPLOADS,
    **WEBHOOK_MACHINES,
    **TRUST_MACHINES,
    **ROUTING_MACHINES,
    "media": report.MEDIA,
    "scan": report.SCANS,
    "report": report.MOVES,
    "incident": incidents.MOVES,
    "thread": incidents.THREADS,
    "release": release.MOVES,
    "dispatch": parcel.DISPATCHES,
    "parcel": parcel.PARCELS,
    "delivery": parcel.DELIVERIES,
    **PEER_MACHINES,
    "clock": clocks.CLOCKS,
    "brief": briefs.BRIEFS,
    "field_task": tasks.MOVES,
    "purge": secrecy.PURGES,
}
