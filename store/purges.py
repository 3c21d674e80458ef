"""What two persons destroy: the order, and everything of a report that it makes unreadable."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.further import UploadState
from domain.secrecy import PURGES, Compartment, PurgeState
from store import notices, sketches, uploads
from store import tables as t
from store.tables_further import upload
from store.tables_incidents import incident, likeness, report_incident
from store.tables_peers import bulletin_arrival
from store.tables_routing import handover
from store.tables_secrecy import purge
from store.unit import Unit

TOGETHER = 100  # orders whose files are looked at in one sweep
NO_WORDS = ""  # what an unsent draft says after its report was destroyed


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """One of them."""

    id: str
    report: str
    state: PurgeState
    reason: str
    ordered_by: str
    ordered_at: datetime
    settled_by: str
    settled_at: datetime | None


def add(unit: Unit, made: Purge) -> bool:
    """Enter an order; False when the report has one already."""
    return unit.add_once(purge, {
        "id": made.id, "report": made.report, "state": made.state.value, "reason": made.reason,
        "ordered_by": made.ordered_by, "ordered_at": made.ordered_at, "blobs": [],
    })  # fmt: skip


def get(unit: Unit, purge_id: str) -> Purge | None:
    """One of them, its row locked to the end of the transaction."""
    row = unit.row(unit.locked(sa.select(purge).where(purge.c.id == purge_id)))
    return _purge(row) if row else None


def of_reports(unit: Unit, reports: Sequence[str]) -> dict[str, Purge]:
    """report -> its order, or its destruction; not those that were taken back."""
    p = purge.c
    query = sa.select(purge).where(p.report.in_(reports), p.state != PurgeState.WITHDRAWN.value)
    return {row.report: _purge(row) for row in unit.rows(query)} if reports else {}


def move(unit: Unit, before: Purge, action: str, *, by: str, at: datetime, blobs: Sequence[str] = ()) -> bool:
    """Compare-and-set along `action`; False if somebody was faster. `blobs`: files that are to go."""
    after, p = PURGES.after(before.state, action), purge
    is_it = (p.c.id == before.id, p.c.state == before.state.value)
    values = {"state": after.value, "settled_by": by, "settled_at": at, "blobs": list(blobs)}
    return unit.execute(p.update().where(*is_it).values(**values)).rowcount == 1


def is_any_held(unit: Unit) -> bool:
    """Whether the security officer has something to decide."""
    r, p = t.report_row.c, purge.c
    is_gone = sa.exists().where(p.report == r.id, p.state == PurgeState.CONFIRMED.value)
    query = sa.select(r.id).where(r.compartments >= sa.literal_column(str(int(Compartment.MARKED))))
    return unit.scalar(query.where(sa.not_(is_gone)).limit(1)) is not None


def held(unit: Unit) -> int:
    """How many bear a mark and have not been destroyed."""
    r, p = t.report_row.c, purge.c
    is_gone = sa.exists().where(p.report == r.id, p.state == PurgeState.CONFIRMED.value)
    is_marked = r.compartments >= sa.literal_column(str(int(Compartment.MARKED)))
    return int(
        unit.scalar(sa.select(sa.func.count()).select_from(t.report_row).where(is_marked, sa.not_(is_gone)))
        or 0
    )


def destroy(unit: Unit, report_id: str, at: datetime) -> list[str]:
    """Make everything that was said in or about a report unreadable; the files that nothing else names any more.

    Hashes, rows and journal stay. The files themselves go after the commit (due()).
    """
    messages = _messages(unit, report_id)
    owners = [report_id, *messages, *_at_the_desk(unit, report_id)]
    for owner in dict.fromkeys(owners):
        unit.vault.destroy(unit.connection, owner, at)
    sketches.forget(unit, report_id)
    unit.execute(
        likeness.delete().where(sa.or_(likeness.c.report == report_id, likeness.c.other == report_id))
    )
    unit.execute(t.study.update().where(t.study.c.report == report_id).values(due_at=None))
    _blank_drafts(unit, report_id)
    _blank_titles(unit, report_id)
    _blank_handovers(unit, report_id)
    notices.erase(unit, report_id, messages, at)
    said, route = sa.type_coerce(t.idempotency.c.body, sa.Text), t.idempotency.c.route
    for owner in owners:  # answers that programs may ask for again, and those that only their address names
        is_of_it = sa.or_(said.contains(owner, autoescape=True), route.contains(owner, autoescape=True))
        unit.execute(t.idempotency.delete().where(is_of_it))
    return _files(unit, report_id, messages, uploads.erase(unit, report_id, at))


def add_files(unit: Unit, report_id: str, names: Sequence[str]) -> None:
    """Files that only now are known to be of a destroyed report: they are looked at like those it named."""
    p = purge.c
    is_it = (p.report == report_id, p.state == PurgeState.CONFIRMED.value)
    row = unit.row(unit.locked(sa.select(p.id, p.blobs).where(*is_it)))
    if row and names:
        values = {"blobs": sorted({*row.blobs, *names}), "swept_at": None}
        unit.execute(purge.update().where(p.id == row.id).values(**values))


def due(unit: Unit) -> list[tuple[str, list[str]]]:
    """(order, files) of what is confirmed and whose files have not been looked at for the last time."""
    p = purge.c
    query = sa.select(p.id, p.blobs).where(p.state == PurgeState.CONFIRMED.value, p.swept_at.is_(None))
    return [(row.id, list(row.blobs)) for row in unit.rows(query.order_by(p.settled_at).limit(TOGETHER))]


def swept(unit: Unit, purge_id: str, at: datetime) -> None:
    """Its files are gone."""
    unit.execute(purge.update().where(purge.c.id == purge_id, purge.c.swept_at.is_(None)).values(swept_at=at))


def is_named(unit: Unit, sha256: str, *, but: Sequence[str] = ()) -> bool:
    """Whether anything that can still be read names a file: a report, one that waits to be attached to it, a message,
    a bulletin, the shelf.

    `but`: reports, or names that messages were given, that do not count.
    """
    b, i, d, u = t.report_blob.c, t.inbound.c, t.data_key.c, upload.c
    reads = sa.and_(d.wrapped.is_not(None), d.owner.not_in(but))
    named = (
        sa.select(b.sha256).join(t.data_key, d.owner == b.report).where(b.sha256 == sha256, reads),
        sa.select(i.blob).join(t.data_key, d.owner == i.report).where(i.blob == sha256, reads),
        sa.select(u.sha256)
        .join(t.data_key, d.owner == u.report)
        .where(u.sha256 == sha256, u.state == UploadState.WHOLE.value, reads),
        sa.select(t.shelf.c.blob).where(t.shelf.c.blob == sha256),
        sa.select(bulletin_arrival.c.blob).where(bulletin_arrival.c.blob == sha256),
    )
    return any(unit.scalar(query.limit(1)) is not None for query in named)


def _messages(unit: Unit, report_id: str) -> list[str]:
    """The names under which the messages of a report are sealed: its first, its pieces, what followed.

    Not that of one which is another report by now (separate()): its key is that report's.
    """
    i, p, f = t.inbound.c, t.piece.c, t.follow_up.c
    of_pieces = sa.select(i.report).join(t.piece, p.inbound == i.id).where(p.report == report_id)
    of_others = sa.select(i.report).join(t.follow_up, f.inbound == i.id)
    of_others = of_others.where(f.report == report_id, f.linked == "")
    first = sa.select(i.report).where(i.report == report_id)
    named = sa.union(first, of_pieces, of_others).subquery()
    r = t.report_row.c
    is_another = sa.exists().where(r.id == named.c.report, r.id != report_id)
    return [row.report for row in unit.rows(sa.select(named.c.report).where(sa.not_(is_another)))]


def _at_the_desk(unit: Unit, report_id: str) -> list[str]:
    """The call slip that became it, with the call behind it."""
    s, g = t.slip.c, t.ring.c
    query = sa.union(
        sa.select(s.id).where(s.report == report_id), sa.select(g.id).where(g.report == report_id)
    )
    return [row.id for row in unit.rows(query)]


def _blank_drafts(unit: Unit, report_id: str) -> None:
    """Drafts made of it that were never approved say nothing any more."""
    r = t.release_row
    query = sa.select(r.c.id, r.c.body).where(r.c.from_report == report_id, r.c.approved_at.is_(None))
    for row in unit.rows(query):
        body = {**row.body, "fields": _blank(row.body["fields"])}
        unit.execute(r.update().where(r.c.id == row.id).values(body=body))


def _blank(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _blank(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_blank(one) for one in value]
    return NO_WORDS if isinstance(value, str) else value


def _blank_titles(unit: Unit, report_id: str) -> None:
    """An incident is called after its reports: one that this report alone made is called by its own name."""
    m = report_incident.c
    mine = sa.select(m.incident).where(m.report == report_id)
    others = sa.select(m.incident).where(m.incident.in_(mine), m.report != report_id)
    query = sa.select(incident.c.id).where(incident.c.id.in_(mine), incident.c.id.not_in(others))
    for row in unit.rows(query):
        sealed = unit.vault.key(unit.connection, row.id).seal("incident.title", row.id.encode())
        unit.execute(incident.update().where(incident.c.id == row.id).values(title=sealed))


def _blank_handovers(unit: Unit, report_id: str) -> None:
    """Why it was handed on or refused was said of it; whom and when stays."""
    values = {"why": NO_WORDS, "declined_why": NO_WORDS}
    unit.execute(handover.update().where(handover.c.report == report_id).values(**values))


def _files(unit: Unit, report_id: str, messages: Sequence[str], uploaded: Sequence[str]) -> list[str]:
    b, i = t.report_blob.c, t.inbound.c
    named = sa.union(
        sa.select(b.sha256.label("sha256")).where(b.report == report_id),
        sa.select(i.blob.label("sha256")).where(i.report.in_([report_id, *messages]), i.blob.is_not(None)),
    )
    found = sorted({*(row.sha256 for row in unit.rows(named)), *uploaded})
    return [name for name in found if not is_named(unit, name, but=[report_id, *messages])]


def _purge(row: sa.Row[Any]) -> Purge:
    return Purge(
        id=row.id, report=row.report, state=PurgeState(row.state), reason=row.reason, ordered_by=row.ordered_by,
        ordered_at=row.ordered_at, settled_by=row.settled_by or "", settled_at=row.settled_at,
    )  # fmt: skip
