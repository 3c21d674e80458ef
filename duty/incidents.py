"""The acts of the duty room on incidents: one function each, one transaction each; none says goodbye for ever."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from domain.errors import BadInput, Conflict, Flaw, NotFound
from domain.ids import mint
from domain.incident import MOVES, Incident, IncidentState
from domain.person import Person, Role
from domain.report import Report
from duty.reports import workable
from store import incident_news, incidents, journal, reports
from store.unit import Unit

TITLE = 80  # letters: one line of the queue
AT_ONCE = 200  # reports of one split


@dataclass(frozen=True, slots=True, kw_only=True)
class Corroboration:
    """How many tell of it, each by himself."""

    reports: int
    senders: int  # different addresses and organisations
    unknown: int  # reports without either: they may be one person
    channels: int


def open_incident(unit: Unit, report_id: str, *, by: Person, at: datetime, title: str = "") -> Incident:
    """A new incident with one report in it; its title is what the officer says, or what the report begins with."""
    (report,) = _held(unit, [report_id], by)
    if incidents.memberships(unit, report_id):
        raise Conflict("the report is of an incident already", code="in_incident")
    new = Incident(id=mint("inc", at), title=_title(title) or _first_words(report), state=IncidentState.OPEN,
                   revision=1, opened_by=by.id, opened_at=at, event_code=report.event_code, area=report.area)  # fmt: skip
    incidents.insert(unit, new)
    journal.append(
        unit,
        "incident",
        new.id,
        "open_incident",
        by=by.id,
        at=at,
        detail={"report": report_id},
        is_first=True,
    )
    _put(unit, report_id, new.id, by=by, at=at)
    return new


def attach(
    unit: Unit, incident_id: str, report_id: str, *, by: Person, at: datetime, revision: int | None = None
) -> Incident:
    """The report tells of this, too. Into what was merged nothing goes: the other incident is named."""
    (report,) = _held(unit, [report_id], by)
    before = _moved(unit, incident_id, "attach_incident", by, revision)
    if any(one.incident == before.id for one in incidents.memberships(unit, report.id)):
        return before  # a double click
    _put(unit, report_id, before.id, by=by, at=at)
    return incidents.change(unit, before, before)


def attach_to_report(unit: Unit, report_id: str, other_id: str, *, by: Person, at: datetime) -> Incident:
    """Both tell of one: into the incident that the other is in, or a new one that begins with the other."""
    _held(unit, [report_id, other_id], by)
    if report_id == other_id:
        raise BadInput(
            "a report is one with itself", code="same_report", flaws=[Flaw("/report", "is this one")]
        )
    for first, second in ((other_id, report_id), (report_id, other_id)):
        known = incidents.memberships(unit, first)
        if known:
            return attach(unit, known[0].incident, second, by=by, at=at)
    made = open_incident(unit, other_id, by=by, at=at)
    return attach(unit, made.id, report_id, by=by, at=at)


def detach(
    unit: Unit, incident_id: str, report_id: str, *, by: Person, at: datetime, revision: int | None = None
) -> Incident:
    """It tells of something else; attach() undoes it."""
    _held(unit, [report_id], by)
    before = _moved(unit, incident_id, "detach_incident", by, revision)
    if not incidents.remove(unit, report_id, before.id, by=by.id, at=at):
        raise NotFound("this report is not of the incident", code="not_in_incident")
    _note(unit, before.id, report_id, "detach", by=by, at=at)
    return incidents.change(unit, before, before)


def merge(
    unit: Unit, incident_id: str, into_id: str, *, by: Person, at: datetime, revision: int | None = None
) -> Incident:
    """Two incidents are one: the reports of the first stand in the second, too. unmerge() undoes it."""
    locked = _locked_in_order(unit, [incident_id, into_id], by, {incident_id: revision})
    before = locked[incident_id]
    if incident_id == into_id or locked[into_id].state is not IncidentState.OPEN:
        raise BadInput(
            "it cannot be merged into this one", code="bad_merge", flaws=[Flaw("/into", "is not open")]
        )
    after = replace(before, state=MOVES.after(before.state, "merge_incident"), merged_into=into_id)
    for one in incidents.members(unit, incident_id):
        if incidents.add(unit, one.report, into_id, by=by.id, at=at, score=one.score, via=incident_id):
            incident_news.tell(unit, into_id, one.report, incident_news.holders(unit, into_id) - {by.id}, at)
    changed = incidents.change(unit, before, after)
    incidents.change(unit, locked[into_id], locked[into_id])
    journal.append(unit, "incident", incident_id, "merge_incident", by=by.id, at=at, detail={"into": into_id})
    journal.append(unit, "incident", into_id, "take_in", by=by.id, at=at, detail={"from": incident_id})
    return changed


def unmerge(
    unit: Unit, incident_id: str, *, by: Person, at: datetime, revision: int | None = None
) -> Incident:
    """They are two after all: what the merge brought leaves the other one, what came since stays there.

    It leaves those, too, into which the other one was merged further.
    """
    above = incidents.above(unit, incident_id)
    locked = _locked_in_order(unit, [incident_id, *above], by, {incident_id: revision})
    before = locked[incident_id]
    after = replace(before, state=MOVES.after(before.state, "unmerge_incident"), merged_into="")
    if incidents.above(unit, incident_id) != above:
        raise Conflict("somebody else has just changed this incident", code="incident_changed")
    leaving, via = None, incident_id
    for place in above:
        brought = [one.report for one in incidents.members(unit, place, via=via)]
        leaving = [name for name in brought if leaving is None or name in leaving]
        for name in leaving:
            incidents.remove(unit, name, place, by=by.id, at=at)
        stays = _brought_by_others(unit, place, leaving, but=via, by=by, at=at)
        leaving, via = [name for name in leaving if name not in stays], place
    changed = incidents.change(unit, before, after)
    for place in above:
        incidents.change(unit, locked[place], locked[place])
        journal.append(unit, "incident", place, "give_back", by=by.id, at=at, detail={"to": incident_id})
    journal.append(
        unit, "incident", incident_id, "unmerge_incident", by=by.id, at=at, detail={"from": above[0]}
    )
    return changed


def split(
    unit: Unit, incident_id: str, report_ids: Sequence[str], *, by: Person, at: datetime, title: str = "",
    revision: int | None = None,
) -> Incident:  # fmt: skip
    """Some of its reports tell of something else: a new incident of theirs. Merging it back undoes it."""
    wanted = list(dict.fromkeys(report_ids))
    flaw = Flaw("/reports", "name some of its reports, not all")
    if not wanted or len(wanted) > AT_ONCE:
        raise BadInput("it cannot be split so", code="bad_split", flaws=[flaw])
    reports.hold(unit, wanted)
    before = _moved(unit, incident_id, "split_incident", by, revision)
    there = [one.report for one in incidents.members(unit, before.id)]
    if not set(wanted) < set(there):
        raise BadInput("it cannot be split so", code="bad_split", flaws=[flaw])
    report = workable(unit, wanted[0], by)
    new = Incident(id=mint("inc", at), title=_title(title) or _first_words(report), state=IncidentState.OPEN,
                   revision=1, opened_by=by.id, opened_at=at, event_code=before.event_code, area=before.area)  # fmt: skip
    incidents.insert(unit, new)
    journal.append(
        unit, "incident", new.id, "open_incident", by=by.id, at=at, detail={"from": before.id}, is_first=True
    )
    journal.append(
        unit,
        "incident",
        before.id,
        "split_incident",
        by=by.id,
        at=at,
        detail={"to": new.id, "reports": wanted},
    )
    for name in wanted:
        incidents.remove(unit, name, before.id, by=by.id, at=at)
        _put(unit, name, new.id, by=by, at=at)
    incidents.change(unit, before, before)
    return new


def close(
    unit: Unit, incident_id: str, *, by: Person, at: datetime, reason: str, revision: int | None = None
) -> Incident:
    """办结, with the reason; its reports stay as they stand."""
    wanted = reason.strip()[:500]
    if not wanted:
        raise BadInput("a reason is needed", code="reason_missing", flaws=[Flaw("/reason", "is empty")])
    before = _locked(unit, incident_id, by, revision)
    after = replace(before, state=MOVES.after(before.state, "close_incident"), closed_reason=wanted)
    journal.append(
        unit, "incident", incident_id, "close_incident", by=by.id, at=at, detail={"reason": wanted}
    )
    return incidents.change(unit, before, after)


def reopen(
    unit: Unit, incident_id: str, *, by: Person, at: datetime, revision: int | None = None
) -> Incident:
    """It is not over."""
    before = _locked(unit, incident_id, by, revision)
    after = replace(before, state=MOVES.after(before.state, "reopen_incident"), closed_reason="")
    journal.append(unit, "incident", incident_id, "reopen_incident", by=by.id, at=at)
    return incidents.change(unit, before, after)


def retitle(
    unit: Unit, incident_id: str, *, by: Person, at: datetime, title: str, revision: int | None = None
) -> Incident:
    """Call it by another name."""
    wanted = _title(title)
    if not wanted:
        raise BadInput("a title is needed", code="title_missing", flaws=[Flaw("/title", "is empty")])
    before = _locked(unit, incident_id, by, revision)
    journal.append(unit, "incident", incident_id, "retitle", by=by.id, at=at)
    return incidents.change(unit, before, replace(before, title=wanted))


def seen(unit: Unit, incident_id: str, *, by: Person, at: datetime, revision: int | None = None) -> Incident:
    """He has seen which reports came to it; nothing of the incident changes."""
    del revision  # whatever else has changed meanwhile
    found = incidents.get(unit, incident_id)
    if found is None:
        raise NotFound("no such incident")
    incident_news.seen(unit, incident_id, by.id, at)
    return found


def merge_of(unit: Unit, report_id: str, into_id: str, *, by: Person, at: datetime) -> Incident:
    """The incident that a report is in is the same as another: merge() from the report's page."""
    workable(unit, report_id, by)
    mine = [one.incident for one in incidents.memberships(unit, report_id) if one.incident != into_id]
    found = [one for name in mine if (one := incidents.get(unit, name)) and one.state is IncidentState.OPEN]
    if not found:
        raise NotFound("the report is of no other incident", code="not_in_incident")
    return merge(unit, found[0].id, into_id, by=by, at=at)


