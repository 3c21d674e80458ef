"""The transaction of filing: what was read becomes reports in the queue, many at once in one statement a table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from channels.codecs.stop_word import is_stop
from domain.errors import BadInput, Conflict
from domain.events import is_code
from domain.place import canonical
from domain.report import Content, Fact, Report, State
from intake import answers, bounces, chat_commands, follow_ups, rings, senders, signatures, threads
from intake.acknowledge import Acknowledger, Silence
from intake.reading import Reading
from outbox.outgoing import CHINA
from store import (
    audience,
    compartments,
    faxes,
    inbox,
    journal,
    media,
    numbers,
    pieces,
    reports,
    sender_checks,
    shelf,
)
from store import blobs as blob_book
from store.inbox import Arrived
from store.unit import Unit
from templates import notice_texts

Rings = list[tuple[str, str]]  # (job, id) to ring for after the COMMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A message that was read, and what the words ask for beside their marks."""

    arrived: Arrived
    found: Reading
    content: Content
    more: int  # compartments
    at: datetime  # when it was read

    @property
    def is_lone(self) -> bool:
        """Whether only its arrival decides that it becomes a report of its own, or an answer to an officer."""
        inbound, content = self.arrived.inbound, self.content
        is_other = (
            follow_ups.followed(inbound)
            or self.found.piece
            or self.found.passes
            or self.found.command
            or (inbound.channel == "sms" and is_stop(content.text))
            or signatures.is_one(inbound, content)
        )
        return not is_other


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fresh:
    """What becomes a report of its own, its arrival being ours."""

    entry: Entry
    content: Content  # with what is known of its call, its other pieces, its number
    here: threads.Place
    number: Fact | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entering:
    """What entering needs to know of the hub."""

    acknowledger: Acknowledger | None = None  # None: nobody is written to
    looks_at_senders: bool = False  # DNS can be asked, after filing, whether a mail is from whom it says
    zone: tzinfo = CHINA  # in which a year of numbered faxes begins

    def enter(self, unit: Unit, entries: Sequence[Entry]) -> list[Rings | None]:
        """For each what to ring for, None when there was nothing left to file, it was settled, or it waits for others.

        All that is alike is one statement; each arrival's move is a compare-and-set, so that a message which two
        workers read is entered once.
        """
        at = max(one.at for one in entries)
        lone = [one for one in entries if one.is_lone]
        outcomes = self._enter_lone(unit, lone, at) if lone else {}
        for (
            entry
        ) in entries:  # in their order, and whole: one may belong to what the one before it has become
            if not entry.is_lone:
                found = self._special(unit, entry, at)
                name = entry.arrived.id
                outcomes[name] = self._made(unit, [found], at)[name] if isinstance(found, _Fresh) else found
        return [outcomes[one.arrived.id] for one in entries]

    def _enter_lone(self, unit: Unit, entries: Sequence[Entry], at: datetime) -> "dict[str, Rings | None]":
        ours = inbox.file_all(unit, [one.arrived.id for one in entries])
        asked = answers.asked(
            unit, [one.arrived for one in entries if one.arrived.id in ours], self.acknowledger, at
        )
        outcomes: dict[str, Rings | None] = dict.fromkeys(one.arrived.id for one in entries)
        fresh = []
        for entry in entries:
            if entry.arrived.id in ours:
                make = self._of_its_own if entry.arrived.id in asked else self._fresh
                found = make(unit, entry, entry.content, threads.ALONE, at)
                if isinstance(found, _Fresh):
                    fresh.append(found)
                else:
                    outcomes[entry.arrived.id] = found
        return outcomes | self._made(unit, fresh, at)

    def _special(self, unit: Unit, entry: Entry, at: datetime) -> "_Fresh | Rings | None":
        """What belongs to others, or is no report: its arrival is moved here."""
        arrived, found, content = entry.arrived, entry.found, entry.content
        if first := follow_ups.followed(arrived.inbound):
            if follow_ups.join(unit, arrived, content, at):
                compartments.seal(unit, first, entry.more, by="system", at=at, why="event_type")
                return [("study_report", first)]
            content = follow_ups.linked(unit, arrived, content)
        is_command = found.command in chat_commands.COMMANDS
        here = (
            threads.place(unit, arrived, found.piece, at) if found.piece and not is_command else threads.ALONE
        )
        if here.waits_until:
            pieces.wait(unit, arrived.id, here.waits_until)
            return None
        if not inbox.move(unit, arrived, "shelve" if found.passes == "unknown" else "file"):
            return None
        if found.passes or is_command:
            parcel = self._settle(unit, arrived, found, at)
            return [("deliver", parcel)] if parcel else []
        if here.report:
            compartments.seal(unit, here.report, entry.more, by="system", at=at, why="event_type")
            return [("fetch_media", medium) for medium in threads.add(unit, arrived, content, here, at)]
        content = threads.whole(unit, arrived, found.piece, content, here) if found.piece else content
        return self._of_its_own(unit, entry, content, here, at)

    def _of_its_own(
        self, unit: Unit, entry: Entry, content: Content, here: threads.Place, at: datetime
    ) -> "_Fresh | Rings | None":
        """It joins no thread; a STOP, a signature, and the answer to what an officer asked become no report either."""
        arrived = entry.arrived
        if _is_only_a_stop(unit, arrived, content.text, at):
            return None
        if signatures.by_mail(unit, arrived, content, at):
            return None
        joined = answers.awaited(unit, arrived, content, self.acknowledger, at)
        if not joined:
            return self._fresh(unit, entry, content, here, at)
        answers.join(unit, arrived, content, joined, at)
        compartments.seal(unit, joined, entry.more, by="system", at=at, why="event_type")
        threads.begin(unit, arrived, here, at, report_id=joined)
        awaited = media.expect(unit, joined, arrived.id, len(arrived.inbound.meta.get("media", ())), at)
        return [*(("fetch_media", medium) for medium in awaited), ("study_report", joined)]

    def _fresh(
        self, unit: Unit, entry: Entry, content: Content, here: threads.Place, at: datetime
    ) -> "_Fresh":
        content = rings.with_ring(unit, entry.arrived.inbound, content)
        number = _numbered(unit, entry.arrived, self.zone, at)
        if number:
            content = replace(content, facts={**content.facts, "received_number": (number,)})
        for attachment in content.attachments:
            blob_book.note(unit, attachment.sha256, attachment.size, entry.arrived.inbound.handling, at)
        return _Fresh(entry=entry, content=content, here=here, number=number)

    def _made(self, unit: Unit, fresh: Sequence[_Fresh], at: datetime) -> dict[str, Rings]:
        """Reports, versions, acknowledgements, media to fetch and journal of all of them; what to ring for."""
        if not fresh:
            return {}
        made = [
            (_report(one, at), one.entry.arrived.id, f"door:{one.entry.arrived.inbound.channel}")
            for one in fresh
        ]
        if reports.insert_many(unit, made, at=at) < len(made):
            raise Conflict("a message that is not filed has a report", code="report_changed")
        blocked = senders.blocked(unit, [one.entry.arrived.inbound for one in fresh])
        rings: dict[str, Rings] = {}
        firsts = []
        for one, is_blocked in zip(fresh, blocked, strict=True):
            arrived = one.entry.arrived
            rings[arrived.id], told = self._around(unit, one, is_blocked=is_blocked, at=at)
            firsts.append(_first(one, told, at))
        journal.begin_streams(unit, firsts)
        pieces.settle_own(unit, [one.entry.arrived.id for one in fresh if one.here is threads.ALONE])
        for one, is_blocked in zip(fresh, blocked, strict=True):
            if one.here is not threads.ALONE:
                threads.begin(unit, one.entry.arrived, one.here, at)
            if is_blocked:
                senders.set_aside(unit, one.entry.arrived.report_id, at)
        return rings

    def _around(self, unit: Unit, one: _Fresh, *, is_blocked: bool, at: datetime) -> tuple[Rings, str]:
        """(what to ring for, what the journal says of the acknowledgement); who is blocked gets none."""
        arrived, content = one.entry.arrived, one.content
        _keep_number(unit, arrived.report_id, one.number)
        if reason := _reason_to_shelve(content.findings):
            shelf.put(unit, "inbound", reason, origin=arrived.report_id, at=at)
        parcel, told = "", Silence.BLOCKED.value if is_blocked else ""
        if self.acknowledger and not is_blocked:
            parcel, told = self.acknowledger.promise(unit, arrived, content, at)
        count = len(arrived.inbound.meta.get("media", ()))
        awaited = media.expect(unit, arrived.report_id, arrived.id, count, at)
        if self.looks_at_senders and arrived.inbound.channel == "email":
            sender_checks.open_one(unit, arrived.report_id, at)
        rings = [*([("deliver", parcel)] if parcel else []), *(("fetch_media", medium) for medium in awaited),
                 ("study_report", arrived.report_id)]  # fmt: skip
        return rings, told

    def _settle(self, unit: Unit, arrived: Arrived, found: Reading, at: datetime) -> str:
        """What came by a chat and is no report: a command, or word of the chat itself. The parcel to ring for, or ''."""
        channel, chat = arrived.inbound.channel, arrived.inbound.sender
        if found.passes == "unknown":
            shelf.put(unit, "inbound", "unknown_kind", origin=arrived.id, at=at)
        elif found.passes == "blocked":
            audience.opt_out(unit, channel, chat, inbound=arrived.id, at=at)
        elif found.passes == "moved":
            audience.readdress(unit, channel, chat, found.argument, at)
        if found.passes:
            journal.append(unit, "inbound", arrived.id, f"chat_{found.passes}", by="system", at=at)
            return ""
        language = notice_texts.language_for(found.language or "und")
        reply = chat_commands.do(unit, arrived, found.command, found.argument, language, at)
        return self.acknowledger.answer(unit, arrived, reply, language, at) if self.acknowledger else ""


