"""What an officer writes to whoever reported: to that one address, on the channel that the report came from.

It is no release: nobody approves it, and it can never go to more than one. It is a row before it is sent (outbox).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from channels.text import segments
from domain.errors import BadInput, Conflict, Flaw, IllegalMove, NotFound
from domain.exchange import API, ELEMENTS, MOST, PAGE, Line
from domain.ids import is_id
from domain.notice import Notice, NoticeKind
from domain.person import Person, Role
from domain.report import Content, Report, State
from domain.secrecy import mark_in, must_be_free
from intake.acknowledge import LASTS, Acknowledger, Silence
from intake.normalise import clean, language
from outbox import ledger
from store import audience, exchanges, inbox, journal, reports, triages
from store.inbox import Arrived
from store.unit import Unit
from templates import notice_texts, pages

SMS_PARTS = 3  # with the link; where it would make a fourth, the link stays out
MAY_WRITE = frozenset({Role.OFFICER, Role.LEADER, Role.APPROVER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How whoever reported is reached."""

    channel: str  # sms | email | telegram | page | api; '' when there is none
    address: str  # '' where nothing is sent: it is fetched
    why: Silence | None = None  # why nothing can be sent


def way_to(unit: Unit, arrived: Arrived, content: Content, writer: Acknowledger | None) -> Way:
    """Where an answer about this report goes; a number is said once more not to want any (STOP)."""
    inbound = arrived.inbound
    if inbound.channel == "api":
        return Way(channel=API, address="")
    channel, address, why = writer.reach(inbound, content) if writer else ("", "", Silence.NO_WIRE)
    if why is None and audience.opted_out(unit, channel, [address]):
        why = Silence.STOP_WORD
    if why is None:
        return Way(channel=channel, address=address)
    return Way(channel=PAGE if inbound.channel == "web" else "", address="", why=why)


def answer(
    unit: Unit, report_id: str, *, by: Person, at: datetime, line_id: str, text: str, elements: Sequence[str],
    again: Sequence[str], writer: Acknowledger | None, revision: int | None = None,
) -> str:  # fmt: skip
    """Write to whoever reported; the parcel to ring for, '' where it lies ready to be fetched. The same line twice is one.

    `elements` are asked for; one that the report holds already only when `again` names it, and that is counted.
    Raises BadInput(no_way) where there is no number and no page.
    """
    by.must_be(*MAY_WRITE)
    del revision  # a further version meanwhile is no reason to keep a question back
    report = reports.get(unit, report_id, lock=True)
    row = inbox.by_report(unit, report_id)
    arrived = inbox.load(unit, row.id, lambda _: b"") if row else None
    if report is None or arrived is None:
        raise NotFound("no such report")
    if exchanges.has(unit, line_id):
        return ""
    asks, repeated = _asked(unit, report_id, elements, again)
    spoken = notice_texts.language_for(arrived.inbound.meta.get("language") or report.content.language)
    said = _said(text, asks, spoken)
    must_be_free(report.compartments)
    if mark_in(said):
        raise BadInput("it bears a mark of secrecy", code="secret_text")
    way = way_to(unit, arrived, report.content, writer)
    if not way.channel or writer is None:
        raise BadInput("there is no way to write to whoever reported", code="no_way")
    if not is_id("exc", line_id):
        raise BadInput("the form is not ours", code="bad_form")
    parcel = _promise(unit, way, line_id, report, said, spoken, writer, at) if way.address else ""
    line = Line(id=line_id, report=report_id, is_ours=True, channel=way.channel, by=by.id, text=said, at=at,
                elements=tuple(asks), again=len(repeated), dispatch=parcel.removesuffix("-0"))  # fmt: skip
    exchanges.add(unit, line, address=way.address)
    triages.note_asked(unit, report_id, asks, at)
    journal.append(unit, "report", report_id, "write_back", by=by.id, at=at, content=said.encode(),
                   detail={"line": line_id, "channel": way.channel, "elements": list(asks), "again": list(repeated)})  # fmt: skip
    return parcel


def settle_element(
    unit: Unit, report_id: str, *, by: Person, at: datetime, element: str, revision: int | None = None
) -> Report:
    """The officer has read in what was said what no rule found: nobody is asked for it any more."""
    by.must_be(*MAY_WRITE)
    del revision
    report = reports.get(unit, report_id, lock=True)
    if report is None:
        raise NotFound("no such report")
    if triages.answer(unit, report_id, element, reports.versions(unit, report_id), at):
        detail = {"element": element}
        journal.append(unit, "report", report_id, "settle_element", by=by.id, at=at, detail=detail)
    return report


