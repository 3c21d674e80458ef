"""Who can be reached under which address, versioned, and how an audience becomes parcels."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from domain.errors import BadInput, NotFound
from domain.ids import mint
from domain.parcel import BATCH, DeliveryState, ParcelState
from domain.place import canonical, prefix
from store import tables as t
from store.columns import Instant
from store.promises import Dispatch
from store.unit import Unit

RESPONSIBLE = "responsible"  # 责任人: called because of an office; no opt-out ends that
SUBSCRIPTIONS = "subscriptions"
PARCELS_PER_CHUNK = 20  # 10,000 deliveries in a transaction: the writer is held for well under 0.2 s
PARCELS_AT_FIRST = 4  # what two workers call at once; nobody waits until thousands are written down
_PAGE = 500  # addresses looked up in one query of add()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Whom a release reaches: the rows of one list version by area, group and language; empty means all."""

    channel: str
    list_version: int
    areas: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


def version(unit: Unit) -> int:
    """The list version in force."""
    return int(unit.scalar(sa.select(t.hub.c.list_version)) or 0)


_r = t.recipient.c
_LISTED = (
    sa.select(_r.channel, _r.address, _r.area, _r.group, _r.language)
    .where(_r.channel == sa.bindparam("of"), _r.until.is_(None), _r.since <= sa.bindparam("number"))
)  # fmt: skip
_ON_LIST = _LISTED.where(_r.address.in_(sa.bindparam("addresses", expanding=True)))
# PostgreSQL, address by address, which OFFSET sees to: it knows no size of a list that is being read in, and walks it all.
_asked = (
    sa.func.unnest(sa.bindparam("addresses", type_=postgresql.ARRAY(sa.Text)))
    .table_valued(sa.column("address", sa.Text))
    .render_derived(name="asked")
)
_found = _LISTED.where(_r.address == _asked.c.address).offset(0).lateral("found")
_ON_LIST_EACH = sa.select(_found).select_from(_asked.join(_found, sa.true()))


def add(unit: Unit, rows: Iterable[Mapping[str, Any]], at: datetime) -> int:
    """Add recipients: channel, address, area, language, group, name; the list version that holds them.

    What is on the list already (same channel, address, area, group, language) stays one row.
    Raises BadInput for a row without address or with a bad area.
    """
    number = _next_version(unit)
    for page in _pages(rows):
        fresh = [_row(row, number, at) for row in page]
        known = on_list(unit, {row["channel"] for row in fresh}, {row["address"] for row in fresh}, number)
        missing = {place(row): row for row in fresh if place(row) not in known}
        if missing:
            unit.execute(t.recipient.insert(), list(missing.values()))
    return number


def remove(unit: Unit, channel: str, address: str) -> int:
    """Take an address off the list; releases frozen before still reach it. The new list version."""
    number = _next_version(unit)
    r = t.recipient
    mine = (r.c.channel == channel, r.c.address == address, r.c.until.is_(None))
    unit.execute(r.update().where(*mine).values(until=number))
    return number