def _first(one: _Fresh, told: str, at: datetime) -> journal.First:
    arrived, content = one.entry.arrived, one.content
    detail = {"inbound": arrived.id, "code": arrived.code, "channel": arrived.inbound.channel,
              "attachments": [a.sha256 for a in content.attachments], "acknowledged": told}  # fmt: skip
    return journal.First(kind="report", entity=arrived.report_id, act="file", by="system", at=at, detail=detail,
                         content=content.text.encode())  # fmt: skip


def _report(one: _Fresh, at: datetime) -> Report:
    arrived, found = one.entry.arrived, one.entry.found
    inbound = arrived.inbound
    return Report(
        id=arrived.report_id,
        code=arrived.code,
        channel=inbound.channel,
        organisation=inbound.organisation,
        handling=inbound.handling,
        state=State.FILED,
        revision=1,
        received_at=inbound.received_at,
        filed_at=at,
        content=one.content,
        event_code=found.event_code if is_code(found.event_code) else "",
        grade=found.grade,
        area=_area(found.area),
        compartments=one.entry.more,
    )


def _area(code: str) -> str:
    try:
        return canonical(code) if code else ""
    except BadInput:
        return ""


def _numbered(unit: Unit, arrived: Arrived, zone: tzinfo, at: datetime) -> Fact | None:
    """The number of an incoming fax within its year; only once its arrival is ours, so that no number is lost."""
    if arrived.inbound.channel != "fax":
        return None
    year = arrived.inbound.received_at.astimezone(zone).year
    return Fact(value=f"{year}-{numbers.take(unit, 'fax', year):04}", origin="parser")


def _keep_number(unit: Unit, report_id: str, number: Fact | None) -> None:
    if number:
        year, _, n = number.value.partition("-")
        faxes.keep_number(unit, report_id, int(year), int(n))


def _reason_to_shelve(findings: Sequence[str]) -> str:
    """Why a report also lies on the shelf, where somebody must look at it: unread, half read, or forged."""
    if "unparsed" in findings:
        return findings[0]
    return next((mark for mark in ("header_too_large", bounces.FINDING) if mark in findings), "")


def _is_only_a_stop(unit: Unit, arrived: Arrived, text: str, at: datetime) -> bool:
    """A STOP that waited in the spool ends subscriptions only; the door has settled those that did not wait.

    A responsible person's changes nothing and goes on into the queue, where the duty room sees it.
    """
    inbound = arrived.inbound
    if inbound.channel != "sms" or not is_stop(text) or audience.ended_by(unit, arrived.id):
        return False
    scope = audience.opt_out(unit, "sms", inbound.sender, inbound=arrived.id, at=at)
    journal.append(unit, "inbound", arrived.id, "opt_out", by="system", at=at, detail={"scope": scope})
    return scope != audience.RESPONSIBLE
