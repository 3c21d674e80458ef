"""What was said about a report by officers and by whoever reported it."""

from collections.abc import Iterable, Sequence, Set
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.exchange import Line
from store import tables as t
from store.tables_exchange import exchange
from store.unit import Unit

_TEXT = "exchange.text"
_e, _r = exchange.c, t.report_row.c
_ASKED = (  # built once: every message that is filed asks this
    sa.select(_r.id, _r.code, sa.func.max(_e.at).label("last"))
    .join(exchange, _e.report == _r.id)
    .where(_e.address_index == sa.bindparam("index"), _e.channel == sa.bindparam("channel"), _e.is_ours)
    .where(
        _e.at >= sa.bindparam("since", type_=_e.at.type), _r.state.in_(sa.bindparam("states", expanding=True))
    )
    .group_by(_r.id, _r.code)
    .order_by(sa.desc("last"))
)
_ASKED_ANY = (
    sa.select(_e.channel, _e.address_index)
    .distinct()
    .where(_e.address_index.in_(sa.bindparam("indexes", expanding=True)), _e.is_ours)
    .where(_e.at >= sa.bindparam("since", type_=_e.at.type))
)


def add(unit: Unit, line: Line, *, address: str = "") -> bool:
    """Enter a line; False when it is there already: the same form, or the same message, came twice."""
    key = unit.vault.key(unit.connection, line.report)
    return unit.add_once(exchange, {
        "id": line.id, "report": line.report, "is_ours": line.is_ours, "channel": line.channel, "by": line.by,
        "text": key.seal(_TEXT, line.text.encode()), "elements": ",".join(line.elements), "again": line.again,
        "address_index": unit.vault.index(address.casefold()) if address else "", "dispatch": line.dispatch or None,
        "inbound": line.inbound or None, "version": line.version, "at": line.at,
    })  # fmt: skip


def has(unit: Unit, line_id: str) -> bool:
    """Whether this line is entered."""
    return unit.scalar(sa.select(exchange.c.id).where(exchange.c.id == line_id)) is not None


def of_report(unit: Unit, report_id: str) -> list[Line]:
    """All lines, in the order in which they were said, with how far each of ours came."""
    e, p, y = exchange.c, t.parcel_row.c, t.delivery.c
    query = (
        sa.select(exchange, y.state, y.code, y.changed_at)
        .outerjoin(t.parcel_row, p.dispatch == e.dispatch)
        .outerjoin(t.delivery, y.parcel == p.id)
        .where(e.report == report_id)
        .order_by(e.at, e.id)
    )
    rows = unit.rows(query)
    if not rows:
        return []
    key = unit.vault.key(unit.connection, report_id)
    return [_line(row, key.open(_TEXT, row.text).decode()) for row in rows]


def is_begun(unit: Unit, report_id: str) -> bool:
    """Whether an officer has written to whoever reported it."""
    e = exchange.c
    return unit.scalar(sa.select(e.id).where(e.report == report_id, e.is_ours).limit(1)) is not None


def asked(
    unit: Unit, channel: str, address: str, since: datetime, states: Sequence[str]
) -> list[tuple[str, str]]:
    """(id, code) of the reports in one of `states` about which this address was written to since then, the latest first."""
    index = unit.vault.index(address.casefold())
    found = unit.execute(_ASKED, {"index": index, "channel": channel, "since": since, "states": list(states)})
    return [(row.id, row.code) for row in found]


def asked_any(unit: Unit, wanted: Iterable[tuple[str, str]], since: datetime) -> Set[tuple[str, str]]:
    """Those (channel, address) of `wanted` that an officer wrote to since then."""
    indexes = {
        (channel, unit.vault.index(address.casefold())): (channel, address) for channel, address in wanted
    }
    if not indexes:
        return frozenset()
    found = unit.execute(_ASKED_ANY, {"indexes": [index for _, index in indexes], "since": since})
    return {indexes[key] for row in found if (key := (row.channel, row.address_index)) in indexes}


def by_dispatches(unit: Unit, dispatches: Sequence[str]) -> list[str]:
    """The reports that these answers of ours are about."""
    e = exchange.c
    query = sa.select(e.report).where(e.dispatch.in_(list(dispatches)))
    return list(dict.fromkeys(row.report for row in unit.rows(query))) if dispatches else []


def note_fetched(unit: Unit, report_id: str, channel: str, at: datetime) -> int:
    """Ours are read on the page, or by the department; how many were for the first time."""
    e = exchange
    new = (e.c.report == report_id, e.c.is_ours, e.c.fetched_at.is_(None))
    return unit.execute(e.update().where(*new).values(fetched_at=at)).rowcount


def separate(unit: Unit, line_id: str, report_id: str) -> bool:
    """Another report was made of this line; False when one was made before."""
    e = exchange
    mine = (e.c.id == line_id, sa.not_(e.c.is_ours), e.c.separated.is_(None))
    return unit.execute(e.update().where(*mine).values(separated=report_id)).rowcount == 1


def again(unit: Unit) -> int:
    """How often somebody was asked for what he had told already, in all reports."""
    return int(unit.scalar(sa.select(sa.func.sum(exchange.c.again))) or 0)


def _line(row: sa.Row[Any], text: str) -> Line:
    return Line(
        id=row.id, report=row.report, is_ours=row.is_ours, channel=row.channel, by=row.by, text=text, at=row.at,
        elements=tuple(row.elements.split(",")) if row.elements else (), again=row.again,
        dispatch=row.dispatch or "", fetched_at=row.fetched_at, inbound=row.inbound or "", version=row.version,
        separated=row.separated or "", state=row.state or "", code=row.code or "", changed_at=row.changed_at,
    )  # fmt: skip
