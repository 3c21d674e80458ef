"""A message that follows a report: a further version of it, or a report of its own that names the first."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from domain.exchange import Line
from domain.further import STILL_READ, Further
from domain.report import DESTROYED, Arrival, Content, Fact, Inbound, Report
from store import blobs as blob_book
from store import exchanges, follow_ups, inbox, journal, reports
from store.inbox import Arrived
from store.unit import Unit

WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(seconds=30)  # for the first report, which is being filed
TRIES = 60  # half an hour: for a first message that is not stored yet, since it lies in a spool
# Facts of which only the newest is true; of the others (positions, times, senders) all are kept beside each other.
REPLACED = ("place", "subject", "contact")


def followed(inbound: Inbound) -> str:
    """The id of the report that a message follows, '' for a message of its own."""
    return str(inbound.meta.get("follows", ""))


def join(unit: Unit, arrived: Arrived, content: Content, at: datetime) -> bool:
    """Say it in a further version of its report, in the caller's transaction. Safe to run twice.

    False: the report is not read any more, the caller makes another one of it.
    """
    report = reports.get(unit, followed(arrived.inbound), lock=True)
    if report is None:
        first = inbox.by_report(unit, followed(arrived.inbound))
        if (first.state != Arrival.RECEIVED.value) if first else arrived.tries >= TRIES:
            return False  # its first message lies on a shelf: this one is read without it
        inbox.postpone(unit, arrived.id, at + min(WAIT * (1 << min(arrived.tries, 16)), LONGEST_WAIT))
        return True
    if report.state not in STILL_READ or report.content is DESTROYED:
        return False
    if not inbox.move(unit, arrived, "file"):
        return True
    say(unit, report, arrived, content, Further(arrived.inbound.meta["further"]), at)
    return True


def say(unit: Unit, report: Report, arrived: Arrived, content: Content, kind: Further, at: datetime) -> None:
    """A further version of a locked report, and a line of what is said about it to and fro."""
    for attachment in content.attachments:
        blob_book.note(unit, attachment.sha256, attachment.size, report.handling, at)
    reports.revise(
        unit, report, said(report.content, content, kind), by=f"door:{arrived.inbound.channel}", at=at
    )
    version = reports.versions(unit, report.id)
    follow_ups.expect(unit, arrived.id, report.id, kind, at)
    follow_ups.settle(unit, arrived.id, version=version)
    exchanges.add(unit, heard(report.id, arrived, content.text, version))
    journal.append(
        unit, "report", report.id, kind.value, by="system", at=at, content=content.text.encode(),
        detail={"inbound": arrived.id, "version": version, "attachments": [a.sha256 for a in content.attachments]},
    )  # fmt: skip


def heard(report_id: str, arrived: Arrived, text: str, version: int) -> Line:
    """What the reporter says, as a line; the same message is the same line."""
    return Line(id=arrived.id.replace("inb_", "exc_", 1), report=report_id, is_ours=False, by="",
                channel=arrived.inbound.channel, text=text, at=arrived.inbound.received_at, inbound=arrived.id,
                version=version)  # fmt: skip


def linked(unit: Unit, arrived: Arrived, content: Content) -> Content:
    """`content` for a report of its own, naming the one that it follows."""
    first = reports.get(unit, followed(arrived.inbound))
    follow_ups.settle(unit, arrived.id, linked=arrived.report_id)
    told = Fact(value=_code(first), origin="envelope", note=str(arrived.inbound.meta["further"]))
    return replace(content, facts={**content.facts, "follows": (told,)})


def said(before: Content, more: Content, kind: Further) -> Content:
    """What the report says now. Nothing is lost: the versions before it stay as they were."""
    is_correction = kind is Further.CORRECTION
    texts = [more.text] if is_correction and more.text.strip() else [before.text, more.text]
    known = {a.sha256 for a in before.attachments}
    findings = [f for f in (*before.findings, *more.findings) if f != "no_readable_text"]
    text = "\n\n".join(text for text in texts if text.strip())
    return replace(
        before,
        text=text,
        language=more.language if is_correction and more.text.strip() else before.language,
        facts=_facts(before.facts, more.facts, is_correction=is_correction),
        attachments=(*before.attachments, *(a for a in more.attachments if a.sha256 not in known)),
        findings=tuple(dict.fromkeys([*findings, *([] if text.strip() else ["no_readable_text"])])),
    )


def _facts(
    before: Mapping[str, tuple[Fact, ...]], more: Mapping[str, tuple[Fact, ...]], *, is_correction: bool
) -> dict[str, tuple[Fact, ...]]:
    """The new ones lead; a correction also takes the place of what it names, except of who sent what."""
    facts = dict(before)
    for name, new in more.items():
        known = () if name in REPLACED or (is_correction and name != "sender") else facts.get(name, ())
        facts[name] = (*new, *(fact for fact in known if fact not in new))
    return facts


def _code(report: Report | None) -> str:
    return report.code if report else ""
