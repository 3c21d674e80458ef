"""The queue: reports, their versions and their originals."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.errors import Conflict, NotFound
from domain.handling import Handling
from domain.report import Attachment, Content, Fact, Report, State
from domain.sender import NOT_CHECKED, SenderCheck, Verdict
from domain.skeleton import skeleton
from store import tables as t
from store.columns import Instant
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a list of reports is narrowed by; empty means all."""

    states: tuple[str, ...] = ()
    channel: str = ""
    area_prefix: str = ""
    organisation: str = ""
    holder: str = ""  # person id
    grade: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""


def insert(unit: Unit, report: Report, *, inbound_id: str, by: str, at: datetime) -> bool:
    """Put a new report into the queue with its first version; False if it is there already."""
    row = {
        "id": report.id,
        "inbound": inbound_id,
        "code": report.code,
        "channel": report.channel,
        "organisation": report.organisation,
        "handling": report.handling.value,
        "state": report.state.value,
        "revision": report.revision,
        "received_at": report.received_at,
        "filed_at": report.filed_at,
        "event_code": report.event_code,
        "grade": report.grade,
        "area": report.area,
    }
    if not unit.add_once(t.report_row, row):
        return False
    add_version(unit, report.id, 1, report.content, by=by, at=at)
    for attachment in report.content.attachments:
        unit.add_once(t.report_blob, {"report": report.id, "sha256": attachment.sha256})
    return True


def add_version(unit: Unit, report_id: str, n: int, content: Content, *, by: str, at: datetime) -> None:
    """Write version `n` of what the report says."""
    key = unit.vault.key(unit.connection, report_id)
    sealed = key.seal("report_version.content", json.dumps(asdict(content), ensure_ascii=False).encode())
    unit.execute(
        t.report_version.insert(), {"report": report_id, "n": n, "content": sealed, "by": by, "at": at}
    )


def revise(unit: Unit, before: Report, content: Content, *, by: str, at: datetime) -> None:
    """A further version of what a locked report says; its state stays, its revision rises.

    Raises Conflict when somebody was faster.
    """
    add_version(unit, before.id, versions(unit, before.id) + 1, content, by=by, at=at)
    for attachment in content.attachments:
        unit.add_once(t.report_blob, {"report": before.id, "sha256": attachment.sha256})
    r = t.report_row
    is_seen = (r.c.id == before.id, r.c.revision == before.revision)
    if unit.execute(r.update().where(*is_seen).values(revision=before.revision + 1)).rowcount != 1:
        raise Conflict("somebody else has just changed this report", code="report_changed")


def get(unit: Unit, report_id: str, *, lock: bool = False) -> Report | None:
    """The report with its latest version."""
    query = sa.select(t.report_row).where(t.report_row.c.id == report_id)
    row = unit.row(unit.locked(query) if lock else query)
    return _report(unit, row) if row else None


def page(
    unit: Unit, wanted: Filter, *, limit: int, before: tuple[datetime, str] | None = None
) -> list[Report]:
    """Newest first, at most `limit`, older than `before` = (received_at, id)."""
    r = t.report_row.c
    query = sa.select(t.report_row).order_by(r.received_at.desc(), r.id.desc())
    for condition in _conditions(wanted):
        query = query.where(condition)
    found: list[Report] = []
    while len(found) < limit:
        older = sa.tuple_(r.received_at, r.id) < sa.tuple_(*_place(*before)) if before else sa.true()
        rows = unit.rows(query.where(older).limit(limit if not wanted.text else 500))
        for row in rows:
            before = (row.received_at, row.id)
            report = _report(unit, row)
            if skeleton(wanted.text) in _searched(report):
                found.append(report)
                if len(found) == limit:
                    break
        if len(rows) < (limit if not wanted.text else 500):
            break
    return found


def change(unit: Unit, before: Report, after: Report) -> None:
    """Compare-and-set on state and revision. Raises Conflict when somebody was faster."""
    r = t.report_row
    done = unit.execute(
        r.update()
        .where(r.c.id == before.id, r.c.state == before.state.value, r.c.revision == before.revision)
        .values(
            state=after.state.value,
            revision=before.revision + 1,
            claimed_by=after.claimed_by or None,
            claimed_at=after.claimed_at,
            event_code=after.event_code,
            grade=after.grade,
            area=after.area,
            closed_reason=after.closed_reason,
            merged_into=after.merged_into or None,
        )
    )
    if done.rowcount != 1:
        raise Conflict("somebody else has just changed this report", code="report_changed")


