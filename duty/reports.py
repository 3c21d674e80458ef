"""The acts of the duty room on a report: one function each, one transaction each."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from domain.errors import BadInput, Conflict, Flaw, NotFound
from domain.events import event_types
from domain.person import Person, Role
from domain.place import canonical
from domain.report import MOVES, Report, State
from domain.secrecy import Compartment, by_event, must_be_free
from store import areas, clocks, compartments, journal, people, reports, study
from store.unit import Unit

MAY_WORK = frozenset({Role.OFFICER, Role.LEADER, Role.APPROVER})


def workable(unit: Unit, report_id: str, by: Person) -> Report:
    """A report of which something may be made. Raises NotFound, Conflict(quarantined)."""
    by.must_be(*MAY_WORK)
    report = reports.get(unit, report_id)
    if report is None:
        raise NotFound("no such report")
    must_be_free(report.compartments)
    return report


def claim(unit: Unit, report_id: str, *, by: Person, at: datetime, revision: int | None = None) -> Report:
    """受理: compare-and-set. Raises Conflict naming who has it."""
    report = _locked(unit, report_id, by, revision)
    if report.state is State.CLAIMED and report.claimed_by == by.id:
        return report  # a double click is no conflict
    if report.claimed_by:
        raise _taken(unit, report)
    return _move(unit, report, "claim", by, at, claimed_by=by.id, claimed_at=at)


def release_claim(
    unit: Unit, report_id: str, *, by: Person, at: datetime, revision: int | None = None
) -> Report:
    """Give a claimed report back to the queue."""
    report = _held(unit, report_id, by, revision)
    return _move(unit, report, "release_claim", by, at, claimed_by="", claimed_at=None)


def take_over(
    unit: Unit, report_id: str, *, by: Person, at: datetime, reason: str, revision: int | None = None
) -> Report:
    """接手: the leader takes somebody else's claim, with a reason, whether or not it was verified since."""
    by.must_be(Role.LEADER)
    report = _locked(unit, report_id, by, revision)
    if report.claimed_by == by.id:
        return report  # a double click
    wanted = _reason(reason)
    changes = {"claimed_by": by.id, "claimed_at": at}
    return _move(unit, report, "take_over", by, at, reason=wanted, told={"of": report.claimed_by}, **changes)


def verify(unit: Unit, report_id: str, *, by: Person, at: datetime, revision: int | None = None) -> Report:
    """核实: what is reported is true."""
    return _move(unit, _held(unit, report_id, by, revision), "verify", by, at)


def classify(
    unit: Unit,
    report_id: str,
    *,
    by: Person,
    at: datetime,
    event_code: str | None = None,
    grade: int | None = None,
    area: str | None = None,
    revision: int | None = None,
) -> Report:
    """分类: set event type, event grade and area; what is None stays. Raises BadInput with flaws."""
    report = _locked(unit, report_id, by, revision)
    flaws: list[Flaw] = []
    if event_code and event_code not in event_types() and event_code != report.event_code:
        flaws.append(Flaw("/event_code", "no such event type"))
    if grade is not None and grade not in (1, 2, 3, 4):
        flaws.append(Flaw("/grade", "a grade is 1 to 4"))
    code = _known_area(unit, area, flaws) if area else area
    if flaws:
        raise BadInput("the classification does not fit", code="bad_classification", flaws=flaws)
    after = replace(
        report,
        event_code=report.event_code if event_code is None else event_code,
        grade=report.grade if grade is None else grade,
        area=report.area if code is None else code,
    )
    reports.change(unit, report, after)
    detail = {"event_code": after.event_code, "grade": after.grade, "area": after.area,
              "was": {"event_code": report.event_code, "grade": report.grade, "area": report.area}}  # fmt: skip
    journal.append(unit, "report", report_id, "classify", by=by.id, at=at, detail=detail)
    if after.event_code:
        move = compartments.seal if by_event(after.event_code) else compartments.unseal
        move(unit, report_id, Compartment.SOCIAL, by=by.id, at=at, why="event_type")
    study.ask(unit, report_id, at)  # other rules may set clocks on it now
    return replace(after, revision=report.revision + 1)


def flag(
    unit: Unit, report_id: str, *, by: Person, at: datetime, is_sensitive: bool, reason: str,
    revision: int | None = None,
) -> Report:  # fmt: skip
    """敏感: it exists from now on only for whoever has a grant, or for everybody again; with the reason."""
    report = _locked(unit, report_id, by, revision)
    move, wanted = compartments.seal if is_sensitive else compartments.unseal, _reason(reason)
    if not move(unit, report_id, Compartment.SENSITIVE, by=by.id, at=at, why=wanted):
        return report
    after = report.compartments ^ Compartment.SENSITIVE
    return replace(report, compartments=after)


