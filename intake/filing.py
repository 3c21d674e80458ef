"""Behind the door: read a kept message and put it into the queue as a report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo

from channels.codecs.return_path import ReturnPath
from channels.codecs.stop_word import is_stop
from domain.errors import BadInput, HubError, Unavailable
from domain.events import is_code
from domain.place import canonical
from domain.proof import Mark
from domain.report import Arrival, Attachment, Content, Fact, Inbound, Report, State
from intake import (
    answers,
    bounces,
    calls,
    chat_commands,
    follow_ups,
    proofs,
    rings,
    senders,
    signatures,
    threads,
)
from intake import reading as readings
from intake.acknowledge import Acknowledger, Silence
from intake.normalise import language
from intake.reading import Locale, Reading
from intake.secrecy import LiesIn, nowhere
from outbox.outgoing import CHINA
from sandbox.pool import Pool
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
from store.blobs import Blobs
from store.database import Store
from store.inbox import Arrived
from store.unit import Unit
from templates import notice_texts

WAIT = timedelta(seconds=30)  # before a message whose filing failed for a passing reason is tried again
TRIES = 5  # then it is filed unread, or shelved: an officer with the original beats a sixth try
CANNOT = "cannot_be_filed"  # finding: what is wrong is ours, and nobody knows it yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """What filing needs; built once by the wiring."""

    store: Store
    blobs: Blobs
    pool: Pool
    locale: Locale
    clock: Callable[[], datetime]
    return_path: ReturnPath | None = None  # None: no mail of ours can come back
    acknowledger: Acknowledger | None = None  # None: nobody is written to
    proof_key: bytes = b""  # makes the marks of synthetic reports; b"": there are none
    lies_in: LiesIn = nowhere  # what the words ask for beside their marks
    looks_at_senders: bool = False  # DNS can be asked, after filing, whether a mail is from whom it says
    zone: tzinfo = CHINA  # in which a year of numbered faxes begins
    bell: Callable[[str, str], None] = field(default=lambda _job, _id: None)  # losing a ring loses nothing
    on_bug: Callable[[str, Exception], object] = field(default=lambda _what, _error: None)

    def file(self, inbound_id: str) -> str | None:
        """File one message; the report id, or None when there is nothing left to do.

        Safe to run twice and side by side: the arrival's move is a compare-and-set. Whatever the bytes
        are, a report comes of them, unless a mail of ours came back; what no parser got through is also
        on the shelf, and so is what nothing at all could be made of.
        """
        try:
            return self._filed(inbound_id)
        except Unavailable:  # the store, or no child: nothing is wrong with the message
            raise
        except Exception as error:  # one message must not be tried for ever, nor be lost
            if not isinstance(error, HubError | OSError):
                self.on_bug("file", error)
            return self._not_filed(inbound_id, _code(error))

    def _filed(self, inbound_id: str) -> str | None:
        arrived = self.store.read(lambda unit: inbox.load(unit, inbound_id, self.blobs.get))
        if arrived is None or arrived.state is not Arrival.RECEIVED:
            return None
        mark = proofs.mark_of(self.proof_key, arrived.inbound)
        if mark is None and self._is_trapped(arrived):
            return None
        if calls.is_piece(arrived.inbound):
            return self._heard(arrived)
        try:
            returned = bounces.examine(
                arrived, self.return_path, self.pool, is_last_try=arrived.tries >= TRIES
            )
            if returned and self._is_settled(arrived, returned):
                return None
            found, blobs = self._read(arrived)
            found = bounces.marked(found, returned)
        except (HubError, OSError):
            at = self.clock()
            self.store.run(lambda unit: inbox.postpone(unit, inbound_id, at + WAIT))
            return None
        try:
            content = self._content(found, blobs)
        except (HubError, OSError):  # no room for its files: it waits, and none of its tries is used up
            at = self.clock()
            self.store.run(lambda unit: inbox.wait(unit, inbound_id, at + WAIT))
            return None
        return self._entered(arrived, found, content, mark)

    def _entered(self, arrived: Arrived, found: Reading, content: Content, mark: Mark | None) -> str | None:
        at, more = self.clock(), self.lies_in(content)
        if mark is not None and proofs.says_nothing_else(mark, arrived.inbound, found, content):
            self.store.run(lambda unit: proofs.settle(unit, arrived, mark, at))
            return None
        jobs = self.store.run(lambda unit: self._put_in(unit, arrived, found, content, more, at))
        for job, row_id in jobs or ():
            self.bell(job, row_id)
        return None if jobs is None else arrived.report_id

    def _put_in(
        self, unit: Unit, arrived: Arrived, found: Reading, content: Content, more: int, at: datetime
    ) -> "list[tuple[str, str]] | None":
        """Enter it; its sender is looked at later, for that waits for name servers."""
        if first := follow_ups.followed(arrived.inbound):
            if follow_ups.join(unit, arrived, content, at):
                compartments.seal(unit, first, more, by="system", at=at, why="event_type")
                return [("study_report", first)]
            content = follow_ups.linked(unit, arrived, content)
        jobs = _enter(unit, arrived, found, content, more, self.acknowledger, at, self.zone)
        if jobs is not None and self.looks_at_senders and arrived.inbound.channel == "email":
            sender_checks.open_one(unit, arrived.report_id, at)
        return jobs

    def _heard(self, piece: Arrived) -> str | None:
        """Join what a caller said to the report of his call."""
        at = self.clock()
        heard = self.store.run(lambda unit: calls.hear(unit, piece, self.blobs.get, self.acknowledger, at))
        for job, row_id in heard.rings:
            self.bell(job, row_id)
        return heard.report or None

    def _is_trapped(self, arrived: Arrived) -> bool:
        """Put aside what filled in the field that people do not see, or came with a flood, once.

        From the shelf it may come back: whatever it was, an officer decides.
        """
        meta = arrived.inbound.meta
        reason = "honeypot" if meta.get("trap") else "bulk" if meta.get("bulk") else ""

        def work(unit: Unit) -> bool:
            if shelf.has_held(unit, "inbound", arrived.id):
                return False
            inbox.shelve(unit, arrived, reason, self.clock())
            return True

        return bool(reason) and self.store.run(work)

    def _is_settled(self, arrived: Arrived, returned: bounces.Verdict) -> bool:
        at = self.clock()
        return self.store.run(lambda unit: bounces.settle(unit, arrived, returned, at))

    def _read(self, arrived: Arrived) -> tuple[Reading, tuple[bytes, ...]]:
        parser, options = readings.parser_of(arrived.inbound)
        try:
            result = self.pool.run(parser, arrived.inbound.raw, options)
            return readings.reading(arrived.inbound, result.value, self.locale), result.blobs
        except BadInput as error:
            return readings.unread(arrived.inbound, error.code, self.locale), ()
        except HubError:
            if arrived.tries < TRIES:
                raise
            return readings.unread(arrived.inbound, "parser_unavailable", self.locale), ()

    def _content(self, found: Reading, blobs: tuple[bytes, ...]) -> Content:
        """Files become durable blobs before the row that names them."""
        attachments = tuple(
            Attachment(
                sha256=self.blobs.put(blobs[file["blob"]]),
                name=file["name"],
                media_type=file["media_type"],
                declared_type=file["declared_type"],
                size=file["size"],
                is_inline=file["is_inline"],
            )
            for file in found.files
        )
        subject = found.facts["subject"][0].value if "subject" in found.facts else ""
        return Content(
            text=found.text,
            language=language(f"{subject} {found.text}"),
            facts=found.facts,
            attachments=attachments,
            findings=found.findings,
        )

    def _not_filed(self, inbound_id: str, reason: str) -> str | None:
        """Try it again some times; then file it unread, and what cannot even be opened goes to the shelf."""
        found = self.store.read(lambda unit: inbox.stand_of(unit, inbound_id))
        if found is None or found[0] is not Arrival.RECEIVED:
            return None
        at = self.clock()
        if found[1] < TRIES:
            self.store.run(lambda unit: inbox.postpone(unit, inbound_id, at + WAIT))
            return None
        try:
            arrived = self.store.read(lambda unit: inbox.load(unit, inbound_id, self.blobs.get))
            if arrived and not calls.is_piece(arrived.inbound):
                unread = readings.unread(arrived.inbound, reason, self.locale)
                return self._entered(arrived, unread, self._content(unread, ()), None)
        except Unavailable:
            raise
        except Exception as error:  # destroyed key, altered bytes, or as before
            reason = error.code if isinstance(error, HubError) else reason
        self.store.run(lambda unit: inbox.set_aside(unit, inbound_id, reason, at))
        return None


def _enter(
    unit: Unit,
    arrived: Arrived,
    found: Reading,
    content: Content,
    more: int,
    acknowledger: Acknowledger | None,
    at: datetime,
    zone: tzinfo,
) -> list[tuple[str, str]] | None:
    """One transaction: arrival filed, report, version, blobs, acknowledgement, media to fetch, journal.

    What to ring for as (job, id); None when there was nothing left to file.
    """
    is_command = found.command in chat_commands.COMMANDS
    here = threads.place(unit, arrived, found.piece, at) if found.piece and not is_command else threads.ALONE
    if here.waits_until:
        pieces.wait(unit, arrived.id, here.waits_until)
        return None
    if not inbox.move(unit, arrived, "shelve" if found.passes == "unknown" else "file"):
        return None
    if found.passes or is_command:
        parcel = _settle(unit, arrived, found, acknowledger, at)
        return [("deliver", parcel)] if parcel else []
    if here.report:
        compartments.seal(unit, here.report, more, by="system", at=at, why="event_type")
        return [("fetch_media", medium) for medium in threads.add(unit, arrived, content, here, at)]
    content = threads.whole(unit, arrived, found.piece, content, here) if found.piece else content
    settled = _made_no_report(unit, arrived, content, here, more, acknowledger, at)
    if settled is not None:
        return settled or None
    content = rings.with_ring(unit, arrived.inbound, content)
    number = _numbered(unit, arrived, zone, at)
    if number:
        content = replace(content, facts={**content.facts, "received_number": (number,)})
    for attachment in content.attachments:
        blob_book.note(unit, attachment.sha256, attachment.size, arrived.inbound.handling, at)
    report = _report(arrived, found, content, more, at)
    reports.insert(unit, report, inbound_id=arrived.id, by=f"door:{arrived.inbound.channel}", at=at)
    _keep_number(unit, report.id, number)
    if reason := _reason_to_shelve(content.findings):
        shelf.put(unit, "inbound", reason, origin=arrived.report_id, at=at)
    parcel, told = _told(unit, arrived, content, acknowledger, at)
    awaited = media.expect(unit, report.id, arrived.id, len(arrived.inbound.meta.get("media", ())), at)
    journal.append(
        unit, "report", report.id, "file", by="system", at=at, is_first=True, content=content.text.encode(),
        detail={"inbound": arrived.id, "code": report.code, "channel": report.channel,
                "attachments": [a.sha256 for a in content.attachments], "acknowledged": told},
    )  # fmt: skip
    threads.begin(unit, arrived, here, at)
    if told == Silence.BLOCKED.value:
        senders.set_aside(unit, report.id, at)
    return [*([("deliver", parcel)] if parcel else []), *(("fetch_media", medium) for medium in awaited),
            ("study_report", report.id)]  # fmt: skip


def _code(error: Exception) -> str:
    return error.code if isinstance(error, HubError) else CANNOT


def _keep_number(unit: Unit, report_id: str, number: Fact | None) -> None:
    if number:
        year, _, n = number.value.partition("-")
        faxes.keep_number(unit, report_id, int(year), int(n))


def _told(
    unit: Unit, arrived: Arrived, content: Content, writer: Acknowledger | None, at: datetime
) -> tuple[str, str]:
    """(parcel to ring for, what the journal says) of the acknowledgement; who is blocked gets none."""
    if senders.is_blocked(unit, arrived.inbound):
        return "", Silence.BLOCKED.value
    return writer.promise(unit, arrived, content, at) if writer else ("", "")


def _made_no_report(
    unit: Unit, arrived: Arrived, content: Content, here: threads.Place, more: int, writer: Acknowledger | None,
    at: datetime,
) -> list[tuple[str, str]] | None:  # fmt: skip
    """What to ring for when no report is made of it: a STOP ([]), or the answer to what an officer asked. None: a report."""
    if _is_only_a_stop(unit, arrived, content.text, at):
        return []
    if signatures.by_mail(unit, arrived, content, at):
        return []
    joined = answers.awaited(unit, arrived, content, writer, at)
    if not joined:
        return None
    answers.join(unit, arrived, content, joined, at)
    compartments.seal(unit, joined, more, by="system", at=at, why="event_type")
    threads.begin(unit, arrived, here, at, report_id=joined)
    awaited = media.expect(unit, joined, arrived.id, len(arrived.inbound.meta.get("media", ())), at)
    return [*(("fetch_media", medium) for medium in awaited), ("study_report", joined)]


def _settle(
    unit: Unit, arrived: Arrived, found: Reading, acknowledger: Acknowledger | None, at: datetime
) -> str:
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
    return acknowledger.answer(unit, arrived, reply, language, at) if acknowledger else ""


def _numbered(unit: Unit, arrived: Arrived, zone: tzinfo, at: datetime) -> Fact | None:
    """The number of an incoming fax within its year; only once its arrival is ours, so that no number is lost."""
    if arrived.inbound.channel != "fax":
        return None
    year = arrived.inbound.received_at.astimezone(zone).year
    return Fact(value=f"{year}-{numbers.take(unit, 'fax', year):04}", origin="parser")


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


def _report(arrived: Arrived, found: Reading, content: Content, more: int, at: datetime) -> Report:
    inbound: Inbound = arrived.inbound
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
        content=content,
        event_code=found.event_code if is_code(found.event_code) else "",
        grade=found.grade,
        area=_area(found.area),
        compartments=more,
    )


def _area(code: str) -> str:
    try:
        return canonical(code) if code else ""
    except BadInput:
        return ""
