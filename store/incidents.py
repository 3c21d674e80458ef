"""Incidents with their reports, and what is proposed to be one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from domain.errors import Conflict, NotFound
from domain.incident import Incident, IncidentState, Membership
from store import tables as t
from store.tables_incidents import incident, likeness, report_incident
from store.unit import Unit

TOP = 3  # candidates that a desk shows: the fourth was right in none of the labelled sets
STEPS = 20  # merges that are followed; a chain of more than that has a circle


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What may be the same: another report, with the incident it stands in."""

    other: str
    code: str
    score: float
    reasons: tuple[tuple[str, int], ...]
    incident: str  # '' for a report that is of none
    is_refused: bool = False


def propose(
    unit: Unit, report: str, found: Iterable[tuple[str, float, Sequence[tuple[str, int]]]], at: datetime
) -> None:
    """Write down what a report may be the same as; what an officer refused stays refused, the rest is as found now."""
    k = likeness
    unit.execute(k.delete().where(k.c.report == report, k.c.refused_at.is_(None)))
    insert: Any = (postgresql if unit.is_postgres else sqlite).insert(k)
    for other, score, reasons in found:
        values = {"report": report, "other": other, "score": score, "reasons": [list(r) for r in reasons],
                  "found_at": at}  # fmt: skip
        unit.execute(insert.values(values).on_conflict_do_nothing())


def candidates(unit: Unit, report: str, *, limit: int = TOP) -> list[Candidate]:
    """The best of either direction, one an incident, without those of incidents that the report is in."""
    k, r, m = likeness.c, t.report_row.c, report_incident.c
    pairs = sa.union_all(
        sa.select(k.other.label("other"), k.score, k.reasons, k.refused_at, sa.literal(1).label("sign"))
        .where(k.report == report),
        sa.select(k.report.label("other"), k.score, k.reasons, k.refused_at, sa.literal(-1).label("sign"))
        .where(k.other == report),
    ).subquery()  # fmt: skip
    is_in = sa.and_(m.report == pairs.c.other, m.removed_at.is_(None))
    query = (
        sa.select(pairs, r.code, m.incident)
        .join(t.report_row, r.id == pairs.c.other)
        .outerjoin(report_incident, is_in)
        .order_by(pairs.c.score.desc(), pairs.c.other)
    )
    rows = unit.rows(query)
    mine = {one.incident for one in memberships(unit, report)}
    refused = {row.other for row in rows if row.refused_at}
    best: dict[str, Candidate] = {}
    for row in rows:
        place = root_of(unit, row.incident) if row.incident else ""
        if place in mine or row.other in refused:
            continue
        best.setdefault(place or row.other, _candidate(row, place))
    return list(best.values())[:limit]


def refuse(unit: Unit, report: str, other: str, *, by: str, at: datetime) -> bool:
    """An officer says that these are two; False when it was not proposed, or is refused already."""
    k = likeness
    pair = sa.or_(
        sa.and_(k.c.report == report, k.c.other == other), sa.and_(k.c.report == other, k.c.other == report)
    )
    done = unit.execute(k.update().where(pair, k.c.refused_at.is_(None)).values(refused_by=by, refused_at=at))
    return done.rowcount > 0


def score_between(unit: Unit, report: str, others: Sequence[str]) -> float | None:
    """The best score between a report and any of `others`; None when nothing was proposed."""
    k = likeness.c
    pair = sa.or_(
        sa.and_(k.report == report, k.other.in_(others)), sa.and_(k.other == report, k.report.in_(others))
    )
    return unit.scalar(sa.select(sa.func.max(k.score)).where(pair)) if others else None


def insert(unit: Unit, new: Incident) -> None:
    """A new incident; its title is sealed with a key of its own."""
    key, wrapped = unit.vault.new_key(new.id)
    unit.vault.keep_keys(unit.connection, {new.id: wrapped})
    unit.execute(incident.insert(), {
        "id": new.id, "title": key.seal("incident.title", new.title.encode()), "state": new.state.value,
        "revision": new.revision, "event_code": new.event_code, "area": new.area, "opened_by": new.opened_by,
        "opened_at": new.opened_at,
    })  # fmt: skip