def separate(
    unit: Unit, report_id: str, *, by: Person, at: datetime, line_id: str, revision: int | None = None
) -> Report:
    """What came as an answer is about something else: a report of its own is made of it. Nothing is taken away here."""
    by.must_be(*MAY_WRITE)
    del revision
    lines = {line.id: line for line in exchanges.of_report(unit, report_id)}
    line = lines.get(line_id)
    first, heard = reports.get(unit, report_id, lock=True), None
    if line and line.inbound:
        heard = inbox.load(unit, line.inbound, lambda _: b"")
    if first is None or line is None or heard is None:
        raise NotFound("no such line")
    made = _made_of(unit, line, heard, first, at)
    if not reports.insert(unit, made, inbound_id=heard.id, by=by.id, at=at) or not exchanges.separate(
        unit, line_id, made.id
    ):
        raise Conflict("somebody else has just made a report of it", code="report_changed")
    for entity, other in ((report_id, made.id), (made.id, report_id)):
        journal.append(unit, "report", entity, "separate", by=by.id, at=at, detail={"report": other})
    return first


def _made_of(unit: Unit, line: Line, heard: Arrived, first: Report, at: datetime) -> Report:
    """The report of that message: its words, and the files that came with it."""
    now = reports.version(unit, first.id, line.version or 0)
    before = reports.version(unit, first.id, (line.version or 1) - 1)
    had = {a.sha256 for a in before[0].attachments} if before else set()
    files = tuple(a for a in now[0].attachments if a.sha256 not in had) if now else ()
    sender = {name: first.content.facts[name] for name in ("sender",) if name in first.content.facts}
    content = Content(text=line.text, language=language(line.text), facts=sender, attachments=files)
    return replace(
        first, id=heard.report_id, code=heard.code, channel=heard.inbound.channel, state=State.FILED, revision=1,
        received_at=heard.inbound.received_at, filed_at=at, content=content, claimed_by="", claimed_at=None,
        event_code="", grade=None, area="", found_area="", closed_reason="", merged_into="",
    )  # fmt: skip


def _asked(
    unit: Unit, report_id: str, elements: Sequence[str], again: Sequence[str]
) -> tuple[list[str], list[str]]:
    """(what is asked for, which of it is known already). Raises BadInput(known_already) unless that is wanted."""
    kept = triages.get(unit, report_id)
    known = kept.known if kept else frozenset()
    held = {q.element for q in triages.questions(unit, report_id) if q.answered_by is not None} | known
    asks = [name for name in ELEMENTS if name in {*elements, *again}]
    repeated = [name for name in asks if name in held]
    if set(repeated) - set(again):
        raise BadInput("this is known already", code="known_already", flaws=[Flaw("/elements", "is known")])
    return asks, repeated


def _said(text: str, asks: Sequence[str], spoken: str) -> str:
    words = clean(text).strip()
    if len(words) > MOST:
        raise BadInput(f"at most {MOST} letters", code="bad_fields", flaws=[Flaw("/text", "is too long")])
    if not words and not asks:
        raise BadInput("nothing is said", code="bad_fields", flaws=[Flaw("/text", "is blank")])
    if not asks:
        return words
    is_chinese = spoken == notice_texts.CHINESE
    names = [pages.word("element", name, pages.SOURCE if is_chinese else "en") for name in asks]
    question = f"请补充：{'；'.join(names)}。" if is_chinese else f"Please tell us: {'; '.join(names)}."
    return f"{words}\n{question}" if words else question


def _promise(
    unit: Unit,
    way: Way,
    line_id: str,
    report: Report,
    said: str,
    spoken: str,
    writer: Acknowledger,
    at: datetime,
) -> str:
    link = writer.link(report.code)

    def text(link: str) -> str:
        return notice_texts.answer(way.channel, spoken, said=said, code=report.code, link=link,
                                   organisation=writer.name_in(spoken), mode=writer.mode)  # fmt: skip

    if way.channel == "sms" and segments(text(link)).parts > SMS_PARTS:
        link = ""
    notice = Notice(kind=NoticeKind.ANSWER, about=line_id, channel=way.channel, address=way.address, language=spoken,
                    payload=text(link).encode(), expires=at + LASTS)  # fmt: skip
    parcel = ledger.put_notice(unit, notice, at)
    if not parcel:
        raise IllegalMove("this line was promised before")
    return parcel
