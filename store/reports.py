"""The queue: reports, their versions and their originals."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.errors import Conflict, NotFound
from domain.handling import Handling
from domain.report import DESTROYED, Attachment, Content, Fact, Report, State
from domain.secrecy import Compartment
from domain.sender import NOT_CHECKED, SenderCheck, Verdict
from domain.skeleton import skeleton
from store import bulk, compartments, scans, study
from store import tables as t
from store.columns import Instant
from store.unit import Unit
from store.vault import Key

COUNTED = 10_000  # of each state; an officer reads "9,999 and more" as he would read the number
MARKED: sa.ColumnElement[int] = sa.literal_column(
    str(int(Compartment.MARKED))
)  # the highest bit: no queue holds it
# As its index says it: with `= 1` or IS TRUE neither database finds the index.
_ASIDE: Any = sa.text("report.aside")
SEARCHED = 500  # reports opened at once while words are looked for
CODE = 12  # digits of a division code in the store
FEW = 5_000  # of an area: their places in the list are read at once (8 ms); of more the newest are soon found by walking
# As its index says both: where a report is by an officer's word, else by its places; and that it is anywhere.
_WHERE: sa.ColumnElement[str] = sa.literal_column(
    "(CASE WHEN report.area <> '' THEN report.area ELSE report.found_area END)", sa.String()
)
_IS_SOMEWHERE: Any = sa.text("(report.area <> '' OR report.found_area <> '')")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a list of reports is narrowed by; empty means all."""

    states: tuple[str, ...] = ()
    channel: str = ""
    area_prefix: str = ""  # of the officer's area, or where there is none of what was found
    organisation: str = ""
    holder: str = ""  # person id
    grade: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    is_aside: bool | None = False  # in quarantine; None: whether it is or not
    is_marked: bool = False  # the security officer's shelf; a queue holds none of it


def insert(unit: Unit, report: Report, *, inbound_id: str, by: str, at: datetime) -> bool:
    """Put a new report into the queue with its first version; False if it is there already."""
    return insert_many(unit, [(report, inbound_id, by)], at=at) == 1


def insert_many(unit: Unit, made: Sequence[tuple[Report, str, str]], *, at: datetime) -> int:
    """Put new reports, each with the id of its message and by whom, into the queue; how many were not there yet.

    All of them or none is what a caller can tell apart: with one that was there, nothing more is written.
    """
    rows = [
        {
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
            "compartments": report.compartments
            | compartments.at_birth(report.content, report.handling, report.event_code),
        }
        for report, inbound_id, _ in made
    ]
    count = bulk.add_new(unit, t.report_row, rows)
    if count < len(rows):
        return count
    keys = unit.vault.keys(unit.connection, [report.id for report, _, _ in made])
    versions = [
        {"report": report.id, "n": 1, "content": _sealed(keys[report.id], report.content), "by": by, "at": at}
        for report, _, by in made
    ]
    if bulk.add_new(unit, t.report_version, versions) < len(versions):
        raise sa.exc.IntegrityError("report_version", None, ValueError("a new report has a version"))
    for report, _, _ in made:
        _name_blobs(unit, report.id, report.content, at)
    study.ask_first(unit, [report.id for report, _, _ in made], at)
    return count


def add_version(unit: Unit, report_id: str, n: int, content: Content, *, by: str, at: datetime) -> None:
    """Write version `n` of what the report says."""
    sealed = _sealed(unit.vault.key(unit.connection, report_id), content)
    unit.execute(
        t.report_version.insert(), {"report": report_id, "n": n, "content": sealed, "by": by, "at": at}
    )
    compartments.seal(unit, report_id, compartments.of_words(content), by="system", at=at, why="mark")
    study.ask(unit, report_id, at)


def revise(unit: Unit, before: Report, content: Content, *, by: str, at: datetime) -> None:
    """A further version of what a locked report says; its state stays, its revision rises.

    Raises Conflict when somebody was faster.
    """
    add_version(unit, before.id, versions(unit, before.id) + 1, content, by=by, at=at)
    _name_blobs(unit, before.id, content, at)
    r = t.report_row
    is_seen = (r.c.id == before.id, r.c.revision == before.revision)
    if unit.execute(r.update().where(*is_seen).values(revision=before.revision + 1)).rowcount != 1:
        raise Conflict("somebody else has just changed this report", code="report_changed")


def get(unit: Unit, report_id: str, *, lock: bool = False) -> Report | None:
    """The report with its latest version."""
    query = sa.select(t.report_row).where(t.report_row.c.id == report_id)
    row = unit.row(unit.locked(query) if lock else query)
    return _opened(unit, [row])[0] if row else None


def hold(unit: Unit, report_ids: Sequence[str]) -> None:
    """Let nobody else change these until the end of the transaction, locked in the order of their ids."""
    query = sa.select(t.report_row.c.id).where(t.report_row.c.id.in_(list(report_ids)))
    unit.rows(unit.locked(query.order_by(t.report_row.c.id)))