def fits(report: Report, wanted: Filter) -> bool:
    """Whether a report is of a list narrowed by states, channel and holder."""
    return (
        (not wanted.states or report.state in wanted.states)
        and wanted.channel in ("", report.channel)
        and wanted.holder in ("", report.claimed_by)
    )


def counts(unit: Unit, *, holder: str = "") -> dict[str, int]:
    """How many reports stand in each state; with `holder`, of those that person has."""
    r = t.report_row.c
    query = sa.select(r.state, sa.func.count().label("n")).group_by(r.state)
    if holder:
        query = query.where(r.claimed_by == holder)
    return {row.state: row.n for row in unit.rows(query)}


def claimed(unit: Unit, holder: str = "") -> list[Report]:
    """Reports that somebody has in hand, or only `holder`; the oldest claim first."""
    r = t.report_row.c
    query = sa.select(t.report_row).where(r.state.in_((State.CLAIMED.value, State.VERIFIED.value)))
    query = query.where(r.claimed_by == holder if holder else r.claimed_by.is_not(None))
    return [_report(unit, row) for row in unit.rows(query.order_by(r.claimed_at, r.id))]


def versions(unit: Unit, report_id: str) -> int:
    """How many versions there are."""
    v = t.report_version.c
    return int(unit.scalar(sa.select(sa.func.max(v.n)).where(v.report == report_id)) or 0)


def _place(received_at: datetime, report_id: str) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    return sa.literal(received_at, Instant()), sa.literal(report_id)


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    r = t.report_row.c
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.states:
        conditions.append(r.state.in_(wanted.states))
    if wanted.area_prefix:
        conditions.append(r.area.startswith(wanted.area_prefix, autoescape=True))
    same = (r.channel, wanted.channel), (r.organisation, wanted.organisation), (r.claimed_by, wanted.holder)
    for column, value in same:
        if value:
            conditions.append(column == value)
    if wanted.grade is not None:
        conditions.append(r.grade == wanted.grade)
    if wanted.since:
        conditions.append(r.received_at >= wanted.since)
    if wanted.until:
        conditions.append(r.received_at < wanted.until)
    return conditions


def _searched(report: Report) -> str:
    """What `q` looks through: sealed in the store, so it is searched after opening."""
    facts = " ".join(f.value for values in report.content.facts.values() for f in values)
    return skeleton(f"{report.code} {report.content.text} {facts}")


def _report(unit: Unit, row: sa.Row[Any]) -> Report:
    v, c = t.report_version.c, t.sender_check.c
    query = (
        sa.select(v.content, c.verdict, c.reasons, c.checked_at)
        .outerjoin(t.sender_check, c.report == v.report)
        .where(v.report == row.id)
        .order_by(v.n.desc())
        .limit(1)
    )
    latest = unit.row(query)
    if latest is None:
        raise NotFound("a report without a version")
    key = unit.vault.key(unit.connection, row.id)
    content = _content(json.loads(key.open("report_version.content", latest.content)))
    return Report(
        id=row.id,
        code=row.code,
        channel=row.channel,
        organisation=row.organisation,
        handling=Handling(row.handling),
        state=State(row.state),
        revision=row.revision,
        received_at=row.received_at,
        filed_at=row.filed_at,
        content=content,
        claimed_by=row.claimed_by or "",
        claimed_at=row.claimed_at,
        event_code=row.event_code,
        grade=row.grade,
        area=row.area,
        closed_reason=row.closed_reason,
        merged_into=row.merged_into or "",
        sender=_sender(latest) if row.channel == "email" else None,
    )


def _sender(latest: sa.Row[Any]) -> SenderCheck:
    if latest.verdict is None:
        return NOT_CHECKED
    verdict = Verdict(latest.verdict)
    return SenderCheck(verdict=verdict, reasons=tuple(latest.reasons), checked_at=latest.checked_at)


def _content(data: dict[str, Any]) -> Content:
    return Content(
        text=data["text"],
        language=data["language"],
        facts={name: tuple(Fact(**f) for f in values) for name, values in data["facts"].items()},
        attachments=tuple(Attachment(**a) for a in data["attachments"]),
        findings=tuple(data["findings"]),
    )
