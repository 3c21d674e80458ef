"""After a report is filed: fetch what its message only named, and attach the originals (PROMISES H24-H26)."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from channels.codecs import files
from channels.egress import Fetched
from domain.errors import BadInput, HubError, Never, NotNow
from domain.report import Attachment, Content, MediaState
from intake import reading as readings
from sandbox.pool import Pool
from store import blobs as blob_book
from store import inbox, journal, media, reports
from store.blobs import Blobs
from store.database import Store
from store.media import Medium
from store.unit import Unit

LEASE = timedelta(seconds=90)  # a fetch takes 20 s, a look in the sandbox 8 s; then another worker may try
WAITS = (  # between tries: a provider's pause is minutes, a wrong login of ours is mended within a day
    timedelta(seconds=15), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15),
    *[timedelta(hours=1)] * 4, *[timedelta(hours=4)] * 5,
)  # fmt: skip
NOT_YET, EARLY = "http_404", 4  # a recording is named before it lies there: asked for over six minutes
PENDING, REFUSED, HUGE = "media_pending", "media_refused", "image_too_large"  # findings of a report
NAMES = {"image": "picture", "audio": "sound", "video": "video"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What fetching needs; built once by the wiring."""

    store: Store
    blobs: Blobs
    pool: Pool
    get: Callable[[str], Fetched]  # raises Never, NotNow
    clock: Callable[[], datetime]

    def fetch(self, media_id: str) -> MediaState | None:
        """Try one; where it stands then, None when it was not ours to try. Safe to run twice and side by side."""
        mine = self.store.run(lambda unit: media.claim(unit, media_id, self.clock(), LEASE))
        if mine is None:
            return None
        try:
            url, declared_type = self._address(mine)
            found = self.get(url)
            file = self._examined(mine, found, declared_type)
        except NotNow as error:
            return self._later(mine, error)
        except Never as error:
            if error.code == NOT_YET and mine.tries <= EARLY:
                return self._later(mine, NotNow(code=error.code))
            return self._refuse(mine, error.code)
        except HubError as error:  # destroyed key, tampered bytes, children that do not start
            return self._later(mine, NotNow(code=error.code))
        sha256 = self.blobs.put(found.data)  # durable before the row that names it
        attachment = Attachment(
            sha256=sha256, name=file["name"], media_type=file["media_type"], declared_type=file["declared_type"],
            size=file["size"],
        )  # fmt: skip
        at = self.clock()
        is_mine = self.store.run(lambda unit: _attach(unit, mine, attachment, file, at))
        return MediaState.KEPT if is_mine else None

    def _address(self, mine: Medium) -> tuple[str, str]:
        """Where it lies, and what the provider calls it: the sealed meta of its message says so."""
        arrived = self.store.read(lambda unit: inbox.load(unit, mine.inbound, self.blobs.get))
        named = list(arrived.inbound.meta.get("media", ())) if arrived else []
        types = list(arrived.inbound.meta.get("media_types", ())) if arrived else []
        if mine.n >= len(named):
            raise Never("the message names no such thing", code="no_address")
        return str(named[mine.n]), str(types[mine.n]) if mine.n < len(types) else ""

    def _examined(self, mine: Medium, found: Fetched, declared_type: str) -> dict[str, Any]:
        """What the bytes are, looked at in the sandbox; what kills the parser is kept unopened."""
        told: Mapping[str, Any] = {"media_type": files.UNKNOWN}
        with contextlib.suppress(BadInput):
            told = self.pool.run(files.inspect, found.data).value
        media_type = str(told["media_type"])
        return {
            "name": f"{NAMES.get(media_type.partition('/')[0], 'file')}-{mine.n + 1}",
            "media_type": media_type,
            "declared_type": (declared_type or found.declared_type)[:120],
            "size": len(found.data),
            "exif": told.get("exif") or {},
            "is_huge": bool(told.get("is_huge")),
        }

    def _later(self, mine: Medium, error: NotNow) -> MediaState | None:
        if mine.tries > len(WAITS):
            return self._refuse(mine, f"gave_up:{error.code}")
        at = self.clock()
        wait = max(WAITS[mine.tries - 1], error.retry_after or timedelta(0))
        self.store.run(lambda unit: media.postpone(unit, mine, error.code[:40], at + wait, at))
        return MediaState.PENDING

    def _refuse(self, mine: Medium, reason: str) -> MediaState | None:
        at = self.clock()
        is_mine = self.store.run(lambda unit: _refused(unit, mine, reason[:40], at))
        return MediaState.REFUSED if is_mine else None


def _attach(unit: Unit, mine: Medium, attachment: Attachment, file: Mapping[str, Any], at: datetime) -> bool:
    """One transaction: the row is kept, the blob entered, the report has a version with it, the journal says so."""
    report = reports.get(unit, mine.report, lock=True)
    if report is None:
        return False
    blob_book.note(unit, attachment.sha256, attachment.size, report.handling, at)
    if not media.move(unit, mine, "attach", sha256=attachment.sha256, at=at):
        return False
    facts = {name: tuple(values) for name, values in report.content.facts.items()}
    for name, values in readings.picture_facts([file]).items():
        facts[name] = facts.get(name, ()) + values
    attachments = report.content.attachments
    if attachment.sha256 not in {a.sha256 for a in attachments}:
        attachments += (attachment,)
    findings = _findings(unit, report.content, mine, HUGE if file["is_huge"] else "")
    content = replace(report.content, facts=facts, attachments=attachments, findings=findings)
    reports.revise(unit, report, content, by="system", at=at)
    journal.append(unit, "report", report.id, "attach", by="system", at=at,
                   detail={"media": mine.id, "sha256": attachment.sha256, "size": attachment.size})  # fmt: skip
    return True


def _refused(unit: Unit, mine: Medium, reason: str, at: datetime) -> bool:
    report = reports.get(unit, mine.report, lock=True)
    if report is None or not media.move(unit, mine, "refuse_media", reason=reason, at=at):
        return False
    content = replace(report.content, findings=_findings(unit, report.content, mine, REFUSED))
    reports.revise(unit, report, content, by="system", at=at)
    journal.append(unit, "report", report.id, "refuse_media", by="system", at=at,
                   detail={"media": mine.id, "reason": reason})  # fmt: skip
    return True


def _findings(unit: Unit, content: Content, mine: Medium, new: str) -> tuple[str, ...]:
    """The report's findings with what is true now: whether others are still awaited, and `new`."""
    is_awaited = any(m.state is MediaState.PENDING for m in media.of_report(unit, mine.report))
    kept = [f for f in content.findings if f != PENDING or is_awaited]
    return tuple(dict.fromkeys([*kept, *([new] if new else [])]))
