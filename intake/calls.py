"""What a call says piece by piece: each piece becomes a further version of its one report.

Pieces come late, twice and in any order, so a version is what was known before and the piece: the same set of
pieces ends in the same report.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from domain.call import Step
from domain.errors import BadInput
from domain.ids import mint, short_code
from domain.place import canonical
from domain.report import Arrival, Content, Fact, Inbound, Kept, Report
from intake.acknowledge import Acknowledger
from intake.media import PENDING
from intake.normalise import clean
from store import areas, inbox, journal, media, reports
from store.inbox import Arrived, Arriving
from store.unit import Unit

CHANNEL = "voice"
OPEN, ABANDONED, MACHINE, HIDDEN = "call_open", "abandoned_call", "machine_transcript", "hidden_number"
NO_TEXT = "no_readable_text"
WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(seconds=30)  # for the call itself, which is being filed
ONCE = frozenset({"sender", "call_ended"})  # facts whose first word is kept: later ones say the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came of a piece."""

    report: str = ""  # '' when it waits, or lies on the shelf
    rings: tuple[tuple[str, str], ...] = ()


def is_piece(inbound: Inbound) -> bool:
    """Whether a message belongs to a call that is a message by itself."""
    return inbound.channel == CHANNEL and "step" in inbound.meta


def hear(
    unit: Unit,
    piece: Arrived,
    read_blob: Callable[[str], bytes],
    acknowledger: Acknowledger | None,
    at: datetime,
) -> Heard:
    """Join one piece to the report of its call, in the caller's transaction. Safe to run twice and side by side."""
    name = str(piece.inbound.meta["call"])
    whole = inbox.named(unit, CHANNEL, name)
    if whole is None:
        _begin(unit, piece, name, at)
    stand = inbox.stand_of(unit, whole) if whole else None
    if whole is None or stand is None or stand[0] is Arrival.RECEIVED:
        # However long: the call ends filed or on the shelf. As long again as it has waited already, so ever more seldom.
        inbox.wait(unit, piece.id, at + min(max(at - piece.inbound.received_at, WAIT), LONGEST_WAIT))
        return Heard()
    call = inbox.load(unit, whole, read_blob) if stand[0] is Arrival.FILED else None
    report = reports.get(unit, call.report_id, lock=True) if call else None
    if call is None or report is None:  # shelved, or settled without a report
        inbox.shelve(unit, piece, "no_call", at)
        return Heard()
    if not inbox.move(unit, piece, "file"):
        return Heard()
    awaited = _expect(unit, report, piece, at)
    content = told(report.content, piece.inbound, _names(unit, piece.inbound))
    if awaited:
        content = replace(content, findings=tuple(dict.fromkeys([*content.findings, PENDING])))
    if content == report.content:
        return Heard(report=report.id)
    rings = [("fetch_media", medium) for medium in awaited]
    reports.revise(unit, report, content, by=f"door:{CHANNEL}", at=at)
    _locate(unit, report.id, piece.inbound)
    parcel, said = "", ""
    if acknowledger and not report.is_aside and not _is_told(report.content) and _is_told(content):
        parcel, said = acknowledger.promise(unit, call, content, at)
    rings += [("deliver", parcel)] if parcel else []
    journal.append(
        unit, "report", report.id, "hear", by="system", at=at, content=content.text.encode(),
        detail={"inbound": piece.id, "step": piece.inbound.meta["step"], "acknowledged": said},
    )  # fmt: skip
    return Heard(report=report.id, rings=tuple(rings))


def told(content: Content, piece: Inbound, names: tuple[str, str] | None) -> Content:
    """`content` with what `piece` adds; `names` are those of the area it keyed in."""
    facts = dict(content.facts)
    for name, fact in _said(piece, names):
        known = facts.get(name, ())
        is_known = any(fact.note == f.note and fact.value == f.value for f in known)
        if fact.value and not is_known and not (known and name in ONCE):
            facts[name] = tuple(sorted((*known, fact), key=lambda f: (f.origin, f.note, f.value)))
    text, is_ours = content.text, not content.text.strip() or MACHINE in content.findings
    if facts.get("transcript") and is_ours:
        text = "\n".join(f.value for f in sorted(facts["transcript"], key=lambda f: f.note))
    language = content.language
    if is_ours and (text or language == "und"):
        language = str(piece.meta.get("language", "zh-CN")).partition("-")[0]
    return replace(
        content, text=text, language=language, facts=facts, findings=_findings(content, facts, text)
    )