def close(
    unit: Unit, report_id: str, *, by: Person, at: datetime, reason: str, revision: int | None = None
) -> Report:
    """办结, with the reason."""
    report = _held(unit, report_id, by, revision)
    wanted = _reason(reason)
    clocks.end_follow_ups(unit, [report_id, *reports.merged_into(unit, report_id)], at)
    return _move(unit, report, "close", by, at, reason=wanted, closed_reason=wanted)


def reopen(unit: Unit, report_id: str, *, by: Person, at: datetime, revision: int | None = None) -> Report:
    """Take a closed report up again; who reopens it has it."""
    report = _locked(unit, report_id, by, revision)
    return _move(unit, report, "reopen", by, at, claimed_by=by.id, claimed_at=at, closed_reason="")


def merge(
    unit: Unit, report_id: str, *, into: str, by: Person, at: datetime, revision: int | None = None
) -> Report:
    """归并: it only repeats another report, which goes on for both; of one that is merged itself nothing is made.

    What they have in common is an incident (duty/incidents.py), which every report keeps its own life in.
    """
    first, second = sorted((report_id, into))
    both = {name: _locked(unit, name, by, None) for name in (first, second)}
    report, other = _held(unit, report_id, by, revision), both[into]
    if report_id == into or other.state is State.MERGED:
        raise BadInput(
            "it cannot be merged into this one", code="bad_merge", flaws=[Flaw("/into", "is merged itself")]
        )
    merged = _move(unit, report, "merge", by, at, told={"into": into}, merged_into=into)
    journal.append(unit, "report", into, "take_in", by=by.id, at=at, detail={"report": report_id})
    return merged


def unmerge(unit: Unit, report_id: str, *, by: Person, at: datetime, revision: int | None = None) -> Report:
    """It says more than the other: it stands for itself again, with whoever says so."""
    report = _locked(unit, report_id, by, revision)
    return _move(unit, report, "unmerge", by, at, merged_into="", claimed_by=by.id, claimed_at=at,
                 told={"of": report.merged_into})  # fmt: skip


def draft_fields(report: Report) -> Mapping[str, Any]:
    """What a draft made from this report begins with."""
    return {
        "from_report": report.id,
        "areas": [report.area] if report.area else [],
        "event_code": report.event_code,
        "grade": report.grade,
        "place": report.content.first("place"),
        "text": report.content.text,
    }


def _locked(unit: Unit, report_id: str, by: Person, revision: int | None) -> Report:
    by.must_be(Role.OFFICER, Role.LEADER, Role.APPROVER)
    report = reports.get(unit, report_id, lock=True)
    if report is None:
        raise NotFound("no such report")
    must_be_free(report.compartments)
    if revision is not None and revision != report.revision:
        raise Conflict("the report has changed since it was shown", code="report_changed")
    return report


def _held(unit: Unit, report_id: str, by: Person, revision: int | None) -> Report:
    """The report, when `by` has it or nobody has; another's claim is taken over, never overridden."""
    report = _locked(unit, report_id, by, revision)
    if report.claimed_by and report.claimed_by != by.id:
        raise _taken(unit, report)
    return report


def _taken(unit: Unit, report: Report) -> Conflict:
    """Names who has it and since when (SCREENS T14)."""
    holder = people.get(unit, report.claimed_by)
    since = f" since {report.claimed_at.isoformat(timespec='seconds')}" if report.claimed_at else ""
    return Conflict(f"already claimed by {holder.name}{since}", code="already_claimed")


def _move(
    unit: Unit, report: Report, action: str, by: Person, at: datetime, *, reason: str = "",
    told: Mapping[str, str] | None = None, **changes: Any,
) -> Report:  # fmt: skip
    after = replace(report, state=MOVES.after(report.state, action), **changes)
    reports.change(unit, report, after)
    detail = {"from": report.state.value, "to": after.state.value, **(told or {})}
    if reason:
        detail["reason"] = reason
    journal.append(unit, "report", report.id, action, by=by.id, at=at, detail=detail)
    return replace(after, revision=report.revision + 1)


def _reason(text: str) -> str:
    reason = text.strip()[:500]
    if not reason:
        raise BadInput("a reason is needed", code="reason_missing", flaws=[Flaw("/reason", "is empty")])
    return reason


def _known_area(unit: Unit, area: str, flaws: list[Flaw]) -> str:
    try:
        code = canonical(area)
    except BadInput as error:
        flaws.append(Flaw("/area", error.detail))
        return area
    if not areas.names(unit, [code]):
        flaws.append(Flaw("/area", "no such division here"))
    return code
