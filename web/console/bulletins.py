"""Bulletins of peers at the desk: what is in force, what is set apart and why, chains, pairs, and what is made of them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response

from domain.bulletin import ADMISSIBLE, Apart, Standing
from domain.errors import BadInput, Conflict, HubError, NotFound, Refused
from domain.ids import is_id
from domain.person import Person
from duty import bulletins as duty
from store import areas, arrivals, bulletin_pairs, bulletins, journal, peers, shelf
from store.bulletin_pairs import Pair
from store.bulletins import Bulletin, Filter
from store.unit import Unit
from web.console.files import handed_out
from web.console.history import event_name, timeline
from web.console.visit import Visit
from web.page import go

HERE = "/console/bulletins"
VIEWS = ("force", "apart", "all")
PAGE = 50
CODES = 60  # codes and names of areas that a page shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A bulletin in the list."""

    bulletin: Bulletin
    peer: str
    event: str
    errors: int
    is_in_force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A bulletin with what its page shows beside it."""

    row: Row
    chain: Sequence[Bulletin]
    pairs: Sequence[tuple[Pair, Bulletin]]
    references: Sequence[tuple[str, str, datetime | None]]
    moments: Sequence[Any]
    divisions: Sequence[str]
    media_type: str
    url: str


def listed(visit: Visit) -> Response:
    """The list, newest first, with how many each view has."""
    view = visit.query("view") if visit.query("view") in VIEWS else "force"
    peer, has_errors = visit.query("peer")[:40], bool(visit.query("errors"))
    wanted = Filter(view=view, peer=peer, has_errors=has_errors)

    def work(unit: Unit) -> dict[str, Any]:
        found = bulletins.page(unit, wanted, visit.at, limit=PAGE + 1, before=_place(visit.query("before")))
        last = found[PAGE - 1] if len(found) > PAGE else None
        return {
            "rows": _rows(unit, visit, found[:PAGE]), "counts": bulletins.counts(unit, visit.at),
            "peers": peers.listed(unit), "pairs": bulletin_pairs.count_open(unit),
            "older": f"{last.received_at.isoformat()}~{last.id}" if last else "",
        }  # fmt: skip

    values = visit.read(work)
    return visit.show(
        "bulletins.html", view=view, views=VIEWS, peer=peer, has_errors=has_errors, here=HERE, **values
    )


def show_bulletin(visit: Visit, problem: HubError | None = None) -> Response:
    """One bulletin; with `problem`, after an act that was refused."""
    seen = visit.read(lambda unit: _seen(unit, visit, visit.part("id")))
    one = seen.row.bulletin
    may = _may(one, visit.person)
    return visit.show("bulletin.html", problem=problem, seen=seen, one=one, may=may, here=HERE)


def original(visit: Visit) -> Response:
    """The bytes from which it was read, as a download."""
    data = visit.read(lambda unit: bulletins.original(unit, visit.part("id"), visit.hub.blobs.get))
    if data is None:
        raise NotFound("no such bulletin")
    ending = ".json" if data.lstrip()[:1] in (b"{", b"[") else ".xml"
    name, sha256 = f"{visit.part('id')}{ending}", hashlib.sha256(data).hexdigest()
    return handed_out(visit, "bulletin", visit.part("id"), name=name, sha256=sha256, body=lambda: data)


def change(visit: Visit) -> Response:
    """One act on the bulletin; then its page, or the report that was made of it."""
    name, bulletin_id = visit.part("act"), visit.part("id")
    if name not in _ACTS:
        raise NotFound("no such act")
    try:
        leads_to = _ACTS[name](visit, bulletin_id)
    except (Refused, BadInput) as error:
        return show_bulletin(visit, error)
    return go(leads_to or f"{HERE}/{bulletin_id}?done={name}")


def decide(visit: Visit) -> Response:
    """Whether two bulletins tell of one event."""
    bulletin_id, action = visit.part("id"), visit.part("act")
    try:
        visit.act(lambda unit, by: duty.decide_pair(unit, visit.part("pair"), action, by=by, at=visit.at))
    except Refused as error:
        return show_bulletin(visit, error)
    return go(f"{HERE}/{bulletin_id}?done={action}_pair")


def reread(visit: Visit) -> Response:
    """Bytes of a peer that lie on the shelf are read once more."""

    def work(unit: Unit, by: Person) -> str:
        by.must_be(*duty.OFFICERS)
        shelf_id = visit.part("id")
        arrival_id = shelf.origin(unit, shelf_id)
        if not arrivals.reprocess(unit, arrival_id, by=by.id, at=visit.at):
            raise Conflict("it does not lie on the shelf any more", code="illegal_move")
        if shelf.settle(unit, shelf_id, by.id, visit.at):
            journal.append(unit, "shelf", shelf_id, "settle", by=by.id, at=visit.at)
        return arrival_id

    visit.hub.bell("read_bulletin", visit.act(work))
    return go("/console/shelf?done=reread")


def _report(visit: Visit, bulletin_id: str) -> str:
    get = visit.hub.blobs.get
    kept, is_new = visit.act(
        lambda unit, by: duty.make_report(unit, bulletin_id, get=get, by=by, at=visit.at)
    )
    if is_new:
        visit.hub.bell("file_report", kept.inbound_id)
    return f"/console/reports/{kept.report_id}"


def _admit(visit: Visit, bulletin_id: str) -> str:
    visit.act(lambda unit, by: duty.admit(unit, bulletin_id, by=by, at=visit.at))
    return ""


def _set_aside(visit: Visit, bulletin_id: str) -> str:
    reason = visit.form.first("reason")
    visit.act(lambda unit, by: duty.set_aside(unit, bulletin_id, reason=reason, by=by, at=visit.at))
    return ""


_ACTS: Mapping[str, Callable[[Visit, str], str]] = {
    "report": _report, "admit": _admit, "set_aside": _set_aside,
}  # fmt: skip


def _may(one: Bulletin, person: Person) -> frozenset[str]:
    """What is offered; the duty room decides again."""
    found: set[str] = set()
    if person.roles & set(duty.OFFICERS):
        is_current = one.state is Standing.CURRENT
        found |= {"report", "set_aside"} if is_current else set()
        found |= {"admit"} if not is_current and Apart(one.apart) in ADMISSIBLE else set()
        found |= {"pair"}
        found |= {"draft"} if is_current and person.roles & set(duty.DRAFTERS) else set()
    return frozenset(found)


def _rows(unit: Unit, visit: Visit, found: Sequence[Bulletin]) -> list[Row]:
    names = peers.names(unit, (one.peer for one in found))
    return [_row(one, visit, names) for one in found]


def _row(one: Bulletin, visit: Visit, names: Mapping[str, str]) -> Row:
    code = duty.event_code(one)
    return Row(
        bulletin=one, peer=names.get(one.peer, one.peer), event=event_name(code, visit.language) if code else one.event,
        errors=sum(f["level"] == "error" for f in one.findings), is_in_force=one.is_in_force(visit.at),
    )  # fmt: skip


def _seen(unit: Unit, visit: Visit, bulletin_id: str) -> Seen:
    one = bulletins.get(unit, bulletin_id)
    row = bulletins.arrival_of(unit, bulletin_id)
    if one is None or row is None:
        raise NotFound("no such bulletin")
    found = [
        (pair, bulletins.get(unit, pair.beside(bulletin_id))) for pair in bulletin_pairs.of(unit, bulletin_id)
    ]
    codes = [str(code) for code in one.areas.get("divisions", ())][:CODES]
    known = areas.names(unit, codes)
    n = 0 if visit.language == "zh-CN" else 1
    return Seen(
        row=_rows(unit, visit, [one])[0], chain=bulletins.chain(unit, bulletin_id),
        pairs=[(pair, other) for pair, other in found if other is not None],
        references=bulletins.references(unit, bulletin_id),
        moments=timeline(unit, [("bulletin", row.id), ("bulletin", bulletin_id)], visit.language),
        divisions=[known[code][n] if code in known else code for code in codes], media_type=row.media_type, url=row.url,
    )  # fmt: skip


def _place(text: str) -> tuple[datetime, str] | None:
    if not text:
        return None
    moment, _, bulletin_id = text.partition("~")
    try:
        at = datetime.fromisoformat(moment.replace(" ", "+"))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not is_id("bul", bulletin_id):
        raise BadInput("the place in the list cannot be read")
    return at, bulletin_id
