"""One report: what is said and who says so, the originals, and the acts of the duty room on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from domain.clock import Duty
from domain.errors import BadInput, HubError, NotFound, Refused
from domain.events import EventType, event_types
from domain.person import Person, Role
from domain.report import DESTROYED, MOVES, Report, State
from domain.secrecy import Compartment, codes
from duty import reports as duty
from duty import whereabouts
from store import areas, inbox, promises, reports, scans, sender_checks
from store.inbox import Arrived
from store.unit import Unit
from templates import pages
from web.console import briefs, clocks, exchanges, handovers, incidents, tasks, trust
from web.console.files import handed_out
from web.console.findings import Found, found_of
from web.console.history import event_name, name_of, timeline
from web.console.visit import Visit
from web.page import go

TYPED = ("reason", "event_code", "grade", "area", "place_area")  # what a refused form still holds
WAIT_FOR_FILING = 2  # s between looks at a report that is not filed yet
_ENDING = {
    "message/rfc822": ".eml", "application/json": ".json", "application/x-www-form-urlencoded": ".txt",
    "multipart/form-data": ".txt",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A report with what its page shows beside it."""

    report: Report | None
    arrived: Arrived
    holder: str
    place: tuple[str, str]
    moments: list[Any]
    divisions: list[Any]
    sender_results: Mapping[str, Any]  # what DKIM, SPF and DMARC said
    scans: Mapping[str, Any]  # by SHA-256: what the files hold
    found: Found | None  # what the study found
    notices: list[Any]  # what was sent to the reporter, with how far it came


def show_report(visit: Visit, problem: HubError | None = None) -> Response:
    """The report's page; with `problem`, after an act that was refused."""
    seen = visit.read(lambda unit: _seen(unit, visit))
    values: dict[str, Any] = {
        "seen": seen,
        "arrived": seen.arrived,
        "report": seen.report,
        "scans": seen.scans,
    }
    if seen.report is not None and seen.report.content is DESTROYED:
        raise NotFound("it was destroyed", code="erased")
    if seen.report is None:
        return visit.show("waiting.html", refresh=WAIT_FOR_FILING, here="/console", **values)
    values |= {
        "here": "/console",
        "compartments": codes(seen.report.compartments),
        "may": _may(seen.report, visit.person),
        "is_mine": seen.report.claimed_by == visit.person.id,
        "event": event_name(seen.report.event_code, visit.language),
        "events": event_groups(visit.language),
        "is_known_event": seen.report.event_code in event_types(),
        "pictures": {
            a.sha256: visit.hub.thumbnails.known(a.sha256, a.media_type)
            for a in seen.report.content.attachments
        },
        "typed": {name: visit.form.first(name) for name in TYPED},
        **_findings(seen, visit.language),
        "flaw_names": {f"/{n}": pages.word("field", n, visit.language) for n in pages.codes()["field"]},
    }  # fmt: skip
    values |= clocks.on_report(visit, seen.report) | briefs.on_report(visit, seen.report)
    report = seen.report
    values |= visit.read(lambda unit: incidents.on_report(unit, visit, report))
    values |= visit.read(lambda unit: exchanges.on_report(unit, visit, report, seen.arrived))
    values |= visit.read(lambda unit: handovers.on_report(unit, visit, report))
    values |= visit.read(lambda unit: trust.on_report(unit, visit, report))
    values |= visit.read(lambda unit: tasks.for_reports(unit, visit, [report]))
    since = seen.report.claimed_at
    names = {
        "who": seen.holder or "—",
        "at": f"{since.astimezone(visit.hub.zone):%H:%M:%S}" if since else "—",
    }
    return visit.show("report.html", problem=problem, names=names, **values)


def _findings(seen: Seen, language: str) -> Mapping[str, Any]:
    """What the part of the page about the study needs."""
    kept = seen.found.triage if seen.found else None
    hits = kept.found["hits"] if kept else []
    return {
        "found": seen.found,
        "labels": {hit["value"]: event_name(hit["value"], language) for hit in hits},
        "said": kept.found["statements"] if kept else [],
    }


def change(visit: Visit) -> Response:
    """One act on the report, then its page again; a refused one shows what is there now."""
    name = visit.part("act")
    if name not in _ACTS:
        raise NotFound("no such act")
    form, report_id = visit.form, visit.part("id")
    try:
        given = {"at": visit.at, "revision": form.number("revision"), **_ACTS[name][1](visit)}
        made = visit.attempt(
            lambda unit, by: _ACTS[name][0](unit, report_id, by=by, **given), act=name, report_id=report_id
        )
    except (Refused, BadInput) as error:
        return show_report(visit, error)
    if name in ("write_back", "hand_over") and made:
        visit.hub.bell("deliver", str(made))
    if not visit.read(lambda unit: reports.is_there(unit, report_id)):  # he has put it out of his own sight
        return go("/console?done=sealed")
    if form.first("next") == "shift":  # released from the list of what is in hand
        return go(f"/console/shift?done={name}")
    return go(f"/console/reports/{report_id}?done={name}")


def original(visit: Visit) -> Response:
    """The bytes as they arrived, to be saved and never shown by the browser."""
    arrived = visit.read(lambda unit: _arrived(unit, visit, visit.hub.blobs.get))
    kind = arrived.inbound.media_type.partition(";")[0].strip().lower()
    name = f"{arrived.code}{_ENDING.get(kind, '.bin')}"
    return handed_out(visit, "report", visit.part("id"), name=name, sha256=arrived.raw_sha256,
                      body=lambda: arrived.inbound.raw)  # fmt: skip


