"""Several messages, one report: an edit, an album, an answer to what we wrote, the parts of a long text.

Pieces of one correspondent are put in one at a time, whatever their order: the same report comes of them all, and
each that comes later is a further version of it (PROMISES H33, H34, H99).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from channels.codecs import sms_parts
from domain.piece import PARTS_LATE, PARTS_WAIT, Piece
from domain.report import Content, Fact, State
from intake.follow_ups import heard
from intake.normalise import clean, language
from store import blobs as blob_book
from store import exchanges, inbox, journal, media, pieces, reports
from store.inbox import Arrived
from store.pieces import Kept
from store.unit import Unit

MISSING = "parts_missing"  # finding: some parts of a long text have not come
FOLLOWS = "follows"  # fact: the code of the settled report that it answers
_SETTLED = frozenset({State.CLOSED, State.MERGED, State.TRANSFERRED, State.SIGNED_FOR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a piece belongs, once its correspondent is locked."""

    report: str = ""  # that it adds to; '' for a report of its own
    waits_until: datetime | None = None  # for the missing parts
    others: tuple[str, ...] = ()  # messages that were waiting and become the same report
    follows: str = ""  # code of a settled report


ALONE = Place()


def place(unit: Unit, arrived: Arrived, of: Piece, at: datetime) -> Place:
    """Lock the correspondent, store the piece, and say where it belongs. Safe to repeat."""
    pieces.lock(unit, of)
    since = (
        arrived.inbound.received_at - PARTS_LATE if of.total > 1 else datetime.min.replace(tzinfo=at.tzinfo)
    )
    mine = [one for one in pieces.of_thread(unit, of, since) if one.inbound != arrived.id]
    pieces.put(unit, arrived.id, arrived.report_id, of, arrived.inbound.received_at)
    if of.total > 1:
        return _of_parts(unit, arrived, of, mine, at)
    channel, address = arrived.inbound.channel, arrived.inbound.sender
    found = next((one.report for one in mine if one.report), "")
    found = found or pieces.report_of(unit, [of.message], channel=channel)
    if not found and of.answers:
        found = pieces.report_of(unit, of.answers, channel=channel, address=address)
    if not found:
        return Place()
    report = reports.get(unit, found)
    if report is None or (report.state in _SETTLED and not of.edited):
        return Place(follows=report.code if report else "")
    return Place(report=found)


def _of_parts(unit: Unit, arrived: Arrived, of: Piece, others: Sequence[Kept], at: datetime) -> Place:
    """A long text is filed when all its parts are there, or when it has waited long enough."""
    mine = Kept(
        inbound=arrived.id, report="", n=of.n, total=of.total, edited=0, at=arrived.inbound.received_at
    )
    fellows = _of_one_text(unit, mine, others)
    if found := next((one.report for one in fellows if one.report), ""):
        return Place(report=found)
    there = {one.n for one in fellows} | {of.n}
    until = min([mine.at, *(one.at for one in fellows)]) + PARTS_WAIT
    if len(there) < of.total and at < until:
        return Place(waits_until=until)
    return Place(others=tuple(one.inbound for one in fellows))


def _of_one_text(unit: Unit, mine: Kept, others: Sequence[Kept]) -> list[Kept]:
    """Those of one reference that are parts of the same text as `mine`.

    A phone may use a reference again within the hour: the same number with other octets is of another text.
    """
    everyone = sorted([mine, *others], key=lambda one: (not one.report, one.at, one.n, one.inbound))
    if len({one.n for one in everyone}) == len(everyone):
        return list(others)
    said = {one.inbound: body for one, body in pieces.bodies(unit, [one.inbound for one in everyone])}
    texts: list[list[Kept]] = []
    for one in everyone:
        home = _home(one, texts, said)
        if home is None:
            texts.append([one])
        else:
            home.append(one)
    return [one for text in texts if mine in text for one in text if one is not mine]