def get(unit: Unit, incident_id: str, *, lock: bool = False) -> Incident | None:
    """One incident; None also when whoever looks may see none of its reports."""
    query = sa.select(incident).where(incident.c.id == incident_id)
    row = unit.row(unit.locked(query) if lock else query)
    return _opened(unit, [row])[0] if row else None


def change(unit: Unit, before: Incident, after: Incident) -> Incident:
    """Compare-and-set on state and revision. Raises Conflict when somebody was faster."""
    key = unit.vault.key(unit.connection, before.id)
    is_seen = (incident.c.id == before.id, incident.c.state == before.state.value,
               incident.c.revision == before.revision)  # fmt: skip
    values = {"state": after.state.value, "revision": before.revision + 1, "event_code": after.event_code,
              "area": after.area, "merged_into": after.merged_into or None, "closed_reason": after.closed_reason,
              "title": key.seal("incident.title", after.title.encode())}  # fmt: skip
    if unit.execute(incident.update().where(*is_seen).values(**values)).rowcount != 1:
        raise Conflict("somebody else has just changed this incident", code="incident_changed")
    return replace(after, revision=before.revision + 1)


def page(
    unit: Unit,
    states: Sequence[str],
    *,
    limit: int,
    before: tuple[datetime, str] | None = None,
) -> list[Incident]:
    """Newest first, at most `limit`, older than `before` = (opened_at, id)."""
    i = incident.c
    query = sa.select(incident).order_by(i.opened_at.desc(), i.id.desc()).limit(limit)
    if states:
        query = query.where(i.state.in_(states))
    if before:
        place = (sa.literal(before[0], i.opened_at.type), sa.literal(before[1]))
        query = query.where(sa.tuple_(i.opened_at, i.id) < sa.tuple_(*place))
    return _opened(unit, unit.rows(query))


def add(
    unit: Unit, report: str, incident_id: str, *, by: str, at: datetime, score: float | None, via: str = ""
) -> bool:
    """Put a report into an incident; False when it is in it already. One that was taken out comes in again."""
    insert: Any = (postgresql if unit.is_postgres else sqlite).insert(report_incident)
    values = {
        "report": report,
        "incident": incident_id,
        "added_by": by,
        "added_at": at,
        "score": score,
        "via": via,
    }
    again = {
        "added_by": by,
        "added_at": at,
        "score": score,
        "via": via,
        "removed_by": None,
        "removed_at": None,
    }
    statement = insert.values(values).on_conflict_do_update(
        index_elements=["report", "incident"], set_=again, where=report_incident.c.removed_at.is_not(None)
    )
    return unit.execute(statement.execution_options(preserve_rowcount=True)).rowcount == 1


def remove(unit: Unit, report: str, incident_id: str, *, by: str, at: datetime) -> bool:
    """Take a report out; the row stays and says who did. False when it is not in it."""
    m = report_incident
    is_in = (m.c.report == report, m.c.incident == incident_id, m.c.removed_at.is_(None))
    return unit.execute(m.update().where(*is_in).values(removed_by=by, removed_at=at)).rowcount == 1


def members(unit: Unit, incident_id: str, *, via: str | None = None) -> list[Membership]:
    """The reports of an incident in the order of their arrival; with `via`, those that a merge brought."""
    m, r = report_incident.c, t.report_row.c
    query = (
        sa.select(report_incident)
        .join(t.report_row, r.id == m.report)
        .where(m.incident == incident_id, m.removed_at.is_(None))
        .order_by(r.received_at, r.id)
    )
    if via is not None:
        query = query.where(m.via == via)
    return [_membership(row) for row in unit.rows(query)]


