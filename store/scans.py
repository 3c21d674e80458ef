"""What the files of reports hold: one row each, from pending to scanned or given up; the words in it are sealed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from domain.ids import mint
from domain.report import SCANS, Attachment, ScanState
from domain.secrecy import Compartment, mark_in
from store import compartments
from store.tables_files import scan
from store.unit import Unit

_PLACE = "scan.found"
WITHOUT = ("image/", "audio/", "video/")  # hold neither files nor words that are read here
PAGED = "image/tiff"  # but pages

_UNREAD: Mapping[str, Any] = {
    "path": "", "media_type": "", "text": "", "tool": "", "pages": 0, "seals": (), "findings": (), "is_cut": False,
    "reason": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One of them; `found` is what intake/scan wrote, None before."""

    id: str
    report: str
    sha256: str
    state: ScanState
    tries: int
    reason: str
    changed_at: datetime
    found: Mapping[str, Any] | None = None


def expect(unit: Unit, report_id: str, attachments: Sequence[Attachment], at: datetime) -> None:
    """Enter the files of a report that are to be looked into; those that are entered already stay as they are."""
    for attachment in attachments:
        if attachment.media_type == PAGED or not attachment.media_type.startswith(WITHOUT):
            row = {"id": mint("scn", at), "report": report_id, "sha256": attachment.sha256,
                   "state": ScanState.PENDING.value, "next_due": at, "changed_at": at}  # fmt: skip
            unit.add_once(scan, row)


def due(unit: Unit, at: datetime, limit: int = 50) -> list[str]:
    """Ids of those to be looked into now, the longest waiting first."""
    s = scan.c
    query = sa.select(s.id).where(s.state == ScanState.PENDING.value, s.next_due <= at)
    return [row.id for row in unit.rows(query.order_by(s.next_due).limit(limit))]


def claim(unit: Unit, scan_id: str, at: datetime, lease: timedelta) -> Scan | None:
    """Write the try down before it is made; None when it is not due, settled, or somebody else has it."""
    s = scan.c
    is_due = (s.id == scan_id, s.state == ScanState.PENDING.value, s.next_due <= at)
    values = {"tries": s.tries + 1, "next_due": at + lease, "changed_at": at}
    if unit.execute(scan.update().where(*is_due).values(values)).rowcount != 1:
        return None
    row = unit.row(sa.select(scan).where(s.id == scan_id))
    return _scan(row, None) if row else None


def postpone(unit: Unit, mine: Scan, reason: str, until: datetime, at: datetime) -> None:
    """Try again at `until`."""
    s = scan.c
    is_mine = (s.id == mine.id, s.state == ScanState.PENDING.value, s.tries == mine.tries)
    unit.execute(scan.update().where(*is_mine).values(next_due=until, reason=reason, changed_at=at))


def move(
    unit: Unit,
    mine: Scan,
    action: str,
    *,
    reason: str = "",
    found: Mapping[str, Any] | None = None,
    at: datetime,
) -> bool:
    """Compare-and-set from pending; False if another worker was first. Raises NotFound when the key is destroyed."""
    sealed, plain = None, b""
    if found is not None:
        plain = json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        sealed = unit.vault.key(unit.connection, mine.report).seal(_PLACE, plain)
    after = SCANS.after(mine.state, action).value
    values = {"state": after, "reason": reason, "found": sealed, "changed_at": at}
    is_mine = (scan.c.id == mine.id, scan.c.state == mine.state.value)
    if unit.execute(scan.update().where(*is_mine).values(values)).rowcount != 1:
        return False
    if found is not None and mark_in(plain.decode("utf-8", "replace")):  # at once, with the words that say so
        compartments.seal(unit, mine.report, Compartment.MARKED, by="system", at=at, why="mark_in_file")
    return True


def again(unit: Unit, scan_id: str, at: datetime) -> str:
    """Look into it once more; the report it is of, '' when it was not given up."""
    s = scan.c
    after = SCANS.after(ScanState.UNSCANNED, "scan_again").value
    given_up = (s.id == scan_id, s.state == ScanState.UNSCANNED.value)
    values = {"state": after, "tries": 0, "next_due": at, "changed_at": at}
    if unit.execute(scan.update().where(*given_up).values(values)).rowcount != 1:
        return ""
    return str(unit.scalar(sa.select(s.report).where(s.id == scan_id)))


def of_report(unit: Unit, report_id: str) -> dict[str, Scan]:
    """By SHA-256. Raises NotFound when there are some and the key is destroyed."""
    rows = unit.rows(sa.select(scan).where(scan.c.report == report_id).order_by(scan.c.id))
    key = unit.vault.key(unit.connection, report_id) if any(row.found for row in rows) else None
    opened = {
        row.sha256: json.loads(key.open(_PLACE, row.found)) if key and row.found else None for row in rows
    }
    return {row.sha256: _scan(row, opened[row.sha256]) for row in rows}


def texts(unit: Unit, report_id: str) -> list[str]:
    """The words of all documents that came with a report, in the order in which the files are entered.

    For whoever reads a report with all it brought: its place, its repeats, its kind.
    """
    return [
        str(document["text"])
        for one in of_report(unit, report_id).values()
        for document in (one.found or {}).get("documents", ())
        if document.get("text")
    ]


def _scan(row: sa.Row[Any], found: Mapping[str, Any] | None) -> Scan:
    """Every document in its whole shape: of one that was not read only the reason was written down."""
    if found:
        found = {**found, "documents": [{**_UNREAD, **one} for one in found.get("documents", ())]}
    return Scan(
        id=row.id, report=row.report, sha256=row.sha256, state=ScanState(row.state), tries=row.tries,
        reason=row.reason, changed_at=row.changed_at, found=found,
    )  # fmt: skip
