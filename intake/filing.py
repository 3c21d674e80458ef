"""Behind the door: read a kept message and put it into the queue as a report."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from channels.codecs.return_path import ReturnPath
from domain.errors import BadInput, HubError, Unavailable
from domain.report import Arrival, Attachment, Content
from intake import bounces, calls, held, proofs
from intake import reading as readings
from intake.at_work import AtWork
from intake.entering import Entering, Entry, Rings
from intake.normalise import language
from intake.reading import Locale, Reading
from intake.secrecy import LiesIn, nowhere
from sandbox.pool import Pool
from store import inbox, shelf
from store.blobs import Blobs
from store.database import Store
from store.inbox import Arrived
from store.unit import Unit

WAIT = timedelta(seconds=30)  # before a message whose filing failed for a passing reason is tried again
TRIES = 5  # then it is filed unread, or shelved: an officer with the original beats a sixth try
LAG = timedelta(milliseconds=50)  # a message that waited longer is not the only one
AT_ONCE = 32  # of those that wait as well
LOOKED_AT = 3 * AT_ONCE  # some of which others are at
CANNOT = "cannot_be_filed"  # finding: what is wrong is ours, and nobody knows it yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """What filing needs; built once by the wiring."""

    store: Store
    blobs: Blobs
    pool: Pool
    locale: Locale
    clock: Callable[[], datetime]
    entering: Entering = field(default_factory=Entering)
    return_path: ReturnPath | None = None  # None: no mail of ours can come back
    proof_key: bytes = b""  # makes the marks of synthetic reports; b"": there are none
    lies_in: LiesIn = nowhere  # what the words ask for beside their marks
    bell: Callable[[str, str], None] = field(default=lambda _job, _id: None)  # losing a ring loses nothing
    on_bug: Callable[[str, Exception], object] = field(default=lambda _what, _error: None)
    at_work: AtWork = field(default_factory=AtWork)

    def file(self, inbound_id: str) -> str | None:
        """File one message, as file_all() does; the report id, or None when there is nothing left to do."""
        return self.file_all([inbound_id])[0]

    def file_all(self, inbound_ids: Sequence[str]) -> list[str | None]:
        """File messages; for each the id of its report, None when there is nothing left to do.

        Safe to run twice and side by side: an arrival's move is a compare-and-set. Whatever the bytes
        are, a report comes of them, unless a mail of ours came back; what no parser got through is also
        on the shelf, and so is what nothing at all could be made of.
        """
        found = self._filed(self._opened(inbound_ids))
        return [found.get(name) for name in inbound_ids]

    def answer(self, inbound_id: str) -> None:
        """What a bell asks for: file this message, and where it has waited long, those that wait as well.

        One that another runner of this process is at, or has just been done with, needs nothing more.
        """
        if not self.at_work.is_free(inbound_id):
            return
        waiting, at = self._opened([inbound_id]), self.clock()
        if waiting and at - waiting[0].inbound.received_at > LAG:
            late = self.store.read(lambda unit: inbox.late(unit, at - LAG, LOOKED_AT))
            others = [name for name in late if name != inbound_id and self.at_work.is_free(name)]
            waiting += self._opened(others[:AT_ONCE])
        self._filed(waiting, self.at_work)

    def _opened(self, names: Sequence[str]) -> list[Arrived]:
        """Those that wait; one that cannot even be opened is seen to here, and harms no other."""
        if not names:
            return []
        try:
            return self.store.read(lambda unit: inbox.waiting(unit, names, self.blobs.get))
        except Unavailable:
            raise
        except Exception as error:
            if len(names) > 1:
                return [one for name in names for one in self._opened([name])]
            self._broken(names[0], error)
            return []

    def _filed(self, waiting: Sequence[Arrived], claims: "AtWork | None" = None) -> dict[str, str]:
        """Message -> its report. While one is read, the store enters those before it: none waits for a slow one."""
        made: dict[str, str] = {}
        under_way: list[tuple[Entry, Future[Rings | None]]] = []
        claimed: list[str] = []
        try:
            for arrived in waiting:
                if claims:
                    if not claims.claim(arrived.id):
                        continue
                    claimed.append(arrived.id)
                made |= self._started(arrived, under_way)
            for entry, future in under_way:
                made |= self._ended(entry, future)
        finally:
            if claims:
                claims.release(claimed, done=made)
        return made

    def _started(
        self, arrived: Arrived, under_way: "list[tuple[Entry, Future[Rings | None]]]"
    ) -> dict[str, str]:
        try:
            read = self._read_one(arrived)
        except Exception as error:
            return self._broken(arrived.id, error)
        if isinstance(read, Entry):
            under_way.append((read, self.store.submit_item(self.entering.enter, read)))
        return {arrived.id: read} if isinstance(read, str) and read else {}

    def _ended(self, entry: Entry, future: "Future[Rings | None]") -> dict[str, str]:
        try:
            rings = future.result()
        except Exception as error:
            return self._broken(entry.arrived.id, error)
        return self._rung(entry, rings)

    def _rung(self, entry: Entry, rings: "Rings | None") -> dict[str, str]:
        for job, row_id in rings or ():
            self.bell(job, row_id)
        return {} if rings is None else {entry.arrived.id: entry.arrived.report_id}

    def _broken(self, inbound_id: str, error: Exception) -> dict[str, str]:
        """One that breaks alone is not tried for ever, nor lost."""
        if isinstance(error, Unavailable):  # the store, or no child: nothing is wrong with the message
            raise error
        if not isinstance(error, HubError | OSError):
            self.on_bug("file", error)
        report = self._not_filed(inbound_id, _code(error))
        return {inbound_id: report} if report else {}

    def _read_one(self, arrived: Arrived) -> "Entry | str | None":
        """What is to be entered; the report that a call became; None when it was settled here, or waits."""
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
            self.store.run(lambda unit: inbox.postpone(unit, arrived.id, at + WAIT))
            return None
        try:
            content = self._content(found, blobs)
        except (HubError, OSError):  # no room for its files: it waits, and none of its tries is used up
            at = self.clock()
            self.store.run(lambda unit: inbox.wait(unit, arrived.id, at + WAIT))
            return None
        if mark is not None and proofs.says_nothing_else(mark, arrived.inbound, found, content):
            at = self.clock()
            self.store.run(lambda unit: proofs.settle(unit, arrived, mark, at))
            return None
        return self._entry(arrived, found, content)

    def _entry(self, arrived: Arrived, found: Reading, content: Content) -> Entry:
        return Entry(
            arrived=arrived,
            found=found,
            content=content,
            more=self.lies_in(content) | held.born_in(arrived.inbound),
            at=self.clock(),
        )

    def _heard(self, piece: Arrived) -> str | None:
        """Join what a caller said to the report of his call."""
        at = self.clock()
        writer = self.entering.acknowledger
        heard = self.store.run(lambda unit: calls.hear(unit, piece, self.blobs.get, writer, at))
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
                entry = self._entry(arrived, unread, self._content(unread, ()))
                future = self.store.submit_item(self.entering.enter, entry)
                return self._rung(entry, future.result()).get(inbound_id)
        except Unavailable:
            raise
        except Exception as error:  # destroyed key, altered bytes, or as before
            reason = error.code if isinstance(error, HubError) else reason
        self.store.run(lambda unit: inbox.set_aside(unit, inbound_id, reason, at))
        return None


def _code(error: Exception) -> str:
    return error.code if isinstance(error, HubError) else CANNOT
