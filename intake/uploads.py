"""Files that are sent in parts to a report: announced, grown, and attached when they are whole (tus 1.0.0)."""

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from channels.codecs import files
from channels.codecs.mail_files import display_name
from domain.errors import BadInput, Conflict, HubError, NotFound, Tampered
from domain.further import UploadState
from domain.handling import Handling
from domain.ids import mint
from domain.report import Attachment
from intake import reading as readings
from sandbox.pool import Pool
from store import blobs as blob_book
from store import journal, purges, reports, shelf, uploads
from store.blobs import Blobs
from store.database import Store
from store.parts import Parts
from store.unit import Unit
from store.uploads import Upload

LARGEST = 64 << 20  # bytes: a minute of a telephone's video; it is held in memory once, while it is looked at
LASTS = timedelta(days=7)  # without a part; a boat comes home within a week, a forgotten file goes
AT_ONCE = 10  # open uploads of one report; more are a client that forgets where it was
WAIT, LONGEST_WAIT = (
    timedelta(seconds=5),
    timedelta(hours=1),
)  # until the report is filed, or a child starts again
NOTHING = hashlib.sha256(b"").hexdigest()  # the name of an empty file
STUCK = timedelta(
    hours=1
)  # whole and not attached: somebody must look, perhaps at the message that lies on the shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """What uploading needs; built once by the wiring."""

    store: Store
    blobs: Blobs
    pool: Pool
    parts: Parts
    clock: Callable[[], datetime]

    def announce(self, unit: Unit, report_id: str, client: str, length: int, name: str, kind: str) -> Upload:
        """Enter a file that will come. Raises BadInput(too_large), Conflict(too_many_uploads)."""
        at = self.clock()
        if length > LARGEST:
            raise BadInput(f"at most {LARGEST} bytes", code="too_large")
        if uploads.open_of(unit, report_id) >= AT_ONCE:
            raise Conflict(f"at most {AT_ONCE} uploads of one report at once", code="too_many_uploads")
        made = Upload(
            id=mint("upl", at), report=report_id, client=client, name=name[:200], declared_type=kind[:120],
            length=length, got=0, state=UploadState.OPEN, sha256="", next_due=at + LASTS, changed_at=at,
        )  # fmt: skip
        uploads.begin(unit, made, at)
        # a stream of its own: that of the report begins when it is filed, which may be later
        detail = {"report": report_id, "size": length}
        journal.append(unit, "upload", made.id, "upload", by=client, at=at, detail=detail, is_first=True)
        if length:
            return made
        _complete(unit, made, NOTHING, at)  # tus 1.0.0: it ends where it begins, and no part of it comes
        return replace(made, state=UploadState.WHOLE, sha256=NOTHING)

    def ready(self, length: int) -> None:
        """What must be durable before announce(): the file of those that are empty."""
        if length == 0:
            self.blobs.put(b"")

    def grown(self, before: Upload, got: int) -> UploadState:
        """`got` bytes of it are durable now; when they are all, it is a blob and waits to be attached."""
        at = self.clock()
        if got < before.length:
            self.store.run(lambda unit: uploads.grow(unit, before, got, until=at + LASTS, at=at))
            return UploadState.OPEN
        sha256 = self.blobs.put(self.parts.read(before.id))
        try:
            self.store.run(lambda unit: _complete(unit, before, sha256, at))
        except (Conflict, NotFound):  # given up meanwhile; what comes to a destroyed report goes after it
            self.store.run(lambda unit: purges.add_files(unit, before.report, [sha256]))
            raise
        self.parts.drop(before.id)
        return UploadState.WHOLE

    def give_up(self, before: Upload, *, by: str) -> None:
        """Its sender wants it no more, or has forgotten it. Raises Conflict when it is whole, or has just grown."""
        at = self.clock()
        if before.state is not UploadState.OPEN:
            raise Conflict("the upload is whole", code="upload_whole")
        self.store.run(lambda unit: _give_up(unit, before, by, at))
        self.parts.drop(before.id)

    def tidy(self) -> None:
        """Give up what nobody has added to for a week, and files that no upload needs any more. One at a time: what is
        the matter with one keeps no other."""
        at, broken = self.clock(), None
        for upload_id in self.store.read(lambda unit: uploads.due(unit, UploadState.OPEN, at)):
            try:
                found = self._there(upload_id)
                if found:
                    self.give_up(found, by="system")
            except Conflict:  # more of it has just come
                continue
            except Tampered as error:
                broken = error
        names = self.parts.names(at)
        known = self.store.read(lambda unit: uploads.states(unit, names)) if names else {}
        old = frozenset(self.parts.names(at - LASTS)) if len(known) < len(names) else frozenset[str]()
        for name in names:  # a kill between COMMIT and this, or its report was destroyed
            if known.get(name, UploadState.OPEN) is not UploadState.OPEN or (
                name not in known and name in old
            ):
                self.parts.drop(name)
        if broken:
            raise broken

    def attach(self, upload_id: str) -> bool:
        """Look at a whole file in the sandbox, and give it to its report. Safe to run twice and side by side."""
        at = self.clock()
        mine = self._there(upload_id)
        if mine is None or mine.state is not UploadState.WHOLE:
            return False
        try:
            file = self._examined(mine)
            return self.store.run(lambda unit: _attach(unit, mine, file, at))
        except (HubError, OSError) as error:  # not filed yet, no child starts, or the bytes are not there
            reason = error.code if isinstance(error, HubError) else "unreadable"
            self.store.run(lambda unit: _later(unit, mine, reason, at))
            return False

    def _there(self, upload_id: str) -> Upload | None:
        """The upload; one whose report was destroyed ends here, with its file, and is none."""
        try:
            return self.store.read(lambda unit: uploads.get(unit, upload_id))
        except NotFound:
            at = self.clock()
            self.store.run(lambda unit: _erase(unit, upload_id, at))
            return None

    def _examined(self, mine: Upload) -> dict[str, Any]:
        data = self.blobs.get(mine.sha256)
        told: Mapping[str, Any] = {"media_type": files.UNKNOWN}
        with contextlib.suppress(BadInput):  # what kills the parser is kept unopened
            told = self.pool.run(files.inspect, data).value
        media_type = str(told["media_type"])
        return {"name": display_name(mine.name, media_type, 1), "media_type": media_type, "size": len(data),
                "exif": told.get("exif") or {}}  # fmt: skip


