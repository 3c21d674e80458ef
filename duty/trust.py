"""What the duty room says of who reports: verdicts on reports, known reporters, block lists."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from domain.errors import BadInput, Conflict, Flaw, NotFound
from domain.ids import mint
from domain.person import Person, Role
from domain.place import canonical
from domain.report import Report
from domain.trust import (
    CHANNELS,
    LONGEST_BLOCK,
    Block,
    History,
    Known,
    KnownKind,
    Verdict,
    VerdictKind,
    VerdictState,
)
from intake.contacts import mail_in
from intake.senders import address_of, indexes
from store import clocks, inbox, journal, reports, senders, verdicts
from store.unit import Unit

MAY_JUDGE = frozenset({Role.OFFICER, Role.LEADER, Role.APPROVER})
MAY_KEEP = frozenset({Role.LEADER, Role.ADMIN})  # of the lists
SAID = (VerdictKind.FALSE, VerdictKind.ABUSE)  # by people; that a sender is blocked follows from the list
LONGEST_KNOWN = timedelta(days=366 * 3)
ADDRESSES = 20  # of one reporter


def give_verdict(
    unit: Unit,
    report_id: str,
    *,
    by: Person,
    at: datetime,
    kind: str,
    reason: str,
    revision: int | None = None,
) -> Report:
    """不实 or 恶意, with the reason. What is abuse lies in quarantine, where it can be brought back from."""
    report = _judged(unit, report_id, by, revision)
    given = Verdict(report=report_id, kind=_kind(kind, SAID), state=VerdictState.GIVEN, by=by.id, at=at,
                    reason=_reason(reason))  # fmt: skip
    if verdicts.give(unit, given):
        if given.kind is VerdictKind.ABUSE:
            clocks.end_follow_ups(unit, [report_id], at)
        _tell(unit, report_id, "give_verdict", by, at, kind, given.reason)
    return _now(unit, report)


def withdraw_verdict(
    unit: Unit,
    report_id: str,
    *,
    by: Person,
    at: datetime,
    kind: str,
    reason: str,
    revision: int | None = None,
) -> Report:
    """It was wrong, or is over: the report is where it would be without it."""
    report = _judged(unit, report_id, by, revision)
    wanted = Verdict(report=report_id, kind=_kind(kind, VerdictKind), state=VerdictState.WITHDRAWN, by=by.id, at=at,
                     reason=_reason(reason))  # fmt: skip
    if verdicts.withdraw(unit, wanted):
        _tell(unit, report_id, "withdraw_verdict", by, at, kind, wanted.reason)
    return _now(unit, report)


def block_sender(
    unit: Unit,
    report_id: str,
    *,
    by: Person,
    at: datetime,
    days: int | None,
    reason: str,
    revision: int | None = None,
) -> Report:
    """Whoever sent this is not heard for some days: his reports are kept, and lie in quarantine."""
    report = _judged(unit, report_id, by, revision)
    row = inbox.by_report(unit, report_id)
    arrived = inbox.load(unit, row.id, lambda _: b"") if row else None
    if arrived is None:
        raise NotFound("no such report")
    block(
        unit,
        channel=arrived.inbound.channel,
        address=arrived.inbound.sender,
        days=days,
        reason=reason,
        by=by,
        at=at,
    )
    journal.append(unit, "report", report_id, "block_sender", by=by.id, at=at, detail={"days": days})
    return report


def block(
    unit: Unit, *, channel: str, address: str, days: int | None, reason: str, by: Person, at: datetime
) -> Block:
    """Raises BadInput for no address, for longer than LONGEST_BLOCK, and for somebody who is known as a reporter."""
    by.must_be(*MAY_KEEP)
    found = address_of(address)
    if channel not in CHANNELS or not found:
        raise BadInput("there is no sender to block", code="no_sender")
    if not days or not 0 < days <= LONGEST_BLOCK.days:
        raise BadInput(
            "a block has an end", code="bad_fields", flaws=[Flaw("/days", "is a number from 1 to 90")]
        )
    if senders.known_as(unit, channel, [inbox.index_of(unit, found)], at):
        raise Conflict("this is a known reporter", code="known_sender")
    made = Block(id=mint("blk", at), channel=channel, address=found, reason=_reason(reason), by=by.id, at=at,
                 until=at + timedelta(days=days))  # fmt: skip
    senders.add_block(unit, made)
    journal.append(unit, "block", made.id, "block_sender", by=by.id, at=at,
                   detail={"channel": channel, "days": days, "reason": made.reason})  # fmt: skip
    return made


def lift_block(unit: Unit, block_id: str, *, by: Person, at: datetime) -> None:
    """He is heard again. What lies in quarantine stays there until somebody brings it back."""
    by.must_be(*MAY_KEEP)
    if senders.lift_block(unit, block_id, by.id, at):
        journal.append(unit, "block", block_id, "lift_block", by=by.id, at=at)


def add_known(
    unit: Unit, *, kind: str, name: str, body: str, area: str, until: datetime | None, addresses: str, by: Person,
    at: datetime,
) -> Known:  # fmt: skip
    """Enter a 信息报告员 or an enterprise. `addresses`: a line each, ``channel address``. Raises BadInput with flaws."""
    by.must_be(*MAY_KEEP)
    flaws = [
        Flaw(f"/{field}", "is blank") for field, text in (("name", name), ("body", body)) if not text.strip()
    ]
    if kind not in {one.value for one in KnownKind}:
        flaws.append(Flaw("/kind", "is blank"))
    if until is None or not at < until <= at + LONGEST_KNOWN:
        flaws.append(Flaw("/until", "is a day within three years"))
    pairs = _pairs(addresses, flaws)
    code = _area(area, flaws)
    if flaws or until is None:
        raise BadInput("the entry does not fit", code="bad_fields", flaws=flaws)
    made = Known(id=mint("kno", at), kind=KnownKind(kind), name=name.strip()[:120], body=body.strip()[:120], area=code,
                 since=at, until=until, addresses=tuple(pairs), by=by.id)  # fmt: skip
    senders.add_known(unit, made)
    journal.append(unit, "known_reporter", made.id, "add_known", by=by.id, at=at,
                   detail={"kind": kind, "area": code, "until": until.isoformat()})  # fmt: skip
    return made


def end_known(unit: Unit, known_id: str, *, by: Person, at: datetime) -> None:
    """He reports no longer for his body."""
    by.must_be(*MAY_KEEP)
    if senders.end_known(unit, known_id, at):
        journal.append(unit, "known_reporter", known_id, "end_known", by=by.id, at=at)


def who_is(unit: Unit, report_id: str) -> tuple[list[Known], History]:
    """(known reporters with this sender's address, what came of what he sent before)."""
    row = inbox.by_report(unit, report_id)
    arrived = inbox.load(unit, row.id, lambda _: b"") if row else None
    found = indexes(unit, arrived.inbound) if arrived else ()
    if arrived is None or not found:
        return [], History()
    channel = arrived.inbound.channel
    known = senders.known_as(unit, channel, found, arrived.inbound.received_at)
    return known, senders.history(unit, channel, found, before=report_id)


def _kind(text: str, among: Iterable[VerdictKind]) -> VerdictKind:
    found = next((one for one in among if one.value == text), None)
    if found is None:
        raise BadInput("no such verdict", code="bad_fields", flaws=[Flaw("/kind", "is no verdict")])
    return found


def _pairs(text: str, flaws: list[Flaw]) -> list[tuple[str, str]]:
    pairs = []
    for line in text.splitlines():
        channel, _, address = line.strip().partition(" ")
        found = mail_in(address) if channel == "email" else address_of(address)
        if line.strip() and (channel not in CHANNELS or not found):
            flaws.append(Flaw("/addresses", "is a line of channel and address"))
        elif line.strip():
            pairs.append((channel, found))
    if not pairs or len(pairs) > ADDRESSES:
        flaws.append(Flaw("/addresses", "is 1 to 20 addresses"))
    return pairs


def _area(text: str, flaws: list[Flaw]) -> str:
    try:
        return canonical(text.strip()) if text.strip() else ""
    except BadInput as error:
        flaws.append(Flaw("/area", error.detail))
        return ""


def _judged(unit: Unit, report_id: str, by: Person, revision: int | None) -> Report:
    by.must_be(*MAY_JUDGE)
    del revision  # what is said of it holds of every version
    report = reports.get(unit, report_id, lock=True)
    if report is None:
        raise NotFound("no such report")
    return report


def _now(unit: Unit, before: Report) -> Report:
    return reports.get(unit, before.id) or before


def _tell(unit: Unit, report_id: str, act: str, by: Person, at: datetime, kind: str, reason: str) -> None:
    detail = {"kind": kind, "reason": reason}
    journal.append(unit, "report", report_id, act, by=by.id, at=at, detail=detail)


def _reason(text: str) -> str:
    reason = text.strip()[:500]
    if not reason:
        raise BadInput("a reason is needed", code="reason_missing", flaws=[Flaw("/reason", "is empty")])
    return reason
