"""After a report is filed: what its files hold, and the words of the documents among them (PROMISES H15).

The queue never waits for this. The originals stay as they are; what is found is a row beside them that says by
which tool it was read and when, or why it was not.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from channels.codecs import archive, document
from domain.errors import BadInput, CommitUnknown, HubError
from domain.report import ScanState
from sandbox.pool import Pool
from store import journal, reports, scans, shelf, study
from store.blobs import Blobs
from store.database import Store
from store.scans import Scan
from store.unit import Unit

LEASE = timedelta(minutes=4)  # a scan ends after LONGEST and the call under way
LONGEST = timedelta(minutes=2)  # of one file with all its documents; what is left then is told to be left
WALL, CPU = timedelta(seconds=20), timedelta(seconds=12)  # of one call: 100 MB of zeros are unpacked in 1 s
WAITS = (
    timedelta(seconds=15),
    timedelta(minutes=2),
    timedelta(minutes=20),
)  # a busy machine looks like a long parse
TEXTS_MAX = 400_000  # characters of all documents of one file
_AT_ONCE = (
    "parser_memory",
    "archive_broken",
    "archive_not_opened",
    "erased",
)  # the next try would end the same way
CANNOT = "scan_failed"  # what is wrong is ours, and nobody knows it yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """What looking into files needs; built once by the wiring. Its pool is its own: no filing waits behind it."""

    store: Store
    blobs: Blobs
    pool: Pool
    clock: Callable[[], datetime]
    bell: Callable[[str, str], None] = field(default=lambda _job, _id: None)
    on_bug: Callable[[str, Exception], object] = field(default=lambda _what, _error: None)

    def scan(self, scan_id: str) -> ScanState | None:
        """Look into one file; where it stands then, None when it was not ours. Safe to run twice and side by side."""
        mine = self.store.run(lambda unit: scans.claim(unit, scan_id, self.clock(), LEASE))
        if mine is None:
            return None
        if mine.tries > len(WAITS) + 1:  # the try before this one ended its process, or was never told to end
            return self._end(mine, "give_up_scan", "worker_died", None)
        try:
            return self._end(mine, "scan", "", self._look(mine))
        except CommitUnknown:
            raise
        except Exception as error:
            code = (
                error.code
                if isinstance(error, HubError)
                else "unreadable"
                if isinstance(error, OSError)
                else CANNOT
            )
            if code == CANNOT:
                self.on_bug("scan", error)
            if code in _AT_ONCE or mine.tries > len(WAITS):
                return self._end(mine, "give_up_scan", code, None)
            return self._later(mine, code)

    def _look(self, mine: Scan) -> Mapping[str, Any]:
        """Raises BadInput for what no parser got through, HubError and OSError for what may pass."""
        report = self.store.read(lambda unit: reports.get(unit, mine.report))
        files = report.content.attachments if report else ()
        attachment = next((a for a in files if a.sha256 == mine.sha256), None)
        data = self.blobs.get(mine.sha256)
        options = {"name": attachment.name, "media_type": _type(attachment.media_type)} if attachment else {}
        told = self.pool.run(archive.look, data, options)
        until = time.monotonic() + LONGEST.total_seconds()
        left = TEXTS_MAX
        documents = []
        for named in told.value["documents"]:
            read = self._read(named, data, told.blobs, until) if left > 0 else {"reason": "many_documents"}
            read["text"] = read.get("text", "")[:left]
            left -= len(read["text"])
            documents.append({"path": named["path"], "media_type": named["media_type"], **read})
        return {**told.value, "documents": documents}

    def _read(
        self, named: Mapping[str, Any], data: bytes, blobs: tuple[bytes, ...], until: float
    ) -> dict[str, Any]:
        """One document in a call of its own: what kills the parser costs this one and no other."""
        if "text" in named:  # a mail's words were read as it was opened
            text = str(named["text"])[: document.TEXT_MAX]
            return {"text": text, "tool": "tocsin-mail/1", "reason": "" if text else "no_text"}
        if "reason" in named:
            return {"reason": named["reason"]}
        if time.monotonic() > until:
            return {"reason": "parser_timeout"}
        content = data if named["blob"] < 0 else blobs[named["blob"]]
        try:
            return dict(self.pool.run(document.read, content, {"media_type": named["media_type"]}).value)
        except BadInput as error:
            return {"reason": error.code}

    def _later(self, mine: Scan, code: str) -> ScanState:
        at = self.clock()
        wait = WAITS[min(mine.tries, len(WAITS)) - 1]
        self.store.run(lambda unit: scans.postpone(unit, mine, code[:40], at + wait, at))
        return ScanState.PENDING

    def _end(self, mine: Scan, action: str, reason: str, found: Mapping[str, Any] | None) -> ScanState | None:
        at = self.clock()

        def work(unit: Unit) -> bool:
            return _ended(unit, mine, action, reason=reason, found=found, at=at)

        if not self.store.run(work):
            return None
        self.bell("study_report", mine.report)
        return ScanState.SCANNED if found is not None else ScanState.UNSCANNED


def _ended(
    unit: Unit, mine: Scan, action: str, *, reason: str, found: Mapping[str, Any] | None, at: datetime
) -> bool:
    """One transaction: the row, the journal, and the report is to be studied anew when there are new words."""
    if not scans.move(unit, mine, action, reason=reason[:40], found=found, at=at):
        return False
    detail: dict[str, Any] = {"scan": mine.id, "sha256": mine.sha256}
    detail |= {"reason": reason[:40]} if found is None else {"findings": list(found["findings"])}
    if found is None:
        shelf.put(unit, "scan", reason[:40], origin=mine.id, at=at)
    journal.append(unit, "report", mine.report, action, by="system", at=at, detail=detail)
    if found is not None and any(one.get("text") for one in found["documents"]):
        study.ask(unit, mine.report, at)
    return True


def _type(media_type: str) -> str:
    """Only what the door knew and the bytes do not say: a mail that came as one."""
    return media_type if media_type == "message/rfc822" else ""