def is_there(unit: Unit, report_id: str) -> bool:
    """Whether there is such a report, for whoever looks."""
    return unit.scalar(sa.select(t.report_row.c.id).where(t.report_row.c.id == report_id)) is not None


def page(
    unit: Unit, wanted: Filter, *, limit: int, before: tuple[datetime, str] | None = None
) -> list[Report]:
    """Newest first, at most `limit`, older than `before` = (received_at, id)."""
    found: list[Report] = []
    at_once = limit if not wanted.text else SEARCHED
    while len(found) < limit:
        rows = _newest(unit, wanted, at_once, before)
        for report in _opened(unit, rows):
            if skeleton(wanted.text) in _searched(report):
                found.append(report)
                if len(found) == limit:
                    break
        if len(rows) < at_once:
            break
        before = (rows[-1].received_at, rows[-1].id)
    return found


def _newest(unit: Unit, wanted: Filter, limit: int, before: tuple[datetime, str] | None) -> list[sa.Row[Any]]:
    """The newest rows of a list. State by state: each is one walk of an index, however many have another state."""
    if wanted.area_prefix and (few := _of_area(unit, wanted.area_prefix)) is not None:
        return _of_few(unit, wanted, few, limit, before)
    r = t.report_row.c
    query = sa.select(t.report_row).order_by(r.received_at.desc(), r.id.desc()).limit(limit)
    if before:
        query = query.where(sa.tuple_(r.received_at, r.id) < sa.tuple_(*_place(*before)))
    for condition in _conditions(replace(wanted, states=())):
        query = query.where(condition)
    states = wanted.states or (tuple(state.value for state in State) if wanted.channel else ())
    if not states:
        return unit.rows(query)
    rows = [row for state in dict.fromkeys(states) for row in unit.rows(query.where(r.state == state))]
    return sorted(rows, key=lambda row: (row.received_at, row.id), reverse=True)[:limit]


def _of_area(unit: Unit, prefix: str) -> list[tuple[datetime, str]] | None:
    """The places of all reports of an area, the newest first; None where there are more than FEW."""
    r = t.report_row.c
    low, high = (
        # PostgreSQL's plan for any area at all reads a busy one whole, so each is planned for itself
        sa.bindparam(name, prefix.ljust(CODE, digit), sa.String(), literal_execute=True)
        for name, digit in (("low", "0"), ("high", "9"))
    )
    is_inside = _WHERE.between(low, high)
    most = sa.literal_column(str(FEW + 1), sa.Integer())
    some = sa.select(r.received_at, r.id).where(is_inside, _IS_SOMEWHERE).limit(most)
    if int(unit.scalar(sa.select(sa.func.count()).select_from(some.subquery())) or 0) > FEW:
        return None
    return sorted(((row.received_at, row.id) for row in unit.rows(some)), reverse=True)


def _of_few(
    unit: Unit, wanted: Filter, few: Sequence[tuple[datetime, str]], limit: int, before: tuple[datetime, str] | None
) -> list[sa.Row[Any]]:  # fmt: skip
    r = t.report_row.c
    ids = [place[1] for place in few if before is None or place < before]
    rows: list[sa.Row[Any]] = []
    for first in range(0, len(ids), SEARCHED):
        if len(rows) >= limit:
            break
        some = sa.select(t.report_row).where(r.id.in_(ids[first : first + SEARCHED]), *_conditions(wanted))
        rows += sorted(unit.rows(some), key=lambda row: (row.received_at, row.id), reverse=True)
    return rows[:limit]


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


def merged_into(unit: Unit, report_id: str) -> list[str]:
    """Ids of the reports that were merged into it, and into those."""
    r = t.report_row.c
    found: list[str] = []
    last = [report_id]
    while last:
        query = (
            sa.select(r.id).where(r.merged_into.in_(last), r.id.not_in([report_id, *found])).order_by(r.id)
        )
        last = [row.id for row in unit.rows(query)]
        found += last
    return found


def fits(report: Report, wanted: Filter) -> bool:
    """Whether a report is of a list narrowed by states, channel and holder."""
    return (
        (not wanted.states or report.state in wanted.states)
        and wanted.channel in ("", report.channel)
        and wanted.holder in ("", report.claimed_by)
        and wanted.is_aside in (None, report.is_aside)
    )


def counts(unit: Unit, *, holder: str = "") -> dict[str, int]:
    """How many reports stand in each state, counted up to COUNTED; with `holder`, of those that person has."""
    r = t.report_row.c
    of_holder = r.claimed_by == holder if holder else sa.true()
    each = [
        sa.select(sa.literal(state.value).label("state"), sa.func.count().label("n")).select_from(
            sa.select(r.id)
            .where(r.state == state.value, of_holder, r.compartments < MARKED)
            .limit(COUNTED)
            .subquery()
        )
        for state in State
    ]
    aside = {row.state: row.n for row in unit.rows(_aside_by_state(of_holder))}
    found = {row.state: row.n for row in unit.rows(sa.union_all(*each)) if row.n}
    return {state: n - aside.get(state, 0) if n < COUNTED else n for state, n in found.items()}


