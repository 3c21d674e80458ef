"""Statutory clocks of reports: set by rules, stopped by a recorded call or a signature, told of before they are due.

No act moves a due time later. A clock goes by when a call was written down, and keeps what the officer says of when it
was beside it: nobody gains time by a late entry.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from domain.clock import Due, Duty, Rule, next_follow_up, set_by
from domain.errors import BadInput, Flaw, NotFound
from domain.ids import mint
from domain.person import Person, Role
from domain.report import Report, State
from domain.secrecy import Compartment, must_be_free
from store import clocks, compartments, journal, reports, study
from store.clocks import Clock, Stop
from store.database import Store
from store.unit import Unit

HOPS = ("unit_county", "county_city", "city_province", "province_state")
LONGEST_OFFICE, LONGEST_NAME, LONGEST_NOTE = 120, 80, 500
AHEAD = timedelta(minutes=1)  # that a clock on a wall may run before ours

Suggestion = tuple[str, int | None]  # event code, grade: what the hub reads out of the text


def _nothing(_unit: Unit, _report: Report) -> Suggestion:
    return "", None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where this hub reports to, and by which clock on the wall."""

    hop: str
    zone: tzinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    dues: Sequence[Due]
    grade: int | None
    is_suggested: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStep:
    """The step of a report's study that sets its clocks; see intake.study.Step."""

    setting: Setting
    suggest: Callable[[Unit, Report], Suggestion] = _nothing
    name: str = "clocks"

    def look(self, store: Store, report: Report) -> _Found | None:
        """The clocks that its category, grade and instants ask for; nothing while neither is known."""
        return store.read(lambda unit: self._wanted(unit, report))

    def write(self, unit: Unit, report: Report, found: _Found, at: datetime) -> Sequence[tuple[str, str]]:
        """Set those that are not set, with a journal entry."""
        reports.get(
            unit, report.id, lock=True
        )  # what is entered at this moment comes before or after, not between
        made = clocks.open_many(
            unit, report.id, found.dues, grade=found.grade, is_suggested=found.is_suggested, at=at
        )
        if made:
            first = min(due.due_at for due in found.dues)
            journal.append(unit, "report", report.id, "clock_set", by="system", at=at,
                           detail={"count": len(made), "grade": found.grade, "suggested": found.is_suggested,
                                   "first_due": first.isoformat()})  # fmt: skip
        return ()

    def _wanted(self, unit: Unit, report: Report) -> _Found | None:
        code, grade = self.suggest(unit, report)
        event_code = report.event_code or code
        known = [one for one in (report.grade, grade) if one]
        worst = min(
            known, default=None
        )  # of what an officer says and what the text says: the stricter clock runs
        times, is_sensitive = clocks.times(unit, report.id, report.received_at)
        if not (event_code or worst or is_sensitive) or report.state is State.MERGED:
            return None
        rules = clocks.rules(unit)
        dues = [
            due
            for each in clocks.all_times(unit, times, report.id)
            for due in set_by(rules, each, event_code=event_code, grade=worst, hop=self.setting.hop,
                              is_sensitive=is_sensitive, zone=self.setting.zone)
        ]  # fmt: skip
        is_suggested = not report.event_code or worst != report.grade
        return _Found(dues=dues, grade=worst, is_suggested=is_suggested) if dues else None


def log_call(
    unit: Unit, report_id: str, *, by: Person, at: datetime, whom: str, who: str, said_at: datetime | None = None,
    note: str = "", duty: Duty = Duty.PHONE,
) -> int:  # fmt: skip
    """电话已报: who answered, where and when; how many clocks it stops. Raises BadInput with flaws."""
    return _stop(unit, report_id, "call", duty, by, at, whom=whom, who=who, said_at=said_at, note=note)


def sign_for(
    unit: Unit, report_id: str, *, by: Person, at: datetime, whom: str, who: str, said_at: datetime | None = None,
    note: str = "", duty: Duty = Duty.WRITTEN, sent_at: datetime | None = None,
) -> int:  # fmt: skip
    """签收: who there has signed for the written report; how many clocks that stops. Raises BadInput with flaws.

    `sent_at`: when that report had left; it answers nothing that was asked for later.
    """
    return _stop(unit, report_id, "sign", duty, by, at, whom=whom, who=who, said_at=said_at, note=note,
                 sent_at=sent_at)  # fmt: skip


def waive(unit: Unit, report_id: str, *, by: Person, at: datetime, duty: Duty, note: str) -> int:
    """A leader says why no such report is owed; how many clocks that ends. It stands in the lateness report."""
    by.must_be(Role.LEADER)
    if not note.strip():
        raise BadInput("the reason is missing", code="reason_missing", flaws=[Flaw("/reason", "is empty")])
    return _stop(unit, report_id, "waive", duty, by, at, note=note)


