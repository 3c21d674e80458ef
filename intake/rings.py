"""What the telephone system knows of a call, beside what an officer wrote on its slip."""

from dataclasses import replace
from datetime import datetime

from domain.call import DeskCall
from domain.report import Content, Fact, Inbound
from store import journal, reports, rings
from store.rings import Ring
from store.unit import Unit

ORIGIN = "switchboard"
SLIP = "slip"  # in the meta of a message from the desk: the name of its slip


def take(unit: Unit, said: DeskCall, at: datetime) -> Ring:
    """Keep a word of the telephone system, and add it to the report where the slip has become one already."""
    ring, is_new = rings.hear(unit, said, at)
    if is_new and ring.report:
        join(unit, ring, ring.report, at)
    return ring


def with_ring(unit: Unit, inbound: Inbound, content: Content) -> Content:
    """`content` of a slip as it is filed, with what is known of its call."""
    name = str(inbound.meta.get(SLIP, ""))
    ring = rings.of_slip(unit, name, lock=True) if name else None
    return told(content, ring) if ring else content


def join(unit: Unit, ring: Ring, report_id: str, at: datetime) -> bool:
    """A further version of the report when the call has something new to say; False when not, or not filed yet."""
    report = reports.get(unit, report_id, lock=True)
    if report is None or (content := told(report.content, ring)) == report.content:
        return False
    reports.revise(unit, report, content, by="door:cti", at=at)
    journal.append(unit, "report", report.id, "hear", by="system", at=at, content=content.text.encode(),
                   detail={"ring": ring.id})  # fmt: skip
    return True


def told(content: Content, ring: Ring) -> Content:
    """`content` with the times, the number and the recording of its call; what is there already stays once."""
    said = {
        "sender": ring.caller,
        "call_rang": ring.rang_at.isoformat(),
        "call_answered": ring.answered_at.isoformat() if ring.answered_at else "",
        "call_ended": ring.ended_at.isoformat() if ring.ended_at else "",
        "recording_link": ring.recording,
    }
    facts = dict(content.facts)
    for name, value in said.items():
        known = facts.get(name, ())
        if value and not any(fact.origin == ORIGIN and fact.value == value for fact in known):
            note = ring.cause if name == "call_ended" else ""
            facts[name] = (*known, Fact(value=value, origin=ORIGIN, note=note))
    return replace(content, facts=facts)
