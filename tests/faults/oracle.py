"""The oracle: what must hold after any death, asked of the database, the files and the provider's own ledger.

Each I-number is that of the promise it checks; check() returns what is broken, in words.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from domain.parcel import REACHED
from hub import keys
from outbox import progress as progress_of
from outbox.deliver import SLICE
from store import roots
from store import tables as t
from store.tables_chat import piece
from store.tables_further import upload
from store.tables_peers import bulletin_arrival
from store.unit import Unit
from tests.faults.ledger import Call
from tests.faults.walkers import Warned
from workers.timers import RUNNERS

LEASED_AT_MOST = timedelta(seconds=35)  # a lease of 30 s and a sweep of 5 s
RECALLED_WITHIN = 1.0  # seconds from the answer to a recall, after which no call may begin (R9)
KNOWN = ("accepted", "sent", "delivered", "read")  # SENT in the promise: the provider named the message
DONE = ("settled", "stopped", "buried")
ENDED = {"": "published", "stop": "stopped", "correct": "corrected", "cancel": "cancelled"}
GOES = ("approved", "publishing", *ENDED.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a run leaves behind."""

    data_dir: Path
    anchors: Mapping[int, str]  # read before the rows are: the hub may go on sealing meanwhile
    at: datetime  # the hub's clock
    answered: dict[str, int]  # marker of every report that was answered
    found: Sequence[str]  # marker of every report that stands in the queue
    calls: Sequence[Call]  # the provider's ledger
    deaths: int
    slices: int = 0  # that were begun or answered in a COMMIT of which nobody heard
    threads: int = 4  # that deliver in one process, for each of its lanes
    warnings: Sequence[Warned] = ()
    # A hub at work sends on while it is looked at: what stands there that is not yet in `calls` may be in these.
    later: Callable[[], Sequence[Call]] | None = None  # the ledger again
    spare: Callable[[], frozenset[str]] = (
        frozenset  # the names under which the spare provider has taken messages
    )


def check(unit: Unit, evidence: Evidence) -> list[str]:
    """Everything that is not as promised; empty when all is well."""
    checks = (_answered, _unique, _attempts, _ledger, _recalled, _artefacts, approvals, _journal, _leases, _sums,
              _endings, _proofs, _files)  # fmt: skip
    return [broken for one in checks for broken in one(unit, evidence)]


def is_quiet(unit: Unit) -> bool:
    """Whether nothing is on its way any more."""
    open_rows = (
        sa.select(t.inbound.c.id).where(t.inbound.c.state == "received"),
        sa.select(t.dispatch.c.id).where(t.dispatch.c.state.in_(("ready", "open"))),
        sa.select(t.parcel_row.c.id).where(t.parcel_row.c.state.not_in(DONE)),
        sa.select(t.delivery.c.parcel).where(t.delivery.c.state.in_(("queued", "sending"))),
        sa.select(t.release_row.c.id).where(t.release_row.c.state.in_(("approved", "publishing"))),
        sa.select(upload.c.id).where(upload.c.state == "whole"),
        sa.select(bulletin_arrival.c.id).where(bulletin_arrival.c.state == "received"),
    )
    return all(unit.row(query.limit(1)) is None for query in open_rows)


