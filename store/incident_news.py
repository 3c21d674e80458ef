"""Who is to hear that a further report tells of an incident, until he has seen it."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from domain.person import Person
from store import tables as t
from store.tables_field import incident_news
from store.tables_incidents import incident, report_incident
from store.unit import Unit


def holders(unit: Unit, incident_id: str) -> set[str]:
    """Who holds it: whoever opened it, and those who have one of its reports in hand."""
    m, r = report_incident.c, t.report_row.c
    claims = sa.select(r.claimed_by).join(report_incident, m.report == r.id)
    claims = claims.where(m.incident == incident_id, m.removed_at.is_(None), r.claimed_by.is_not(None))
    opened = sa.select(incident.c.opened_by).where(incident.c.id == incident_id)
    return {str(row[0]) for row in unit.rows(sa.union(claims, opened)) if row[0]}


def tell(unit: Unit, incident_id: str, report: str, people: Iterable[str], at: datetime) -> None:
    """Each is to hear of it; what he has seen once is no news when it comes again."""
    rows = [
        {"incident": incident_id, "report": report, "person": person, "at": at} for person in sorted(people)
    ]
    if rows:
        unit.add_new(incident_news, rows)


def unseen(unit: Unit, person: Person) -> dict[str, int]:
    """incident -> how many reports came to it that this person has not seen, and may see; the newest first."""
    n = incident_news.c
    query = sa.select(n.incident, sa.func.count().label("n")).where(
        n.person == person.id, n.seen_at.is_(None)
    )
    query = query.group_by(n.incident).order_by(sa.func.max(n.at).desc())
    return {row.incident: row.n for row in unit.rows(query)}


def seen(unit: Unit, incident_id: str, person: str, at: datetime) -> None:
    """He has seen all there is."""
    n = incident_news
    mine = (n.c.incident == incident_id, n.c.person == person, n.c.seen_at.is_(None))
    unit.execute(n.update().where(*mine).values(seen_at=at))