def count_aside(unit: Unit) -> int:
    """How many lie in quarantine, counted up to COUNTED."""
    r = t.report_row.c
    some = sa.select(r.id).where(_ASIDE, r.compartments < MARKED).limit(COUNTED).subquery()
    return int(unit.scalar(sa.select(sa.func.count()).select_from(some)) or 0)


def _aside_by_state(of_holder: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Beside the counts, and not in them: those are walks of an index that does not know who is in quarantine."""
    r = t.report_row.c
    some = sa.select(r.state).where(_ASIDE, of_holder, r.compartments < MARKED).limit(COUNTED).subquery()
    return sa.select(some.c.state, sa.func.count().label("n")).group_by(some.c.state)


def claimed(unit: Unit, holder: str = "") -> list[Report]:
    """Reports that somebody has in hand, or only `holder`; the oldest claim first."""
    r = t.report_row.c
    query = sa.select(t.report_row).where(r.state.in_((State.CLAIMED.value, State.VERIFIED.value)))
    query = query.where(
        r.claimed_by == holder if holder else r.claimed_by.is_not(None),
        r.aside.is_(sa.false()),
        r.compartments < MARKED,
    )
    return _opened(unit, unit.rows(query.order_by(r.claimed_at, r.id)))


def version(unit: Unit, report_id: str, n: int) -> tuple[Content, str, datetime] | None:
    """(what version `n` says, who wrote it, when), None when there is none."""
    v = t.report_version.c
    row = unit.row(sa.select(v.content, v.by, v.at).where(v.report == report_id, v.n == n))
    if row is None:
        return None
    key = unit.vault.key(unit.connection, report_id)
    return _content(json.loads(key.open("report_version.content", row.content))), row.by, row.at


def versions(unit: Unit, report_id: str) -> int:
    """How many versions there are."""
    v = t.report_version.c
    return int(unit.scalar(sa.select(sa.func.max(v.n)).where(v.report == report_id)) or 0)


def _place(received_at: datetime, report_id: str) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    return sa.literal(received_at, Instant()), sa.literal(report_id)


def _conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    r = t.report_row.c
    conditions = [r.compartments >= MARKED if wanted.is_marked else r.compartments < MARKED]
    if wanted.states:
        conditions.append(r.state.in_(wanted.states))
    if wanted.area_prefix:
        inside = r.found_area.startswith(wanted.area_prefix, autoescape=True)
        by_officer = r.area.startswith(wanted.area_prefix, autoescape=True)
        conditions.append(sa.or_(by_officer, sa.and_(r.area == "", inside)))
    if wanted.is_aside is not None:
        conditions.append(_ASIDE if wanted.is_aside else r.aside.is_(sa.false()))
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


def _opened(unit: Unit, rows: Sequence[sa.Row[Any]]) -> list[Report]:
    """The reports of `rows` with their latest versions, read and opened together."""
    if not rows:
        return []
    v, c, ids = t.report_version.c, t.sender_check.c, [row.id for row in rows]
    last = (
        sa.select(v.report, sa.func.max(v.n).label("n"))
        .where(v.report.in_(ids))
        .group_by(v.report)
        .subquery()
    )
    query = (
        sa.select(v.report, v.content, c.verdict, c.reasons, c.checked_at)
        .join(last, sa.and_(v.report == last.c.report, v.n == last.c.n))
        .outerjoin(t.sender_check, c.report == v.report)
    )
    latest = {row.report: row for row in unit.rows(query)}
    if len(latest) < len(set(ids)):
        raise NotFound("a report without a version")
    keys = unit.vault.left(unit.connection, ids)
    return [_report(row, latest[row.id], keys.get(row.id)) for row in rows]


def _sealed(key: Key, content: Content) -> bytes:
    return key.seal("report_version.content", json.dumps(asdict(content), ensure_ascii=False).encode())


def _name_blobs(unit: Unit, report_id: str, content: Content, at: datetime) -> None:
    for attachment in content.attachments:
        unit.add_once(t.report_blob, {"report": report_id, "sha256": attachment.sha256})
    scans.expect(unit, report_id, content.attachments, at)


def _report(row: sa.Row[Any], latest: sa.Row[Any], key: Key | None) -> Report:
    content = _content(json.loads(key.open("report_version.content", latest.content))) if key else DESTROYED
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
        found_area=row.found_area,
        closed_reason=row.closed_reason,
        merged_into=row.merged_into or "",
        is_aside=row.aside,
        compartments=row.compartments,
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