def progress(unit: Unit) -> dict[str, int]:
    """Rows by state: unchanged between two looks when only dead workers hold what is left."""
    found: dict[str, int] = {}
    for table in (t.inbound, t.dispatch, t.parcel_row, t.delivery):
        query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
        found |= {f"{table.name} {state}": count for state, count in unit.rows(query)}
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How far the look-ups are."""

    unsure: int
    noted: int
    looks: int
    due_at: datetime | None  # of the next look at one that is unsure


def asked(unit: Unit) -> Asked:
    """What is unsure, and when it is asked about next."""
    d, y = t.delivery.c, t.look_up.c
    unsure = sa.select(sa.func.count()).select_from(t.delivery).where(d.state == "unsure")
    both = t.look_up.join(t.delivery, sa.and_(d.parcel == y.parcel, d.seq == y.seq, d.state == "unsure"))
    count, looks, due_at = unit.row(  # type: ignore[misc]
        sa.select(
            sa.func.count(), sa.func.coalesce(sa.func.sum(y.looks), 0), sa.func.min(y.due_at)
        ).select_from(both)
    )
    return Asked(unsure=int(unit.scalar(unsure) or 0), noted=count, looks=int(looks), due_at=due_at)


def equal(unit: Unit, calls: Sequence[Call]) -> list[str]:
    """R4, once nothing is unsure: what the provider has taken is exactly what we call sent."""
    d = t.delivery.c
    rows = unit.rows(_of_provider().where(d.state.in_(KNOWN), d.spare.is_(None)))
    ours, theirs = {f"{row.parcel}-{row.seq}" for row in rows}, {call.tag for call in calls if call.is_taken}
    return [f"I3 {tag} is sent here and unknown there" for tag in ours - theirs] + [
        f"I3 the provider took {tag}, which is not sent here" for tag in theirs - ours
    ]


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
    is_piece = sa.or_(
        sa.and_(i.channel == "voice", i.external_id.contains("/")), i.id.in_(sa.select(piece.c.inbound))
    )  # of another message's report
    lone = sa.select(i.id).where(i.state == "filed", i.report.not_in(sa.select(t.report_row.c.id)), ~is_piece)
    for row in unit.rows(lone):
        yield f"I2 {row.id} is filed without a report"
    of_call = sa.select(i.id, i.external_id).where(i.state == "filed", i.channel == "voice", is_piece)
    has_report = sa.select(i.external_id).where(
        i.channel == "voice", i.report.in_(sa.select(t.report_row.c.id))
    )
    calls = {row.external_id for row in unit.rows(has_report)}
    for row in unit.rows(of_call):
        if row.external_id.partition("/")[0] not in calls:
            yield f"I2 {row.id} is filed, and its call has no report"


def _attempts(unit: Unit, evidence: Evidence) -> Iterator[str]:
    """I3 and R3: a call is repeated only after one that was provably not taken, at once or by the provider's list."""
    y = t.look_up.c
    looked = list(unit.rows(sa.select(y.parcel, y.seq, y.repeats, y.is_double)))
    repeats = {f"{r.parcel}-{r.seq}": r.repeats for r in looked}
    doubles = {f"{r.parcel}-{r.seq}" for r in looked if r.is_double}  # R4 (b): marked, and approved so
    counted: dict[str, list[Call]] = {}
    for call in evidence.calls:
        counted.setdefault(call.tag, []).append(call)
    for tag, calls in counted.items():
        unclear = sum(call.is_ambiguous for call in calls[:-1])
        had = sum(call.is_taken for call in calls[:-1])
        if had > int(tag in doubles) or unclear > repeats.get(tag, 0):
            yield f"I3 {tag} was called again after {[c.act for c in calls]}"
    of_parcel = _promises(unit)
    taken = Counter(
        (c.to, promise.release, promise.purpose)
        for c in evidence.calls
        if c.is_taken
        and c.tag not in doubles
        and (promise := of_parcel.get(c.tag.rpartition("-")[0]))
        and promise.release
    )
    for (to, release, purpose), count in taken.items():
        if count > 1:
            yield f"I3 {to} has the {purpose} of {release} {count} times"


def _promises(unit: Unit) -> dict[str, sa.Row[Any]]:
    """Parcel -> its dispatch."""
    x, p = t.dispatch, t.parcel_row.c
    query = sa.select(x, p.id.label("parcel")).join(t.parcel_row, p.dispatch == x.c.id)
    return {row.parcel: row for row in unit.rows(query)}


