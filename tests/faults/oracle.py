"""The oracle: what must hold after any death, asked of the database, the files and the provider's own ledger.

Each I-number is that of the promise it checks; check() returns what is broken, in words.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from hub import anchor, keys
from outbox.deliver import SLICE
from store import roots
from store import tables as t
from store.unit import Unit
from tests.faults.ledger import Call

LEASED_AT_MOST = timedelta(seconds=35)  # a lease of 30 s and a sweep of 5 s
KNOWN = ("accepted", "sent", "delivered", "read")  # SENT in the promise: the provider named the message
DONE = ("settled", "stopped", "buried")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a run leaves behind."""

    data_dir: Path
    at: datetime  # the hub's clock
    answered: dict[str, int]  # marker of every report that was answered
    found: Sequence[str]  # marker of every report that stands in the queue
    calls: Sequence[Call]  # the provider's ledger
    deaths: int
    release: str = ""
    is_approved: bool = False
    shown: dict[str, str] = field(default_factory=dict)


def check(unit: Unit, evidence: Evidence) -> list[str]:
    """Everything that is not as promised; empty when all is well."""
    checks = (_answered, _unique, _attempts, _ledger, _artefacts, _journal, _leases, _sums, _files)
    return [broken for one in checks for broken in one(unit, evidence)]


def is_quiet(unit: Unit) -> bool:
    """Whether nothing is on its way any more."""
    open_rows = (
        sa.select(t.inbound.c.id).where(t.inbound.c.state == "received"),
        sa.select(t.dispatch.c.id).where(t.dispatch.c.state.in_(("ready", "open"))),
        sa.select(t.parcel_row.c.id).where(t.parcel_row.c.state.not_in(DONE)),
        sa.select(t.delivery.c.parcel).where(t.delivery.c.state.in_(("queued", "sending"))),
        sa.select(t.release_row.c.id).where(t.release_row.c.state.in_(("approved", "publishing"))),
    )
    return all(unit.row(query.limit(1)) is None for query in open_rows)


def progress(unit: Unit) -> dict[str, int]:
    """Rows by state: unchanged between two looks when only dead workers hold what is left."""
    found: dict[str, int] = {}
    for table in (t.inbound, t.dispatch, t.parcel_row, t.delivery):
        query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
        found |= {f"{table.name} {state}": count for state, count in unit.rows(query)}
    return found


def _answered(_: Unit, evidence: Evidence) -> Iterator[str]:
    """I1."""
    for marker in evidence.answered.keys() - set(evidence.found):
        yield f"I1 answered and lost: {marker!r}"


def _unique(unit: Unit, evidence: Evidence) -> Iterator[str]:
    """I2."""
    for marker, count in Counter(evidence.found).items():
        if count != 1:
            yield f"I2 {count} reports of {marker!r}"
    i = t.inbound.c
    twice = sa.select(i.channel, i.external_id).group_by(i.channel, i.external_id).having(sa.func.count() > 1)
    for row in unit.rows(twice):
        yield f"I2 {row.channel} {row.external_id} is there twice"
    for row in unit.rows(
        sa.select(i.id).where(i.state == "filed", i.report.not_in(sa.select(t.report_row.c.id)))
    ):
        yield f"I2 {row.id} is filed without a report"


def _attempts(unit: Unit, evidence: Evidence) -> Iterator[str]:
    """I3 and R3: a call is repeated only after one that was provably not taken."""
    counted: dict[str, list[Call]] = {}
    for call in evidence.calls:
        counted.setdefault(call.tag, []).append(call)
    for tag, calls in counted.items():
        if any(call.is_taken or call.is_ambiguous for call in calls[:-1]):
            yield f"I3 {tag} was called again after {[c.act for c in calls]}"
    taken = Counter(
        (c.to, c.sha256) for c in evidence.calls if c.is_taken and c.sha256 in evidence.shown.values()
    )
    for (to, _), count in taken.items():
        if count > 1:
            yield f"I3 {to} has the same warning {count} times"


def _ledger(unit: Unit, evidence: Evidence) -> Iterator[str]:
    """I3 and R4: what the provider took and we do not know of is unsure, and that is bounded."""
    d = t.delivery.c
    rows = unit.rows(sa.select(d.parcel, d.seq, d.state))
    states = {f"{row.parcel}-{row.seq}": row.state for row in rows}  # the tag as the wire sends it along
    taken = {call.tag for call in evidence.calls if call.is_taken}
    for tag in taken - states.keys():
        yield f"I3 the provider took {tag!r}, which no row knows"
    for tag, state in states.items():
        if state in KNOWN and tag not in taken:
            yield f"I3 {tag} is {state} here and unknown there"
        if tag in taken and state not in (*KNOWN, "unsure"):
            yield f"I3 the provider took {tag}, which is {state} here"
    unsure = sum(state == "unsure" for state in states.values())
    in_hand = Counter(row.parcel for row in rows)
    bound = sum(call.is_ambiguous for call in evidence.calls) + evidence.deaths * sum(
        min(count, SLICE) for count in in_hand.values()
    )
    if unsure > bound:
        yield f"I3 {unsure} unsure, more than {bound}"