def _complete(unit: Unit, before: Upload, sha256: str, at: datetime) -> None:
    report = reports.get(unit, before.report)
    handling = report.handling if report else Handling.SENSITIVE
    blob_book.note(unit, sha256, before.length, handling, at)
    if not uploads.move(unit, before, "complete", at, sha256=sha256):
        raise Conflict("the upload has moved", code="upload_moved")


def _give_up(unit: Unit, before: Upload, by: str, at: datetime) -> None:
    """What is left of a file goes; what its sender has forgotten, somebody may ask him for."""
    if not uploads.move(unit, before, "give_up", at):
        raise Conflict("the upload has moved", code="upload_moved")
    detail = {"report": before.report, "got": before.got, "size": before.length}
    journal.append(unit, "upload", before.id, "give_up", by=by, at=at, detail=detail)
    if by == "system":
        shelf.put(unit, "upload", "upload_forgotten", origin=before.id, at=at)


def _erase(unit: Unit, upload_id: str, at: datetime) -> None:
    report = uploads.report_of(unit, upload_id)
    purges.add_files(unit, report, uploads.erase(unit, report, at))


def _later(unit: Unit, mine: Upload, reason: str, at: datetime) -> None:
    age = at - mine.changed_at
    uploads.postpone(unit, mine.id, at + min(max(WAIT, age / 4), LONGEST_WAIT))
    if age >= STUCK:
        shelf.again(unit, "upload", reason, origin=mine.id, at=at)


def _attach(unit: Unit, mine: Upload, file: Mapping[str, Any], at: datetime) -> bool:
    report = reports.get(unit, mine.report, lock=True)
    if report is None:
        raise NotFound("the report is not filed yet")
    if not uploads.move(unit, mine, "attach_upload", at):
        return False
    attachment = Attachment(
        sha256=mine.sha256, name=file["name"], media_type=file["media_type"], declared_type=mine.declared_type,
        size=file["size"],
    )  # fmt: skip
    facts = {name: tuple(values) for name, values in report.content.facts.items()}
    for name, values in readings.picture_facts([file]).items():
        facts[name] = facts.get(name, ()) + values
    attachments = report.content.attachments
    if attachment.sha256 not in {a.sha256 for a in attachments}:
        attachments += (attachment,)
    reports.revise(
        unit, report, replace(report.content, facts=facts, attachments=attachments), by="system", at=at
    )
    journal.append(unit, "report", report.id, "attach_upload", by=mine.client, at=at,
                   detail={"upload": mine.id, "sha256": mine.sha256, "size": mine.length})  # fmt: skip
    shelf.done(unit, "upload", mine.id, at)
    return True