def _ledger(unit: Unit, evidence: Evidence) -> Iterator[str]:
    """I3 and R4: what the provider took and we do not know of is unsure, and that is bounded."""
    rows = {
        f"{row.parcel}-{row.seq}": row for row in unit.rows(_of_provider())
    }  # the tag as the wire sends it along
    y = t.look_up.c
    doubles = {f"{r.parcel}-{r.seq}" for r in unit.rows(sa.select(y.parcel, y.seq).where(y.is_double))}
    taken = {call.tag for call in evidence.calls if call.is_taken}
    for tag in taken - rows.keys():
        yield f"I3 the provider took {tag!r}, which no row knows"
    by_now = {call.tag for call in evidence.later() if call.is_taken} if evidence.later else taken
    by_spare = evidence.spare()
    for tag, row in rows.items():
        is_there = row.provider_id in by_spare if row.spare else tag in by_now
        if row.state in KNOWN and not is_there:
            way = row.spare or "the channel's own wire"
            yield f"I3 {tag} is {row.state} here, by {way}, and unknown there"
        if tag in taken and row.state not in (*KNOWN, "unsure"):
            yield f"I3 the provider took {tag}, which is {row.state} here"
        if tag in taken and row.spare and row.state in KNOWN and tag not in doubles:
            yield f"I3 {tag} was taken by the provider and by its spare"
    unsure = Counter(row.code for row in rows.values() if row.state == "unsure")
    if unsure.total() > bound(evidence):
        yield f"I3 {unsure.total()} unsure, more than {bound(evidence)}: {dict(unsure)}"


def _of_provider() -> sa.Select[Any]:
    """Deliveries by the channel whose provider keeps the ledger."""
    d, p, x = t.delivery.c, t.parcel_row.c, t.dispatch.c
    query = sa.select(d.parcel, d.seq, d.state, d.code, d.spare, d.provider_id).join(
        t.parcel_row, p.id == d.parcel
    )
    return query.join(t.dispatch, x.id == p.dispatch).where(x.channel == "sms")


def bound(evidence: Evidence) -> int:
    """How many may be unsure: the answers that say nothing, and what the dead had in hand."""
    return (
        sum(call.is_ambiguous for call in evidence.calls)
        + evidence.deaths * in_hand(evidence.threads)
        + evidence.slices * SLICE
    )