def _said(piece: Inbound, names: tuple[str, str] | None) -> Iterator[tuple[str, Fact]]:
    """Every fact of a piece; one without a value says nothing."""
    meta, at = piece.meta, piece.received_at.isoformat()
    keyed = str(meta.get("digits", "")) if meta["step"] == Step.PLACE else ""
    speech, transcript = (clean(str(meta.get(name, ""))).strip() for name in ("speech", "transcript"))
    ended = at if meta["step"] == Step.STATUS else ""
    yield "sender", Fact(value=str(meta.get("from", "")), origin="envelope")
    yield "place", Fact(value=names[0] if names else keyed, origin="keypad", note=keyed)
    yield "place", Fact(value=speech, origin="speech", note=str(meta.get("confidence", "")))
    if recording := str(meta.get("recording", "")):
        yield "recording", Fact(value=_length(meta.get("seconds")), origin="provider", note=recording)
    yield "transcript", Fact(value=transcript, origin="machine", note=str(meta.get("sequence", "")))
    status = str(meta.get("status", ""))
    yield "call_ended", Fact(value=ended, origin="provider", note="" if status == "completed" else status)


def _findings(content: Content, facts: dict[str, tuple[Fact, ...]], text: str) -> tuple[str, ...]:
    """What is true of the call now, beside what other readers found."""
    mine = {OPEN, ABANDONED, MACHINE, NO_TEXT}
    has_spoken, has_ended = bool(facts.get("recording")), bool(facts.get("call_ended"))
    now = [OPEN] if not (has_spoken or has_ended) else []
    now += [ABANDONED] if has_ended and not has_spoken else []
    now += [MACHINE] if facts.get("transcript") else []
    now += [NO_TEXT] if not text.strip() else []
    return (*(f for f in content.findings if f not in mine), *now)


def _is_told(content: Content) -> bool:
    """Whether the caller has said anything that is worth a receipt."""
    return bool(content.facts.get("recording") or content.facts.get("place"))


def _length(seconds: Any) -> str:
    whole = int(seconds) if str(seconds or "").isdigit() else 0
    return f"{whole // 60}:{whole % 60:02d}"


def _names(unit: Unit, piece: Inbound) -> tuple[str, str] | None:
    code = area_of(piece)
    return areas.names(unit, [code]).get(code) if code else None


def area_of(piece: Inbound) -> str:
    """The area that a piece keyed in, '' for none and for what is no code."""
    if piece.meta.get("step") != Step.PLACE:
        return ""
    try:
        return canonical(str(piece.meta.get("digits", "")))
    except BadInput:
        return ""


def _locate(unit: Unit, report_id: str, piece: Inbound) -> None:
    """Give the report the area that was keyed in, unless it has one; an unknown code stays a word."""
    report, code = reports.get(unit, report_id), area_of(piece)
    if report is not None and code and not report.area and areas.names(unit, [code]):
        reports.change(unit, report, replace(report, area=code))


def _expect(unit: Unit, report: Report, piece: Arrived, at: datetime) -> list[str]:
    """Enter the recording to be fetched, once, whoever names it first."""
    sid = str(piece.inbound.meta.get("recording", ""))
    known = {f.note for f in report.content.facts.get("recording", ())}
    return media.expect(unit, report.id, piece.id, 1, at) if sid and sid not in known else []


def _begin(unit: Unit, piece: Arrived, name: str, at: datetime) -> None:
    """The call itself has not come: its first word was lost, or waits in another machine's spool."""
    about = {
        n: piece.inbound.meta[n]
        for n in ("from", "from_as_given", "to", "is_hidden")
        if n in piece.inbound.meta
    }
    call = replace(piece.inbound, external_id=name, meta={"call": name, **about})
    minted = Kept(inbound_id=mint("inb", at), report_id=mint("rep", at), code=short_code(), is_fresh=True)
    inbox.keep_many(unit, [Arriving(inbound=call, minted=minted, at=at)])
