"""The rows of files that are sent in parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from domain.errors import Conflict
from domain.further import UPLOADS, UploadState
from store import journal
from store.tables_further import upload
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One of them."""

    id: str
    report: str
    client: str
    name: str
    declared_type: str
    length: int
    got: int
    state: UploadState
    sha256: str
    next_due: datetime
    changed_at: datetime


def begin(unit: Unit, made: Upload, at: datetime) -> None:
    """Enter one that is announced; its name is sealed with the key of its report."""
    key = unit.vault.key(unit.connection, made.report)
    unit.execute(upload.insert(), {
        "id": made.id, "report": made.report, "client": made.client, "declared_type": made.declared_type,
        "name": key.seal("upload.name", made.name.encode()), "length": made.length, "state": made.state.value,
        "next_due": made.next_due, "created_at": at, "changed_at": at,
    })  # fmt: skip


def get(unit: Unit, upload_id: str) -> Upload | None:
    """One of them, or None."""
    row = unit.row(sa.select(upload).where(upload.c.id == upload_id))
    if row is None:
        return None
    key = unit.vault.key(unit.connection, row.report)
    return Upload(
        id=row.id, report=row.report, client=row.client, name=key.open("upload.name", row.name).decode(),
        declared_type=row.declared_type, length=row.length, got=row.got, state=UploadState(row.state),
        sha256=row.sha256 or "", next_due=row.next_due, changed_at=row.changed_at,
    )  # fmt: skip


def open_of(unit: Unit, report_id: str) -> int:
    """How many are being sent to a report."""
    u = upload.c
    is_open = (u.report == report_id, u.state == UploadState.OPEN.value)
    return int(unit.scalar(sa.select(sa.func.count()).select_from(upload).where(*is_open)))


def grow(unit: Unit, before: Upload, got: int, *, until: datetime, at: datetime) -> None:
    """More of it is durable. Raises Conflict when somebody else moved it meanwhile."""
    u = upload.c
    is_seen = (u.id == before.id, u.got == before.got, u.state == UploadState.OPEN.value)
    done = unit.execute(upload.update().where(*is_seen).values(got=got, next_due=until, changed_at=at))
    if done.rowcount != 1:
        raise Conflict("the upload has moved", code="upload_moved")


def move(unit: Unit, before: Upload, action: str, at: datetime, *, sha256: str = "") -> bool:
    """Compare-and-set; False if another was first, be it that he moved it or that more of it came."""
    after = UPLOADS.after(before.state, action).value
    values = {"state": after, "next_due": at, "changed_at": at} | ({"sha256": sha256} if sha256 else {})
    u = upload.c
    is_seen = [u.id == before.id, u.state == before.state.value, u.got == before.got]
    if before.state is UploadState.OPEN:  # of a whole one that is only when it is looked at
        is_seen.append(u.next_due == before.next_due)
    return unit.execute(upload.update().where(*is_seen).values(values)).rowcount == 1


def erase(unit: Unit, report_id: str, at: datetime) -> list[str]:
    """What was being sent to a report that is destroyed goes with it: the blobs of the whole ones, which nothing needs now.

    The parts of the others tidy() of intake/uploads.py deletes. Safe to repeat.
    """
    u, begun = upload.c, (UploadState.OPEN, UploadState.WHOLE)
    is_left = (u.report == report_id, u.state.in_([state.value for state in begun]))
    rows = unit.rows(unit.locked(sa.select(u.id, u.sha256).where(*is_left).order_by(u.id)))
    (after,) = {UPLOADS.after(state, "erase_upload").value for state in begun}
    for row in rows:
        unit.execute(upload.update().where(u.id == row.id).values(state=after, next_due=at, changed_at=at))
        journal.append(
            unit, "upload", row.id, "erase_upload", by="system", at=at, detail={"report": report_id}
        )
    return [row.sha256 for row in rows if row.sha256]


def report_of(unit: Unit, upload_id: str) -> str:
    """The report that it is sent to, which may be destroyed; '' for no such upload."""
    return unit.scalar(sa.select(upload.c.report).where(upload.c.id == upload_id)) or ""


def postpone(unit: Unit, upload_id: str, until: datetime) -> None:
    """Look at it again at `until`."""
    unit.execute(upload.update().where(upload.c.id == upload_id).values(next_due=until))


def states(unit: Unit, names: Sequence[str]) -> dict[str, UploadState]:
    """id -> where it stands, of those of these names that are uploads."""
    query = sa.select(upload.c.id, upload.c.state).where(upload.c.id.in_(names))
    return {row.id: UploadState(row.state) for row in unit.rows(query)}


def due(unit: Unit, state: UploadState, at: datetime, limit: int = 50) -> list[str]:
    """Ids of the whole ones to be attached now, or of the open ones whose time is over."""
    u = upload.c
    query = sa.select(u.id).where(u.state == state.value, u.next_due <= at)
    return [row.id for row in unit.rows(query.order_by(u.next_due).limit(limit))]