def in_hand(threads: int) -> int:
    """Deliveries whose attempt one process may have written down and not yet answered: workers times slice.

    Its workers are the threads of three lanes (urgent, mail, the rest) and those of its sweep.
    """
    return (2 * threads + max(threads // 2, 2) + RUNNERS) * SLICE


def _recalled(unit: Unit, evidence: Evidence) -> Iterator[str]:
    """R9: what has been recalled does not leave, however long ago it was taken in hand."""
    ended = {one.id: one.ended_at for one in evidence.warnings if one.ending}
    of_parcel = _promises(unit)
    for call in evidence.calls:
        promise = of_parcel.get(call.tag.rpartition("-")[0])
        if promise is None or promise.purpose != "main" or promise.release not in ended:
            continue
        late = call.begun - ended[promise.release]
        if late > RECALLED_WITHIN:
            yield f"I3 call {call.n} of {promise.release} began {late:.2f} s after its recall"


def _artefacts(unit: Unit, evidence: Evidence) -> Iterator[str]:
    """I4 and R6: what left for many is what was approved, byte for byte."""
    a = t.artefact.c
    for row in unit.rows(sa.select(a.id, a.body, a.sha256)):
        if hashlib.sha256(row.body).hexdigest() != row.sha256:
            yield f"I4 artefact {row.id} is not its digest"
    of_parcel = _promises(unit)
    for call in evidence.calls:
        promise = of_parcel.get(call.tag.rpartition("-")[0])
        if promise is None or promise.sha256 != call.sha256:
            yield f"I4 call {call.n} carried other bytes than its dispatch promised"
    states = {row.id: row.state for row in unit.rows(sa.select(t.release_row.c.id, t.release_row.c.state))}
    d = t.dispatch.c
    for warned in evidence.warnings:
        if not warned.is_approved:
            continue
        if states.get(warned.id) != ENDED[warned.ending]:
            yield f"I4 {warned.id} was approved, then {warned.ending or 'left'}, and is {states.get(warned.id)}"
        rows = unit.rows(
            sa.select(d.channel, d.language, d.sha256).where(d.release == warned.id, d.purpose == "main")
        )
        main = {f"{row.channel} {row.language}": row.sha256 for row in rows}
        for name in [name for name, sha256 in warned.shown.items() if main.get(name) != sha256]:
            yield f"I4 {name} of {warned.id} was approved and is not promised"


def approvals(unit: Unit, _: object = None) -> Iterator[str]:
    """R8: state, vote, journal entry, and a promise for each artefact of the digest; together or not at all."""
    a, d, j, r = t.artefact.c, t.dispatch.c, t.journal.c, t.release_row.c
    v = t.approval.c
    voted = {row.release for row in unit.rows(sa.select(v.release).where(v.act == "approve"))}
    noted = {
        row.entity for row in unit.rows(sa.select(j.entity).where(j.kind == "release", j.act == "approve"))
    }
    for row in unit.rows(sa.select(r.id, r.state, r.digest)):
        mine = (a.release == row.id, a.digest == row.digest, a.purpose == "main")
        wanted = unit.scalar(sa.select(sa.func.count()).select_from(t.artefact).where(*mine))
        query = (
            sa.select(sa.func.count()).select_from(t.dispatch).where(d.release == row.id, d.purpose == "main")
        )
        there = unit.scalar(query)
        is_going = row.state in GOES
        found = (row.id in voted, row.id in noted, there == wanted and wanted > 0, there > 0)
        if found != (is_going,) * 4:
            yield f"I4 {row.id} is {row.state} with (vote, entry, all promises, any promise) = {found}"


def _journal(unit: Unit, evidence: Evidence) -> Iterator[str]:
    """I5."""
    made = keys.load(evidence.data_dir / "keys", may_make=False)
    _, findings = roots.verify(unit, made.journal_root.public_key(), evidence.anchors)
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
    r = t.release_row.c
    for row in unit.rows(sa.select(r.id).where(r.state.in_(GOES))):
        if not (found := progress_of.summary(unit, row.id))["adds_up"]:
            yield f"I7 {row.id} does not add up: {found}"


def _endings(unit: Unit, evidence: Evidence) -> Iterator[str]:
    """R10, R31: the ending went to exactly those whom the warning reached, or may have."""
    d, p, x = t.delivery.c, t.parcel_row.c, t.dispatch.c
    query = (
        sa.select(d.address, d.state, x.purpose)
        .join(t.parcel_row, p.id == d.parcel)
        .join(t.dispatch, x.id == p.dispatch)
    )
    for warned in evidence.warnings:
        if warned.ending not in ("correct", "cancel"):
            continue
        rows = unit.rows(query.where(x.release == warned.id))
        reached = {row.address for row in rows if row.purpose == "main" and row.state in map(str, REACHED)}
        told = Counter(row.address for row in rows if row.purpose != "main")
        for address in reached - told.keys():
            yield f"I7 {address} has {warned.id} and nobody told him that it is over"
        for address in told.keys() - {row.address for row in rows if row.purpose == "main"}:
            yield f"I7 {address} was told the end of {warned.id}, which never went to him"


def _proofs(unit: Unit, _: Evidence) -> Iterator[str]:
    """R13: "accepted" and more has the provider's name of the message, "delivered" has a receipt."""
    d, r = t.delivery.c, t.receipt.c
    for row in unit.rows(
        sa.select(d.parcel, d.seq, d.state).where(d.state.in_(KNOWN), d.provider_id.is_(None))
    ):
        yield f"I7 {row.parcel}-{row.seq} is {row.state} without a provider's name"
    stored = sa.exists().where(r.channel == t.dispatch.c.channel, r.provider_id == d.provider_id,
                               r.state.in_(("delivered", "read")))  # fmt: skip
    query = sa.select(d.parcel, d.seq).join(t.parcel_row, t.parcel_row.c.id == d.parcel)
    query = query.join(t.dispatch, t.dispatch.c.id == t.parcel_row.c.dispatch)
    for row in unit.rows(query.where(d.state.in_(("delivered", "read")), ~stored)):
        yield f"I7 {row.parcel}-{row.seq} is delivered without a receipt"


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
    public = evidence.data_dir / "public"
    for warned in evidence.warnings:
        if warned.is_approved:
            yield from _pages(public, warned)


def _pages(public: Path, warned: Warned) -> Iterator[str]:
    """The files of a release: as approved, and all there unless it ended before its lanes began."""
    page, cap = f"alerts/{warned.id}/index.html", f"public/cap/{warned.id}.xml"
    for needed in () if warned.ending else (page, cap):
        if not (public / needed).is_file():
            yield f"I8 {needed} is missing"
    sha = warned.shown.get("cap_feed mul")
    if (public / cap).is_file() and hashlib.sha256((public / cap).read_bytes()).hexdigest() != sha:
        yield f"I8 {cap} is not what was approved"