def place(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What makes a row the same as another one: the name may differ."""
    return (row["channel"], row["address"], row["area"], row["group"], row["language"])


def on_list(unit: Unit, channels: set[str], addresses: set[str], number: int) -> set[tuple[str, ...]]:
    """place() of the rows in list version `number` that hold one of `addresses`; rows to come are not in it."""
    query = _ON_LIST_EACH if unit.is_postgres else _ON_LIST
    return {
        (row.channel, row.address, row.area, row.group, row.language)
        for channel in sorted(channels)
        for row in unit.execute(query, {"of": channel, "addresses": sorted(addresses), "number": number})
    }


def count(
    unit: Unit,
    *,
    channel: str,
    areas: Sequence[str],
    groups: Sequence[str] = (),
    languages: Sequence[str] = (),
    list_version: int | None = None,
) -> tuple[int, int]:
    """(list version, addresses) of an audience; those who opted out are counted and shown later."""
    number = version(unit) if list_version is None else list_version
    chosen = Selector(channel=channel, list_version=number, areas=tuple(areas),
                      groups=tuple(groups), languages=tuple(languages))  # fmt: skip
    r = t.recipient.c
    query = sa.select(sa.func.count(sa.distinct(r.address))).where(*_chosen(t.recipient, chosen))
    return number, int(unit.scalar(query) or 0)


def count_silenced(
    unit: Unit,
    *,
    channel: str,
    areas: Sequence[str],
    groups: Sequence[str] = (),
    languages: Sequence[str] = (),
    list_version: int | None = None,
) -> int:
    """Those of count() to whom nothing leaves, because they opted out and hold no office."""
    number = version(unit) if list_version is None else list_version
    chosen = Selector(channel=channel, list_version=number, areas=tuple(areas),
                      groups=tuple(groups), languages=tuple(languages))  # fmt: skip
    r, o = t.recipient, t.opt_out.c
    office = t.recipient.alias("office")
    holds_one = sa.exists().where(
        office.c.address == o.address, office.c.group == RESPONSIBLE,
        *_chosen(office, chosen, area=office.c.area.concat("")),
    )  # fmt: skip
    is_chosen = sa.exists().where(r.c.address == o.address, *_chosen(r, chosen, area=r.c.area.concat("")))
    out = (o.channel == channel, o.scope == SUBSCRIPTIONS)
    query = sa.select(sa.func.count()).select_from(t.opt_out).where(*out, is_chosen, sa.not_(holds_one))
    return int(unit.scalar(query) or 0)


def groups(unit: Unit) -> list[str]:
    """The groups that the present list names."""
    r = t.recipient.c
    return [
        row.group for row in unit.rows(sa.select(r.group).where(*_present(unit)).distinct().order_by(r.group))
    ]


def numbers(unit: Unit) -> list[sa.Row[Any]]:
    """The present list in numbers: (channel, group, area, n)."""
    r = t.recipient.c
    columns = (r.channel, r.group, r.area)
    query = sa.select(*columns, sa.func.count().label("n")).where(*_present(unit)).group_by(*columns)
    return unit.rows(query.order_by(*columns))


def count_opted_out(unit: Unit) -> dict[str, int]:
    """channel -> addresses whose subscriptions have ended."""
    o = t.opt_out.c
    query = (
        sa.select(o.channel, sa.func.count().label("n")).where(o.scope == SUBSCRIPTIONS).group_by(o.channel)
    )
    return {row.channel: row.n for row in unit.rows(query)}


def opt_out(unit: Unit, channel: str, address: str, *, inbound: str, at: datetime) -> str:
    """End the subscriptions of an address; what it ended.

    ``responsible``: the address is that of a responsible person; it is written down and changes nothing.
    """
    r = t.recipient.c
    held = sa.select(r.id).where(
        r.channel == channel, r.address == address, r.group == RESPONSIBLE, *_present(unit)
    )
    scope = RESPONSIBLE if unit.scalar(held.limit(1)) else SUBSCRIPTIONS
    row = {"channel": channel, "address": address, "scope": scope, "at": at, "inbound": inbound}
    if not unit.add_once(t.opt_out, row):
        o = t.opt_out
        mine = (o.c.channel == channel, o.c.address == address)
        unit.execute(o.update().where(*mine).values(scope=scope, at=at, inbound=inbound))
    return scope


def opt_in(unit: Unit, channel: str, address: str) -> None:
    """Whoever ended his subscriptions asks for warnings again."""
    o = t.opt_out
    unit.execute(o.delete().where(o.c.channel == channel, o.c.address == address))


def areas_of(unit: Unit, channel: str, address: str) -> frozenset[str]:
    """The areas that an address is on the present list for."""
    r = t.recipient.c
    query = sa.select(r.area).where(r.channel == channel, r.address == address, *_present(unit))
    return frozenset(row.area for row in unit.rows(query))


def readdress(unit: Unit, channel: str, before: str, after: str, at: datetime) -> int:
    """An address has another name now: its rows of the present list move there. How many."""
    r = t.recipient
    mine = (r.c.channel == channel, r.c.address == before, *_present(unit))
    rows = unit.rows(sa.select(r.c.area, r.c.language, r.c.group, r.c.name).where(*mine))
    if rows:
        remove(unit, channel, before)
        moved = [{"channel": channel, "address": after, "area": row.area, "language": row.language,
                  "group": row.group, "name": row.name} for row in rows]  # fmt: skip
        add(unit, moved, at)
    return len(rows)


def ended_by(unit: Unit, inbound_id: str) -> bool:
    """Whether this message has already ended, or tried to end, its sender's subscriptions."""
    o = t.opt_out.c
    return unit.scalar(sa.select(o.at).where(o.inbound == inbound_id)) is not None


def opted_out(unit: Unit, channel: str, addresses: Iterable[str]) -> frozenset[str]:
    """Those of `addresses` whose subscriptions have ended."""
    o = t.opt_out.c
    wanted = list(addresses)
    if not wanted:
        return frozenset()
    query = sa.select(o.address).where(o.channel == channel, o.scope == SUBSCRIPTIONS, o.address.in_(wanted))
    return frozenset(row.address for row in unit.rows(query))


def most_of(dispatch: Dispatch) -> int:
    """How many deliveries the next chunk has at most."""
    return BATCH * (PARCELS_PER_CHUNK if dispatch.expanded else min(PARCELS_AT_FIRST, PARCELS_PER_CHUNK))


def expand(
    unit: Unit, dispatch: Dispatch, chosen: Selector, spoken: Sequence[str], at: datetime
) -> tuple[list[str], str, int]:
    """Turn the next recipients after `dispatch.cursor` into parcels: (parcel ids, new cursor, deliveries).

    `spoken`: the languages of the release in this channel; the first one also serves everybody else. Each
    address is taken once, under the row of a responsible person if it has one. Fewer deliveries than
    most_of(dispatch) mean that the audience has ended. The caller holds the dispatch's row.
    """
    most = most_of(dispatch)
    chunk = _next_rows(unit, dispatch, chosen, spoken).limit(most).subquery("chunk")
    first = dispatch.expanded // BATCH
    names = [f"{dispatch.id}-{first + k}" for k in range(most // BATCH)]
    common = {"dispatch": dispatch.id, "release": dispatch.release, "state": ParcelState.READY.value,
              "next_due": at}  # fmt: skip
    unit.execute(t.parcel_row.insert(), [{"id": n, "n": first + k, **common} for k, n in enumerate(names)])
    # Counted by the insert: PostgreSQL's prepared count stays the walk of a table that was empty when it was planned.
    size = unit.execute(_insert(dispatch, chunk, first, at)).rowcount
    d = t.delivery.c
    used, unused = names[: -(-size // BATCH)], names[-(-size // BATCH) :]
    if unused:  # counting before inserting would walk the audience twice; nobody has seen these rows
        unit.execute(t.parcel_row.delete().where(t.parcel_row.c.id.in_(unused)))
    if not used:
        return [], "", 0
    last = sa.select(d.recipient).where(d.parcel == used[-1], d.seq == (size - 1) % BATCH)
    return used, str(unit.scalar(last)), size


def _next_rows(unit: Unit, dispatch: Dispatch, chosen: Selector, spoken: Sequence[str]) -> sa.Select[Any]:
    r = t.recipient
    other = t.recipient.alias("other")
    before = sa.or_(
        sa.and_(other.c.group == RESPONSIBLE, r.c.group != RESPONSIBLE),
        sa.and_((other.c.group == RESPONSIBLE) == (r.c.group == RESPONSIBLE), other.c.id < r.c.id),
    )
    # '' hides the area from the planner: without statistics SQLite walks every area for each address.
    same = _chosen(other, chosen, area=other.c.area.concat(""))
    twin = sa.exists().where(other.c.address == r.c.address, before, *same)
    mine: sa.ColumnElement[bool] = r.c.language == dispatch.language
    if spoken and dispatch.language == spoken[0]:
        mine = sa.or_(mine, r.c.language.not_in(list(spoken)))
    chosen_rows = _chosen(r, chosen)
    if dispatch.cursor:
        area = unit.scalar(sa.select(r.c.area).where(r.c.id == dispatch.cursor))
        place = sa.tuple_(sa.literal(area), sa.literal(dispatch.cursor))
        if (
            not unit.is_postgres
        ):  # hidden again: it would begin where the areas begin, and walk over what is done
            chosen_rows = _chosen(r, chosen, area=r.c.area.concat(""))
            chosen_rows += [r.c.area <= max(high for _, high in _inside(chosen))] if chosen.areas else []
        chosen_rows.append(sa.tuple_(r.c.area, r.c.id) > place)
    query = sa.select(r.c.id, r.c.area, r.c.address, r.c.group).where(*chosen_rows, mine, sa.not_(twin))
    return query.order_by(r.c.area, r.c.id)


def _insert(dispatch: Dispatch, chunk: sa.Subquery, first: int, at: datetime) -> sa.Insert:
    number = sa.func.row_number().over(order_by=(chunk.c.area, chunk.c.id)) - 1
    ranked = sa.select(chunk, number.label("k")).subquery("ranked")
    o = t.opt_out.c
    is_out = sa.exists().where(
        o.channel == dispatch.channel, o.scope == SUBSCRIPTIONS, o.address == ranked.c.address,
        ranked.c.group != RESPONSIBLE,
    )  # fmt: skip
    state = sa.case((is_out, DeliveryState.OPTED_OUT.value), else_=DeliveryState.QUEUED.value)
    which = sa.cast(ranked.c.k, sa.Integer)
    parcel = sa.literal(f"{dispatch.id}-").concat(sa.cast(which // BATCH + first, sa.String))
    columns = ["parcel", "seq", "recipient", "address", "state", "attempts", "code", "changed_at"]
    rows = sa.select(
        parcel, which % BATCH, ranked.c.id, ranked.c.address, state, sa.literal(0), sa.literal(""),
        sa.literal(at, Instant()),
    )  # fmt: skip
    # without the option SQLAlchemy 2.1 answers -1 for an INSERT on psycopg
    return t.delivery.insert().from_select(columns, rows).execution_options(preserve_rowcount=True)


def _chosen(
    r: Any, chosen: Selector, *, area: sa.ColumnElement[str] | None = None
) -> list[sa.ColumnElement[bool]]:
    """Conditions on `r`, the table of recipients or an alias of it."""
    number, place = chosen.list_version, r.c.area if area is None else area
    conditions = [r.c.channel == chosen.channel, r.c.since <= number,
                  sa.or_(r.c.until.is_(None), r.c.until > number)]  # fmt: skip
    if chosen.areas:
        inside = _inside(chosen)
        conditions.append(sa.or_(*[place.between(low, high) for low, high in inside]))
        if len(inside) > 1:  # lets the index bound the walk
            conditions.append(place.between(min(inside)[0], max(high for _, high in inside)))
    if chosen.groups:
        conditions.append(r.c.group.in_(chosen.groups))
    if chosen.languages:
        conditions.append(r.c.language.in_(chosen.languages))
    return conditions


def _inside(chosen: Selector) -> list[tuple[str, str]]:
    """Codes have 12 digits: everything inside 3301 lies between 330100000000 and 330199999999."""
    return [(prefix(a).ljust(12, "0"), prefix(a).ljust(12, "9")) for a in chosen.areas]


def _present(unit: Unit) -> tuple[sa.ColumnElement[bool], ...]:
    r = t.recipient.c
    return (r.since <= version(unit), r.until.is_(None))


def _next_version(unit: Unit) -> int:
    """The hub's row stays locked to the commit, so versions become visible in their order."""
    number = unit.execute(t.hub.update().values(list_version=t.hub.c.list_version + 1)).rowcount
    if number != 1:
        raise NotFound("this database has no mode yet: run `tocsin init`", code="not_initialised")
    return version(unit)


def _row(row: Mapping[str, Any], number: int, at: datetime) -> dict[str, Any]:
    if not row.get("address"):
        raise BadInput("a recipient needs an address")
    return {
        "id": mint("rcp", at), "channel": row["channel"], "address": row["address"],
        "area": canonical(row["area"]), "language": row.get("language", "zh-CN"),
        "group": row.get("group", "subscriber"), "name": row.get("name", ""), "since": number,
    }  # fmt: skip


def _pages(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    page: list[Mapping[str, Any]] = []
    for row in rows:
        page.append(row)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page