def event_groups(language: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """(class, [(code, name)]) for a select; the classes of the code table are its headings."""
    table = event_types()
    groups: dict[str, list[tuple[str, str]]] = {}
    for code, kind in sorted(table.items()):
        if not code.endswith("000"):
            heading = table.get(code[:3] + "00") or table.get(kind.parent)
            groups.setdefault(_name(heading, language) if heading else code[:3], []).append(
                (code, f"{_name(kind, language)} {code}")
            )
    return list(groups.items())


def _name(kind: EventType, language: str) -> str:
    return kind.name_en if language != "zh-CN" and kind.name_en else kind.name_zh


def _seen(unit: Unit, visit: Visit) -> Seen:
    arrived = _arrived(unit, visit, lambda _: b"")
    report = reports.get(unit, visit.part("id"))
    streams = [("inbound", arrived.id), ("report", arrived.report_id)]
    told = sender_checks.results(unit, arrived.report_id) if report and report.sender else {}
    codes = [report.where] if report and report.where else []
    return Seen(
        report=report,
        arrived=arrived,
        holder=name_of(unit, report.claimed_by, visit.language, {}) if report and report.claimed_by else "",
        place=areas.names(unit, codes).get(report.where if report else "", ("", "")),
        moments=timeline(unit, streams, visit.language),
        divisions=areas.listing(unit),
        sender_results={"dkim": [], "spf": None, "dmarc": None, "repeats": "", **told},
        scans=scans.of_report(unit, arrived.report_id) if report else {},
        found=found_of(unit, report, visit.language) if report else None,
        notices=promises.of_report(unit, arrived.report_id),
    )


def _arrived(unit: Unit, visit: Visit, read_blob: Callable[[str], bytes]) -> Arrived:
    row = inbox.by_report(unit, visit.part("id"))
    arrived = inbox.load(unit, row.id, read_blob) if row else None
    if arrived is None:
        raise NotFound("no such report")
    return arrived


def _may(report: Report, person: Person) -> set[str]:
    """The acts whose forms this person is shown; the duty room decides again when one is sent."""
    if not person.roles & {Role.OFFICER, Role.LEADER, Role.APPROVER}:
        return set()
    if report.compartments & Compartment.MARKED:
        return set()
    is_mine = report.claimed_by == person.id
    wanted = {"verify", "close", "release_claim"} if is_mine or not report.claimed_by else set()
    wanted |= {"claim", "reopen"}
    if not is_mine and Role.LEADER in person.roles:
        wanted.add("take_over")
    found = {name for name in wanted if MOVES.allows(report.state, name)}
    may_draft = person.roles & {Role.OFFICER, Role.APPROVER}
    open_acts = {"classify", "place", "draft"} if may_draft else {"classify", "place"}
    open_acts.add("unflag" if report.compartments & Compartment.SENSITIVE else "flag")
    return found | (open_acts if report.state is not State.CLOSED else set())


def _plain(visit: Visit) -> Mapping[str, Any]:
    return {}


def _with_reason(visit: Visit) -> Mapping[str, Any]:
    return {"reason": visit.form.first("reason")}


def _flag(visit: Visit) -> Mapping[str, Any]:
    return {"reason": visit.form.first("reason"), "is_sensitive": True}


def _unflag(visit: Visit) -> Mapping[str, Any]:
    return {"reason": visit.form.first("reason"), "is_sensitive": False}


def _place(visit: Visit) -> Mapping[str, Any]:
    return {
        "candidate": visit.form.number("candidate"),
        "seen": visit.form.first("seen")[:12],
        "area": visit.form.first("place_area")[:20],
    }


def _classification(visit: Visit) -> Mapping[str, Any]:
    grade = visit.form.first("grade")
    return {
        "event_code": visit.form.first("event_code")[:10],
        "grade": visit.form.number("grade") if grade else None,
        "area": visit.form.first("area")[:20],
    }


_ACTS: Mapping[str, tuple[Callable[..., object], Callable[[Visit], Mapping[str, Any]]]] = {
    "claim": (duty.claim, _plain),
    "release_claim": (duty.release_claim, _plain),
    "take_over": (duty.take_over, _with_reason),
    "verify": (duty.verify, _plain),
    "classify": (duty.classify, _classification),
    "place": (whereabouts.choose, _place),
    "close": (duty.close, _with_reason),
    "reopen": (duty.reopen, _plain),
    "hand_over": (handovers.hand_over, handovers.named),
    "sign_handover": (handovers.sign_here, handovers.signed),
    "take_back": (handovers.take_back, handovers.reasoned),
    "drop_handover": (handovers.refuse, handovers.reasoned),
    "give_verdict": (trust.give_verdict, trust.said),
    "withdraw_verdict": (trust.withdraw_verdict, trust.said),
    "block_sender": (trust.block_sender, trust.blocked),
    "write_back": (exchanges.answer, exchanges.words),
    "separate": (exchanges.separate, exchanges.line),
    "settle_element": (exchanges.settle_element, exchanges.question),
    "flag": (duty.flag, _flag),
    "unflag": (duty.flag, _unflag),
    "clock_call": (clocks.log_call, clocks.stop_of(Duty.PHONE)),
    "clock_sign": (clocks.sign_for, clocks.stop_of(Duty.WRITTEN)),
    "clock_waive": (clocks.waive, clocks.waived),
    "urged": (briefs.urged, briefs.order),
    "clock_times": (clocks.set_times, clocks.instants),
    "tasks": (tasks.give, tasks.given),
}