def refuse(unit: Unit, report_id: str, other_id: str, *, by: Person, at: datetime) -> bool:
    """What was proposed as one is two; it is not proposed again. False when it was not proposed."""
    workable(unit, report_id, by)
    workable(unit, other_id, by)
    if not incidents.refuse(unit, report_id, other_id, by=by.id, at=at):
        return False
    for entity, other in ((report_id, other_id), (other_id, report_id)):
        journal.append(unit, "report", entity, "keep_apart", by=by.id, at=at, detail={"report": other})
    return True


def corroboration(found: Sequence[Report]) -> Corroboration:
    """How many of these reports are independent of each other: by the address, a department by its name."""
    names = [
        report.organisation if report.channel == "api" else report.content.first("sender") for report in found
    ]
    return Corroboration(
        reports=len(found),
        senders=len(set(names) - {""}),
        unknown=names.count(""),
        channels=len({report.channel for report in found}),
    )


def told(unit: Unit, incident_id: str, *, by: Person | None) -> list[Report]:
    """The reports of an incident that this person may see, in the order of their arrival."""
    found = (reports.get(unit, one.report) for one in incidents.members(unit, incident_id))
    return [report for report in found if report]


def _put(unit: Unit, report_id: str, incident_id: str, *, by: Person, at: datetime) -> None:
    there = [one.report for one in incidents.members(unit, incident_id)]
    score = incidents.score_between(unit, report_id, there[:AT_ONCE])
    if incidents.add(unit, report_id, incident_id, by=by.id, at=at, score=score):
        incident_news.tell(
            unit, incident_id, report_id, incident_news.holders(unit, incident_id) - {by.id}, at
        )
        _note(unit, incident_id, report_id, "attach", by=by, at=at)