def _home(one: Kept, texts: Sequence[list[Kept]], said: Mapping[str, Mapping[str, Any]]) -> list[Kept] | None:
    """The text that a part is of: its report's, that which it repeats, else the newest that lacks it."""
    if one.report:
        return next((text for text in texts if text[0].report == one.report), None)
    says = said.get(one.inbound)
    for text in texts:
        if any(p.n == one.n and says is not None and said.get(p.inbound) == says for p in text):
            return text
    return next((text for text in reversed(texts) if all(p.n != one.n for p in text)), None)


def whole(unit: Unit, arrived: Arrived, of: Piece, content: Content, here: Place) -> Content:
    """The first version of a report that is made of several pieces, or answers a settled one."""
    facts = dict(content.facts)
    if here.follows:
        facts[FOLLOWS] = (Fact(value=here.follows, origin="header"),)
    if of.total == 1:
        return replace(content, facts=facts)
    text, is_whole = _text(unit, arrived.inbound.channel, [arrived.id, *here.others])
    findings = [f for f in content.findings if f != MISSING] + ([] if is_whole else [MISSING])
    return replace(content, text=text, language=language(text), facts=facts, findings=tuple(findings))


def begin(unit: Unit, arrived: Arrived, here: Place, at: datetime, *, report_id: str = "") -> None:
    """The report of this message has just been put in, or the message into `report_id`: its pieces are of it."""
    report_id = report_id or arrived.report_id
    pieces.settle(unit, [arrived.id, *here.others], report_id)
    for inbound_id in here.others:
        _file_other(unit, inbound_id, report_id, at)


def add(unit: Unit, arrived: Arrived, content: Content, here: Place, at: datetime) -> list[str]:
    """A further version of the report that the piece belongs to; ids of media to fetch for it."""
    report = reports.get(unit, here.report, lock=True)
    if report is None:
        return []
    pieces.settle(unit, [arrived.id], report.id)
    known = [one.inbound for one in pieces.of_report(unit, report.id)]
    text, is_whole = _text(unit, arrived.inbound.channel, known)
    facts = {name: tuple(values) for name, values in report.content.facts.items()}
    for name, values in content.facts.items():
        facts[name] = tuple(dict.fromkeys((*facts.get(name, ()), *values)))
    findings = [
        f for f in (*report.content.findings, *content.findings) if f not in (MISSING, "no_readable_text")
    ]
    findings += ([] if is_whole else [MISSING]) + ([] if text else ["no_readable_text"])
    attachments = tuple(dict.fromkeys((*report.content.attachments, *content.attachments)))
    for attachment in content.attachments:
        blob_book.note(unit, attachment.sha256, attachment.size, report.handling, at)
    after = replace(report.content, text=text or report.content.text, language=language(text), facts=facts,
                    findings=tuple(dict.fromkeys(findings)), attachments=attachments)  # fmt: skip
    if after != report.content:
        reports.revise(unit, report, after, by=f"door:{arrived.inbound.channel}", at=at)
        if exchanges.is_begun(unit, report.id):
            said = heard(report.id, arrived, content.text, reports.versions(unit, report.id))
            exchanges.add(unit, said)
    awaited = media.expect(unit, report.id, arrived.id, len(arrived.inbound.meta.get("media", ())), at)
    journal.append(unit, "report", report.id, "add", by="system", at=at, content=after.text.encode(),
                   detail={"inbound": arrived.id, "versions": int(after != report.content)})  # fmt: skip
    return awaited


def _file_other(unit: Unit, inbound_id: str, report_id: str, at: datetime) -> None:
    """A part that waited is filed with the others."""
    if inbox.file_with(unit, inbound_id):
        journal.append(unit, "report", report_id, "add", by="system", at=at, detail={"inbound": inbound_id})


def _text(unit: Unit, channel: str, inbounds: Sequence[str]) -> tuple[str, bool]:
    """(what the pieces say together, whether none is missing)."""
    said = pieces.bodies(unit, inbounds)
    if channel == "sms":
        text, is_whole = sms_parts.join([(one.n, one.total, body) for one, body in said])
        return clean(text), is_whole
    latest: dict[int, Mapping[str, Any]] = {}
    for one, body in said:  # in their places, an edit after what it replaces
        latest[one.n] = body
    return "\n".join(clean(str(body["text"])) for body in latest.values() if body.get("text")), True