def set_times(
    unit: Unit, report_id: str, *, by: Person, at: datetime, occurred_at: datetime | None = None,
    known_at: datetime | None = None, ordered_at: datetime | None = None, is_sensitive: bool = False,
) -> None:  # fmt: skip
    """When it happened, when whoever told us knew, when a superior asked; its clocks are looked at again."""
    report = _report(unit, report_id, by)
    given = {"occurred_at": occurred_at, "known_at": known_at, "ordered_at": ordered_at}
    flaws = [
        Flaw(f"/{name}", "lies in the future")
        for name, value in given.items()
        if value and value > at + AHEAD
    ]
    if flaws:
        raise BadInput("such an instant cannot be", code="bad_times", flaws=flaws)
    values = {name: value for name, value in given.items() if value is not None}
    was, was_sensitive = clocks.times(unit, report_id, report.received_at)
    clocks.set_times(unit, report_id, values | {"is_sensitive": is_sensitive or was_sensitive})
    detail: dict[str, Any] = {name: value.isoformat() for name, value in values.items()}
    detail |= {
        "sensitive": is_sensitive or was_sensitive,
        "was": {n: str(getattr(was, n) or "") for n in values},
    }
    journal.append(unit, "report", report_id, "clock_times", by=by.id, at=at, detail=detail)
    if is_sensitive:
        compartments.seal(
            unit, report_id, Compartment.SENSITIVE, by=by.id, at=at, why="sensitive_clock"
        )  # fmt: skip
    study.ask(unit, report_id, at)


def tick(unit: Unit, setting: Setting, at: datetime) -> int:
    """Tell of clocks that are soon due or overdue, and set the next follow-ups; how many. A sweep calls it each second."""
    soon, late = clocks.to_tell(unit, at)
    for found, act, column in ((soon, "clock_alarm", "alarmed_at"), (late, "clock_overdue", "overdue_at")):
        told = clocks.note_told(unit, [one.id for one in found], column, at)
        for one in [one for one in found if one.id in told]:  # the others another process has told of
            detail = {"duty": one.duty.value, "rule": one.rule, "due_at": one.due_at.isoformat()}
            journal.append(unit, "report", one.report, act, by="system", at=at, detail=detail)
    rules = (
        {rule.id: rule for rule in clocks.rules(unit)} if (stopped := clocks.follow_ups_wanted(unit)) else {}
    )
    return (
        len(soon) + len(late) + sum(_follow(unit, one, rules.get(one.rule), setting, at) for one in stopped)
    )


def _follow(unit: Unit, last: Clock, rule: Rule | None, setting: Setting, at: datetime) -> int:
    """The follow-up after one that was made: after its due, and after it was made where that was later."""
    if rule is None or last.stopped_at is None:
        return 0
    due = next_follow_up(rule, max(last.due_at, last.stopped_at), setting.zone)
    if due is None:
        return 0
    wanted = Due(
        rule=rule.id, duty=Duty.FOLLOW_UP, starts_at=last.due_at, starts_from=last.starts_from, due_at=due
    )
    return len(
        clocks.open_many(unit, last.report, [wanted], grade=last.grade, is_suggested=last.is_suggested, at=at)
    )


def _stop(
    unit: Unit, report_id: str, kind: str, duty: Duty, by: Person, at: datetime, *, whom: str = "", who: str = "",
    said_at: datetime | None = None, note: str = "", sent_at: datetime | None = None,
) -> int:  # fmt: skip
    report = _report(unit, report_id, by)
    whom, who, note = " ".join(whom.split()), " ".join(who.split()), note.strip()
    flaws = [] if kind == "waive" else list(_flaws(whom, who, said_at, report, at))
    flaws += [Flaw("/note", f"has at most {LONGEST_NOTE} characters")] if len(note) > LONGEST_NOTE else []
    if flaws:
        raise BadInput("the entry is not whole", code="bad_entry", flaws=flaws)
    ids = clocks.running(unit, [report_id, *reports.merged_into(unit, report_id)], duty, begun_by=sent_at)
    made = Stop(id=mint("cls", at), report=report_id, kind=kind, duty=duty, whom=whom, who=who, said_at=said_at,
                note=note, by=by.id, at=at)  # fmt: skip
    clocks.stop(unit, made, ids)
    act = {"call": "clock_call", "sign": "clock_sign", "waive": "clock_waive"}[kind]
    detail = {"duty": duty.value, "clocks": len(ids), "whom": whom, "stop": made.id,
              "said_at": said_at.isoformat() if said_at else None}  # fmt: skip
    journal.append(
        unit, "report", report_id, act, by=by.id, at=at, detail=detail, content=f"{who}\n{note}".encode()
    )
    return len(ids)


def _flaws(whom: str, who: str, said_at: datetime | None, report: Report, at: datetime) -> Sequence[Flaw]:
    found = []
    for name, value, longest in (("whom", whom, LONGEST_OFFICE), ("who", who, LONGEST_NAME)):
        if not value:
            found.append(
                Flaw(f"/{name}", "is required: a clock is stopped by somebody who has heard or signed")
            )
        elif len(value) > longest:
            found.append(Flaw(f"/{name}", f"has at most {longest} characters"))
    if said_at is not None and said_at > at + AHEAD:
        found.append(Flaw("/said_at", "lies in the future"))
    if said_at is not None and said_at < report.received_at - timedelta(days=1):
        found.append(Flaw("/said_at", "lies before the report"))
    return found


def _report(unit: Unit, report_id: str, by: Person) -> Report:
    by.must_be(Role.OFFICER, Role.LEADER, Role.APPROVER)
    report = reports.get(unit, report_id, lock=True)
    if report is None:
        raise NotFound("no such report")
    must_be_free(report.compartments)
    return report