def _note(unit: Unit, incident_id: str, report_id: str, act: str, *, by: Person, at: datetime) -> None:
    """In both streams, so both pages hear of it."""
    journal.append(
        unit, "incident", incident_id, f"{act}_incident", by=by.id, at=at, detail={"report": report_id}
    )
    journal.append(
        unit, "report", report_id, f"{act}_incident", by=by.id, at=at, detail={"incident": incident_id}
    )


def _brought_by_others(
    unit: Unit, place: str, names: Sequence[str], *, but: str, by: Person, at: datetime
) -> set[str]:
    """Those that another incident has brought there as well: they stay, as of that one."""
    found = incidents.brought(unit, place, names, but=but)
    for name, via in found.items():
        incidents.add(unit, name, place, by=by.id, at=at, score=None, via=via)
    return set(found)


def _held(unit: Unit, report_ids: Sequence[str], by: Person) -> list[Report]:
    """Reports that this person may see, in the order asked for, locked until the end of the transaction.

    Reports are locked before incidents, and each kind in the order of its ids: nobody waits in a circle.
    """
    for name in report_ids:
        workable(unit, name, by)
    reports.hold(unit, report_ids)
    return [workable(unit, name, by) for name in report_ids]


def _locked_in_order(
    unit: Unit, incident_ids: Sequence[str], by: Person, revisions: Mapping[str, int | None]
) -> dict[str, Incident]:
    return {name: _locked(unit, name, by, revisions.get(name)) for name in sorted(set(incident_ids))}


def _moved(unit: Unit, incident_id: str, action: str, by: Person, revision: int | None) -> Incident:
    before = _locked(unit, incident_id, by, revision)
    MOVES.after(before.state, action)
    return before


def _locked(unit: Unit, incident_id: str, by: Person, revision: int | None) -> Incident:
    by.must_be(Role.OFFICER, Role.LEADER, Role.APPROVER)
    found = incidents.get(unit, incident_id, lock=True)
    if found is None:
        raise NotFound("no such incident")
    if revision is not None and revision != found.revision:
        raise Conflict("the incident has changed since it was shown", code="incident_changed")
    return found


def _title(text: str) -> str:
    return " ".join(text.split())[:TITLE]


def _first_words(report: Report) -> str:
    lines = [line for line in report.content.text.split("\n") if line.strip()]
    return _title(report.content.first("subject") or (lines[0] if lines else "")) or report.code