def memberships(unit: Unit, report: str) -> list[Membership]:
    """The incidents that a report is in now; not those that were merged into others, which have it too."""
    m = report_incident.c
    query = (
        sa.select(report_incident)
        .join(incident, incident.c.id == m.incident)
        .where(m.report == report, m.removed_at.is_(None), incident.c.state != IncidentState.MERGED.value)
        .order_by(m.added_at, m.incident)
    )
    return [_membership(row) for row in unit.rows(query)]


def of_reports(unit: Unit, reports: Sequence[str]) -> dict[str, str]:
    """report -> its first incident, for those that are in one."""
    m = report_incident.c
    query = (
        sa.select(m.report, m.incident)
        .join(incident, incident.c.id == m.incident)
        .where(m.report.in_(reports), m.removed_at.is_(None), incident.c.state != IncidentState.MERGED.value)
        .order_by(m.added_at.desc())
    )
    return {row.report: row.incident for row in unit.rows(query)} if reports else {}


def sizes(unit: Unit, incidents: Sequence[str]) -> dict[str, int]:
    """incident -> how many reports it has, as far as whoever looks may see."""
    m = report_incident.c
    query = sa.select(m.incident, sa.func.count().label("n")).where(
        m.incident.in_(incidents), m.removed_at.is_(None)
    )
    return {row.incident: row.n for row in unit.rows(query.group_by(m.incident))} if incidents else {}


def root_of(unit: Unit, incident_id: str) -> str:
    """The incident that this one is part of after all merges. Raises NotFound for an unknown one."""
    i, seen = incident.c, ""
    for _ in range(STEPS):
        row = unit.row(sa.select(i.id, i.merged_into).where(i.id == incident_id))
        if row is None and not seen:
            raise NotFound("no such incident")
        if row is None or row.merged_into is None:  # as far as whoever looks may see
            return str(row.id if row else seen)
        seen, incident_id = row.id, row.merged_into
    raise NotFound("no such incident", code="merged_in_a_circle")


def above(unit: Unit, incident_id: str) -> list[str]:
    """What it was merged into, what that was merged into, and so on."""
    i, found = incident.c, []
    for _ in range(STEPS):
        into: str | None = unit.scalar(sa.select(i.merged_into).where(i.id == incident_id))
        if into is None:
            break
        found.append(into)
        incident_id = into
    return found


def brought(unit: Unit, place: str, reports: Sequence[str], *, but: str) -> dict[str, str]:
    """report -> another incident, merged into `place`, that has it too."""
    m, i = report_incident.c, incident.c
    query = (
        sa.select(m.report, m.incident)
        .join(incident, i.id == m.incident)
        .where(i.merged_into == place, i.id != but, m.removed_at.is_(None), m.report.in_(reports))
        .order_by(m.incident.desc())
    )
    return {row.report: row.incident for row in unit.rows(query)} if reports else {}


def _candidate(row: sa.Row[Any], place: str) -> Candidate:
    reasons = tuple((str(code), int(n) * (row.sign if code == "minutes" else 1)) for code, n in row.reasons)
    return Candidate(other=row.other, code=row.code, score=row.score, reasons=reasons, incident=place)


def _membership(row: sa.Row[Any]) -> Membership:
    return Membership(report=row.report, incident=row.incident, added_by=row.added_by, added_at=row.added_at,
                      score=row.score)  # fmt: skip


def _opened(unit: Unit, rows: Sequence[sa.Row[Any]]) -> list[Incident]:
    keys = unit.vault.keys(unit.connection, [row.id for row in rows]) if rows else {}
    return [
        Incident(id=row.id, title=keys[row.id].open("incident.title", row.title).decode(),
                 state=IncidentState(row.state), revision=row.revision, opened_by=row.opened_by, opened_at=row.opened_at,
                 event_code=row.event_code, area=row.area, merged_into=row.merged_into or "",
                 closed_reason=row.closed_reason)
        for row in rows
    ]  # fmt: skip
