"""Pictures and sounds that a message only names: one row each, from pending to kept or refused."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from domain.ids import mint
from domain.report import MEDIA, MediaState
from store.tables_media import media
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """One of them."""

    id: str
    report: str
    inbound: str
    n: int
    state: MediaState
    tries: int
    reason: str


def expect(unit: Unit, report_id: str, inbound_id: str, count: int, at: datetime) -> list[str]:
    """Enter `count` of them as pending, due now; their ids."""
    rows = [
        {"id": mint("med", at), "report": report_id, "inbound": inbound_id, "n": n,
         "state": MediaState.PENDING.value, "next_due": at, "changed_at": at}
        for n in range(count)
    ]  # fmt: skip
    for row in rows:
        unit.execute(media.insert(), row)
    return [str(row["id"]) for row in rows]


def due(unit: Unit, at: datetime, limit: int = 50) -> list[str]:
    """Ids of those to be tried now, the longest waiting first."""
    m = media.c
    query = sa.select(m.id).where(m.state == MediaState.PENDING.value, m.next_due <= at)
    return [row.id for row in unit.rows(query.order_by(m.next_due).limit(limit))]


def claim(unit: Unit, media_id: str, at: datetime, lease: timedelta) -> Medium | None:
    """Write the try down before it is made; None when it is not due, settled, or somebody else has it."""
    m = media.c
    is_due = (m.id == media_id, m.state == MediaState.PENDING.value, m.next_due <= at)
    values = {"tries": m.tries + 1, "next_due": at + lease, "changed_at": at}
    if unit.execute(media.update().where(*is_due).values(values)).rowcount != 1:
        return None
    row = unit.row(sa.select(media).where(m.id == media_id))
    return _medium(row) if row else None


def postpone(unit: Unit, mine: Medium, reason: str, until: datetime, at: datetime) -> None:
    """Try again at `until`."""
    m = media.c
    is_mine = (m.id == mine.id, m.state == MediaState.PENDING.value, m.tries == mine.tries)
    unit.execute(media.update().where(*is_mine).values(next_due=until, reason=reason, changed_at=at))


def move(unit: Unit, mine: Medium, action: str, *, reason: str = "", sha256: str = "", at: datetime) -> bool:
    """Compare-and-set from pending; False if another worker was first."""
    after = MEDIA.after(mine.state, action).value
    values = {"state": after, "reason": reason, "sha256": sha256 or None, "changed_at": at}
    m = media.c
    return (
        unit.execute(
            media.update().where(m.id == mine.id, m.state == mine.state.value).values(values)
        ).rowcount
        == 1
    )


def of_report(unit: Unit, report_id: str) -> list[Medium]:
    """All of one report, in their order."""
    return [
        _medium(row)
        for row in unit.rows(
            sa.select(media).where(media.c.report == report_id).order_by(media.c.inbound, media.c.n)
        )
    ]


def _medium(row: sa.Row[tuple[object, ...]]) -> Medium:
    return Medium(
        id=row.id, report=row.report, inbound=row.inbound, n=row.n, state=MediaState(row.state), tries=row.tries,
        reason=row.reason,
    )  # fmt: skip