def _artefacts(unit: Unit, evidence: Evidence) -> Iterator[str]:
    """I4 and R6: what left for many is what was approved, byte for byte."""
    a = t.artefact.c
    for row in unit.rows(sa.select(a.id, a.body, a.sha256)):
        if hashlib.sha256(row.body).hexdigest() != row.sha256:
            yield f"I4 artefact {row.id} is not its digest"
    d = t.dispatch.c
    promised = {row.id: row.sha256 for row in unit.rows(sa.select(d.id, d.sha256))}
    of_parcel = {
        row.id: row.dispatch for row in unit.rows(sa.select(t.parcel_row.c.id, t.parcel_row.c.dispatch))
    }
    for call in evidence.calls:
        parcel = call.tag.rpartition("-")[0]
        if promised.get(of_parcel.get(parcel, "")) != call.sha256:
            yield f"I4 call {call.n} carried other bytes than its dispatch promised"
    states = {row.id: row.state for row in unit.rows(sa.select(t.release_row.c.id, t.release_row.c.state))}
    if evidence.is_approved and states.get(evidence.release) != "published":
        yield f"I4 the release was approved and is {states.get(evidence.release)}"
    if evidence.is_approved:
        rows = unit.rows(sa.select(d.channel, d.language, d.sha256).where(d.release == evidence.release))
        main = {f"{row.channel} {row.language}": row.sha256 for row in rows}
        for name in [name for name, sha256 in evidence.shown.items() if main.get(name) != sha256]:
            yield f"I4 {name} was approved and is not promised"


def _journal(unit: Unit, evidence: Evidence) -> Iterator[str]:
    """I5."""
    made = keys.load(evidence.data_dir / "keys", may_make=False)
    _, findings = roots.verify(unit, made.journal_root.public_key(), anchor.read(evidence.data_dir))
    for found in findings:
        yield f"I5 {found.where}: {found.what}"


def _leases(unit: Unit, evidence: Evidence) -> Iterator[str]:
    """I6."""
    p = t.parcel_row.c
    late = evidence.at - LEASED_AT_MOST + timedelta(seconds=30)
    for row in unit.rows(sa.select(p.id).where(p.state == "leased", p.lease_until < late)):
        yield f"I6 {row.id} is leased to a dead worker"


def _sums(unit: Unit, evidence: Evidence) -> Iterator[str]:
    """I7: rows by state make up the audience that was approved."""
    query = (
        sa.select(t.release_row.c.id, t.release_row.c.reach, sa.func.count(t.delivery.c.seq))
        .join(t.dispatch, t.dispatch.c.release == t.release_row.c.id)
        .join(t.parcel_row, t.parcel_row.c.dispatch == t.dispatch.c.id)
        .join(t.delivery, t.delivery.c.parcel == t.parcel_row.c.id)
        .where(t.release_row.c.state == "published", t.dispatch.c.purpose == "main")
        .group_by(t.release_row.c.id, t.release_row.c.reach)
    )
    for release, reach, count in unit.rows(query):
        if reach != count:
            yield f"I7 {release} was approved for {reach} and has {count} deliveries"


def _files(unit: Unit, evidence: Evidence) -> Iterator[str]:
    """I8: no row without its file, no public index without its page, nothing left in the spool.

    A file without a row may be left by a death between the two: at most one for each death and large message.
    """
    blobs = evidence.data_dir / "blobs"
    on_disk = {
        path.name: path for path in blobs.rglob("*") if path.is_file() and not path.name.startswith(".")
    }
    in_rows = {row.sha256 for row in unit.rows(sa.select(t.blob.c.sha256))}
    for name in in_rows - on_disk.keys():
        yield f"I8 blob {name} has a row and no file"
    for name, path in on_disk.items():
        if hashlib.sha256(path.read_bytes()).hexdigest() != name:
            yield f"I8 blob {name} holds other bytes"
    if len(on_disk.keys() - in_rows) > 2 * evidence.deaths:
        yield f"I8 {len(on_disk.keys() - in_rows)} blobs without a row"
    for path in (evidence.data_dir / "spool").rglob("*.frame"):
        yield f"I8 {path.name} waits in the spool"
    if evidence.is_approved:
        yield from _pages(evidence)


def _pages(evidence: Evidence) -> Iterator[str]:
    public = evidence.data_dir / "public"
    for needed in (f"alerts/{evidence.release}/index.html", f"public/cap/{evidence.release}.xml"):
        if not (public / needed).is_file():
            yield f"I8 {needed} is missing"
    sha = evidence.shown.get("cap_feed mul")
    cap = public / f"public/cap/{evidence.release}.xml"
    if cap.is_file() and hashlib.sha256(cap.read_bytes()).hexdigest() != sha:
        yield "I8 the CAP file is not what was approved"
