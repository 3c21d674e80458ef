"""地点确认: an officer says which of the candidates it is, or names the division himself."""

from dataclasses import replace
from datetime import datetime

from domain.errors import BadInput, Conflict, Flaw, NotFound
from domain.person import Person, Role
from domain.place import canonical
from domain.report import Report
from domain.secrecy import must_be_free
from domain.whereabouts import Kind, Place, radius
from store import areas, journal, places, reports, study
from store.unit import Unit


def choose(
    unit: Unit, report_id: str, *, by: Person, at: datetime, candidate: int | None = None, seen: str = "",
    area: str = "", revision: int | None = None,
) -> Report:  # fmt: skip
    """Confirm candidate number `candidate`, shown with the code `seen`, or set the division `area`.

    Where the officer's area of the report is still empty it becomes that division; one that stands there stays.
    Raises Conflict(report_changed) when the candidates have changed meanwhile, BadInput for an unknown division.
    """
    by.must_be(Role.OFFICER, Role.LEADER, Role.APPROVER)
    report = reports.get(unit, report_id, lock=True)
    if report is None:
        raise NotFound("no such report")
    must_be_free(report.compartments)
    if revision is not None and revision != report.revision:
        raise Conflict("the report has changed since it was shown", code="report_changed")
    place = _named(unit, area) if area else _candidate(unit, report_id, candidate, seen)
    places.choose(unit, report_id, place, by=by.id, at=at)
    is_here = bool(place.code and areas.names(unit, [place.code]))
    after = replace(report, area=report.area or (place.code if is_here else ""), found_area=place.code)
    reports.change(unit, report, after)
    detail: dict[str, object] = {
        "area": after.area,
        "was": {"area": report.area},
        "place": place.code,
        "kind": place.kind.value,
    }
    if candidate and not area:
        detail["candidate"] = candidate
    journal.append(unit, "report", report_id, "choose_place", by=by.id, at=at, detail=detail)
    study.ask(unit, report_id, at)
    return replace(after, revision=report.revision + 1)


def _candidate(unit: Unit, report_id: str, n: int | None, seen: str) -> Place:
    found = next(
        (p.place for p in places.of_report(unit, report_id) if p.n == n and n != places.CHOSEN), None
    )
    if found is None or found.code != seen:
        raise Conflict("the places have changed since they were shown", code="report_changed")
    return found


def _named(unit: Unit, area: str) -> Place:
    try:
        code = canonical(area)
    except BadInput as error:
        raise _bad(error.detail) from None
    rows = areas.rows(unit, [code])
    if not rows:
        raise _bad("no such division here")
    row = rows[0]
    return Place(kind=Kind.AREA, code=code, accuracy=radius(code), origin="officer", score=1.0, name=row.name_zh,
                 lat=row.lat, lon=row.lon)  # fmt: skip


def _bad(detail: str) -> BadInput:
    return BadInput("the place does not fit", code="bad_place", flaws=[Flaw("/place_area", detail)])
