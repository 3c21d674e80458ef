"""信息专报: a report upwards is drafted from a report, signed off by a named leader, numbered, sent and signed for.

The first one may be thin: when, where, what and from whom is enough, the rest becomes questions. What a superior has
signed for stops the written clocks; an order to verify sets a clock of its own.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, tzinfo

from domain.brief import LONGEST_BODY, LONGEST_TITLE, Brief, Kind, State, Way
from domain.clock import Duty
from domain.errors import BadInput, Conflict, Flaw, NotAllowed, NotFound
from domain.ids import mint
from domain.person import Person, Role
from domain.report import Report
from domain.secrecy import must_be_free
from duty import clocks
from store import briefs, journal, numbers, reports
from store.unit import Unit

WHAT = "brief"  # of the numbers of a year
LONGEST_OFFICE = 120


def draft(
    unit: Unit, report_id: str, *, by: Person, at: datetime, kind: Kind, title: str, body: str, to: str = "",
    missing: Sequence[str] = (),
) -> Brief:  # fmt: skip
    """A new one of that kind; a first report comes once, and so does a final one. Raises BadInput with flaws."""
    _must_write(by)
    report = reports.get(unit, report_id, lock=True)
    if report is None:
        raise NotFound("no such report")
    must_be_free(report.compartments)
    if kind not in kinds_left(briefs.of_report(unit, report_id)):
        raise Conflict("there is one of that kind already, or the final one", code="brief_exists")
    made = Brief(
        id=mint("brf", at), report=report_id, kind=kind, n=briefs.next_n(unit, report_id, kind), state=State.DRAFT,
        title=title.strip(), body=body.strip(), missing=tuple(missing), author=by.id, created_at=at, to=to.strip(),
    )  # fmt: skip
    _must_fit(made)
    briefs.insert(unit, made)
    detail = {"brief": made.id, "kind": kind.value, "n": made.n}
    journal.append(unit, "brief", made.id, "brief_draft", by=by.id, at=at, is_first=True,
                   detail={"report": report_id, "kind": kind.value}, content=_content(made))  # fmt: skip
    journal.append(unit, "report", report_id, "brief_draft", by=by.id, at=at, detail=detail)
    return made


def edit(
    unit: Unit, brief_id: str, *, by: Person, at: datetime, title: str, body: str, to: str = "",
    missing: Sequence[str] = (), revision: int | None = None,
) -> Brief:  # fmt: skip
    """Other words, while nobody has signed it."""
    _must_write(by)
    before = _locked(unit, brief_id, revision)
    changes = {"title": title.strip(), "body": body.strip(), "to": to.strip(), "missing": tuple(missing)}
    after = briefs.move(unit, before, "edit", author=by.id, **changes)
    _must_fit(after)
    journal.append(unit, "brief", brief_id, "brief_edit", by=by.id, at=at, content=_content(after))
    return after


def sign(unit: Unit, brief_id: str, *, by: Person, at: datetime, zone: tzinfo, revision: int) -> Brief:
    """签发: a leader who wrote none of its words signs exactly what he was shown; it gets its number."""
    by.must_be(Role.LEADER, Role.APPROVER)
    before = _locked(unit, brief_id, revision)
    if by.id in _writers(unit, before):
        raise NotAllowed("nobody signs off what he wrote", code="own_work")
    year = at.astimezone(zone).year
    number = numbers.take(unit, WHAT, year)
    after = briefs.move(unit, before, "sign", signed_by=by.id, signed_at=at, year=year, number=number)
    _note(unit, after, "brief_sign", by, at, {"year": year, "number": number})
    return after


def withdraw(unit: Unit, brief_id: str, *, by: Person, at: datetime) -> Brief:
    """It will not be sent; only before it is signed."""
    _must_write(by)
    after = briefs.move(unit, _locked(unit, brief_id, None), "withdraw")
    _note(unit, after, "brief_withdraw", by, at, {})
    return after


def send(unit: Unit, brief_id: str, *, by: Person, at: datetime, way: str) -> Brief:
    """书面已报: how it went up. The written clocks run on until somebody there has signed for it."""
    _must_write(by)
    if way not in list(Way):
        raise BadInput(
            "no such way", code="bad_entry", flaws=[Flaw("/way", "is one of mail, fax, peer, hand")]
        )
    after = briefs.move(unit, _locked(unit, brief_id, None), "send", sent_at=at, way=way)
    _note(unit, after, "brief_send", by, at, {"way": way, "to": after.to})
    return after


def receive(
    unit: Unit,
    brief_id: str,
    *,
    by: Person,
    at: datetime,
    whom: str,
    who: str,
    said_at: datetime | None = None,
) -> Brief:
    """The superior has signed for it: its clocks stop."""
    before = _locked(unit, brief_id, None)
    after = briefs.move(unit, before, "receive", received_at=at, received_by=who.strip()[:80])
    duty = Duty.WRITTEN if before.kind in (Kind.FIRST, Kind.VERIFICATION) else Duty.FOLLOW_UP
    note = number_of(after)
    clocks.sign_for(unit, before.report, by=by, at=at, whom=whom, who=who, said_at=said_at, note=note, duty=duty,
                    sent_at=before.sent_at)  # fmt: skip
    _note(unit, after, "brief_receive", by, at, {"whom": whom.strip()[:LONGEST_OFFICE]})
    return after


def urged(unit: Unit, report_id: str, *, by: Person, at: datetime, whom: str, ordered_at: datetime) -> None:
    """催报、要求核报: a superior asks; the clock of orders runs from then on."""
    _must_write(by)
    if not whom.strip():
        raise BadInput("who asks is missing", code="bad_entry", flaws=[Flaw("/whom", "is empty")])
    clocks.set_times(unit, report_id, by=by, at=at, ordered_at=ordered_at)
    detail = {"whom": whom.strip()[:LONGEST_OFFICE], "ordered_at": ordered_at.isoformat()}
    journal.append(unit, "report", report_id, "urged", by=by.id, at=at, detail=detail)


def number_of(made: Brief) -> str:
    """〔2026〕12号; '' before it is signed."""
    return f"〔{made.year}〕{made.number}号" if made.number else ""


def kinds_left(there: Collection[Brief]) -> list[Kind]:
    """What may still be drafted: nothing after the final report, and the first one first."""
    have = {one.kind for one in there if one.state is not State.WITHDRAWN}
    if Kind.FINAL in have:
        return []
    return [kind for kind in Kind if not (kind in have and kind is Kind.FIRST)]


def suggested(
    report: Report, kind: Kind, *, place: str, title: str, documents: Sequence[str] = (), missing: str = ""
) -> tuple[str, str]:
    """(title, body) to begin with: what is known, in the order of the form; never a word nobody has said.

    `documents`: the words of what came with the report (详见附件). `missing`: the line that says what nobody knows yet.
    """
    if kind is not Kind.FIRST:
        return title, ""
    facts = [
        ("place", place),
        ("time", report.content.first("time")),
        ("sender", report.content.first("name")),
    ]
    known = "；".join(value for _, value in facts if value)
    parts = (known, report.content.text, *documents)
    room = LONGEST_BODY - len(missing) - 1
    return title[:LONGEST_TITLE], "\n".join(p for p in ("\n".join(filter(None, parts))[:room], missing) if p)


def _writers(unit: Unit, made: Brief) -> set[str]:
    """Everybody who wrote any of its words, by the journal."""
    found = journal.entries(unit, "brief", made.id)
    return {made.author} | {entry.by for entry in found if entry.act in ("brief_draft", "brief_edit")}


def _must_write(by: Person) -> None:
    by.must_be(Role.OFFICER, Role.LEADER, Role.APPROVER)


def _must_fit(made: Brief) -> None:
    flaws = []
    for name, value, longest in (("title", made.title, LONGEST_TITLE), ("body", made.body, LONGEST_BODY)):
        if not value:
            flaws.append(Flaw(f"/{name}", "is required"))
        elif len(value) > longest:
            flaws.append(Flaw(f"/{name}", f"has at most {longest} characters"))
    if len(made.to) > LONGEST_OFFICE:
        flaws.append(Flaw("/to", f"has at most {LONGEST_OFFICE} characters"))
    if flaws:
        raise BadInput("the report upwards is not whole", code="bad_brief", flaws=flaws)


def _locked(unit: Unit, brief_id: str, revision: int | None) -> Brief:
    found = briefs.get(unit, brief_id, lock=True)
    if found is None:
        raise NotFound("no such report upwards")
    if revision is not None and revision != found.revision:
        raise Conflict("it has changed since it was shown", code="revision_changed")
    report = reports.get(unit, found.report)
    must_be_free(report.compartments if report else 0)
    return found


def _note(unit: Unit, made: Brief, act: str, by: Person, at: datetime, detail: dict[str, object]) -> None:
    said = {"brief": made.id, "kind": made.kind.value, "n": made.n, **detail}
    journal.append(unit, "brief", made.id, act, by=by.id, at=at, detail=detail)
    journal.append(unit, "report", made.report, act, by=by.id, at=at, detail=said)


def _content(made: Brief) -> bytes:
    return f"{made.title}\n{made.body}".encode()
