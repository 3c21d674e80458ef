"""Bulletins: one row each under UNIQUE(sender, identifier, sent), what ends them, and the chains that they form."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from domain.bulletin import AHEAD, BULLETINS, CHAIN, Apart, Said, Standing, expiry, why_apart
from domain.errors import IllegalMove
from domain.handling import Mode
from domain.ids import mint
from store import journal, shelf
from store.tables_peers import bulletin, bulletin_arrival, bulletin_reference
from store.unit import Unit

b, r = bulletin.c, bulletin_reference.c
PAGE = 50
_ENDS = ("Update", "Cancel")
_HOLDS = ("Alert", "Update")  # what can be in force; a Cancel ends others and is none itself (H59)


class Entered(StrEnum):
    """What became of an alert that was read."""

    NEW = "new"
    REPEAT = "repeat"  # it is there already, saying the same
    RAISED = "raised"  # it is there, saying the same, and counts only now: who says so is better proved
    CONFLICT = "conflict"  # another one under the same name: the first stays (H61)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulletin:
    """A stored one. `alert`, `areas` and `findings` are as channels.codecs.bulletin_file makes them."""

    id: str
    arrival: str
    n: int
    peer: str
    sender: str
    identifier: str
    sent: datetime | None
    sent_key: str
    status: str
    msg_type: str
    scope: str
    format: str
    state: Standing
    apart: str
    ended_by: str
    ended_at: datetime | None
    event_scheme: str
    event_code: str
    event: str
    headline: str
    severity: str
    category: str
    starts_at: datetime
    expires: datetime
    is_expiry_assumed: bool
    areas: Mapping[str, Any]
    alert: Mapping[str, Any]
    findings: Sequence[Mapping[str, Any]]
    seal: str
    seal_key: str
    seal_reason: str
    conflicts: int
    report: str
    received_at: datetime

    def is_in_force(self, at: datetime) -> bool:
        """Whether it is of our kind, neither ended nor expired, and not from the future."""
        is_ours = self.state is Standing.CURRENT and not self.ended_by and self.msg_type in _HOLDS
        return is_ours and self.expires > at and (self.sent is None or self.sent <= at + AHEAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which are listed. `view`: force | current | apart | all."""

    view: str = "all"
    peer: str = ""
    has_errors: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What a bulletin is entered with: its arrival, the hub that takes it, whom its peer may speak for."""

    arrival: str
    peer: str
    n: int
    mode: Mode
    ourselves: str
    senders: Sequence[str]
    received_at: datetime


def enter(unit: Unit, said: Said, around: Around, at: datetime) -> tuple[Entered, str]:
    """Store one and let it end what it ends; what became of it, and the id of the row that now bears its name.

    The caller's transaction. Safe to repeat.
    """
    apart = why_apart(
        said, around.mode, ourselves=around.ourselves, senders=around.senders, at=around.received_at
    )
    row = _row(said, around, apart)
    if not unit.add_once(bulletin, row):
        return _met(unit, said, row, around, at)
    for n, (sender, identifier, sent) in enumerate(said.references[:CHAIN]):
        values = {"bulletin": row["id"], "n": n, "sender": sender, "identifier": identifier, "sent": sent}
        unit.execute(bulletin_reference.insert(), values)
    journal.append(unit, "bulletin", row["id"], "enter", by=f"peer:{around.peer}", at=at, is_first=True,
                   detail={"arrival": around.arrival, "n": around.n, "digest": said.digest, "apart": row["apart"],
                           "status": said.status, "msg_type": said.msg_type, "seal": said.seal})  # fmt: skip
    _link(unit, row["id"], at)
    return Entered.NEW, row["id"]


def get(unit: Unit, bulletin_id: str) -> Bulletin | None:
    """The bulletin, None for an unknown id."""
    row = unit.row(sa.select(bulletin).where(b.id == bulletin_id))
    return _bulletin(row) if row else None


def page(
    unit: Unit, wanted: Filter, at: datetime, *, limit: int = PAGE, before: tuple[datetime, str] | None = None
) -> list[Bulletin]:
    """The newest first; `before` is the place after which a page goes on."""
    query = sa.select(bulletin).where(*_wanted(wanted, at)).order_by(b.received_at.desc(), b.id.desc())
    if before is not None:
        when = sa.literal(before[0], b.received_at.type)
        query = query.where(sa.tuple_(b.received_at, b.id) < sa.tuple_(when, sa.literal(before[1])))
    return [_bulletin(row) for row in unit.rows(query.limit(limit))]


def in_force(unit: Unit, at: datetime, *, limit: int) -> list[Bulletin]:
    """What counts now, the newest first."""
    return page(unit, Filter(view="force"), at, limit=limit)


def comparable(unit: Unit, one: Bulletin, at: datetime, *, limit: int) -> list[Bulletin]:
    """What is in force of other senders at a time with `one`, and may be of its kind; the newest first."""
    kinds = [b.event == one.event, b.category == one.category]
    if one.event_code:  # cn.eips: the class of the event, 11B of 11B03
        kinds.append(sa.and_(b.event_scheme == one.event_scheme, b.event_code.startswith(one.event_code[:3])))
    query = sa.select(bulletin).where(
        *_wanted(Filter(view="force"), at), b.sender != one.sender, b.starts_at <= one.expires,
        b.expires >= one.starts_at, sa.or_(*kinds),
    )  # fmt: skip
    return [_bulletin(row) for row in unit.rows(query.order_by(b.received_at.desc()).limit(limit))]


def counts(unit: Unit, at: datetime, most: int = 10_000) -> dict[str, int]:
    """View -> how many, counted up to `most`."""
    found = {}
    for view in ("force", "current", "apart", "all"):
        some = sa.select(b.id).where(*_wanted(Filter(view=view), at)).limit(most).subquery()
        found[view] = int(unit.scalar(sa.select(sa.func.count()).select_from(some)) or 0)
    return found


def of_arrival(unit: Unit, arrival_id: str) -> list[str]:
    """Ids of the bulletins that were made of it."""
    return [row.id for row in unit.rows(sa.select(b.id).where(b.arrival == arrival_id).order_by(b.n))]


def arrival_of(unit: Unit, bulletin_id: str) -> sa.Row[Any] | None:
    """(id, blob, raw, media_type, url, n) of the bytes it was read from."""
    a = bulletin_arrival.c
    query = sa.select(a.id, a.blob, a.raw, a.media_type, a.url, b.n)
    return unit.row(query.join(bulletin, b.arrival == a.id).where(b.id == bulletin_id))


def original(unit: Unit, bulletin_id: str, get: Callable[[str], bytes]) -> bytes | None:
    """The bytes it was read from; None where there are none to be seen: another alert in them bears a mark."""
    row = arrival_of(unit, bulletin_id)
    return None if row is None else get(row.blob) if row.blob else row.raw


def references(unit: Unit, bulletin_id: str) -> list[tuple[str, str, datetime | None]]:
    """What it refers to: (sender, identifier, sent)."""
    query = sa.select(bulletin_reference).where(r.bulletin == bulletin_id).order_by(r.n)
    return [(row.sender, row.identifier, row.sent) for row in unit.rows(query)]


def chain(unit: Unit, bulletin_id: str) -> list[Bulletin]:
    """The messages of one sender that this one belongs to, the oldest first; at most CHAIN, whoever refers to whom.

    Each is visited once, so that references in a circle end (H59).
    """
    start = get(unit, bulletin_id)
    if start is None:
        return []
    found, open_ends = {start.id: start}, [start]
    while open_ends and len(found) < CHAIN:
        one = open_ends.pop(0)
        for other in (*_referred(unit, one), *_referring(unit, one)):
            if other.id not in found and len(found) < CHAIN:
                found[other.id] = other
                open_ends.append(other)
    return sorted(found.values(), key=lambda x: (x.sent or x.received_at, x.id))


def move(unit: Unit, one: Bulletin, action: str, *, by: str, at: datetime, reason: str = "") -> None:
    """An officer admits it, or sets it apart. Raises IllegalMove, also when somebody was faster."""
    after = BULLETINS.after(one.state, action)
    apart = "" if after is Standing.CURRENT else Apart.QUARANTINED.value
    is_still = (b.id == one.id, b.state == one.state.value)
    if unit.execute(bulletin.update().where(*is_still).values(state=after.value, apart=apart)).rowcount != 1:
        raise IllegalMove("the bulletin has changed since it was shown")
    journal.append(
        unit, "bulletin", one.id, action, by=by, at=at, detail={"reason": reason, "before": one.apart}
    )
    if after is Standing.CURRENT:
        _link(unit, one.id, at)


def quarantine(unit: Unit, peer_id: str, since: datetime, *, by: str, at: datetime) -> int:
    """Set apart all that came from a peer since then (H65); how many there were."""
    is_meant = (b.peer == peer_id, b.received_at >= since, b.state == Standing.CURRENT.value)
    ids = [row.id for row in unit.rows(sa.select(b.id).where(*is_meant))]
    values = {"state": Standing.APART.value, "apart": Apart.QUARANTINED.value}
    unit.execute(bulletin.update().where(*is_meant).values(values))
    for bulletin_id in ids:
        journal.append(unit, "bulletin", bulletin_id, "set_aside", by=by, at=at, detail={"peer": peer_id})
    return len(ids)


def note_report(unit: Unit, bulletin_id: str, report_id: str) -> bool:
    """Write down which report was made of it; False if one was made before."""
    return unit.execute(
        bulletin.update().where(b.id == bulletin_id, b.report == "").values(report=report_id)
    ).rowcount == 1  # fmt: skip


def _met(unit: Unit, said: Said, row: Mapping[str, Any], around: Around, at: datetime) -> tuple[Entered, str]:
    """Its name is taken: by itself, or by another."""
    is_same = (b.sender == row["sender"], b.identifier == row["identifier"], b.sent_key == row["sent_key"])
    known = unit.row(unit.locked(sa.select(bulletin).where(*is_same)))
    if known is None:
        raise sa.exc.IntegrityError("bulletin", None, ValueError("minted names are taken"))
    if known.digest == said.digest:
        return _raised(unit, known, row, at), known.id
    unit.execute(bulletin.update().where(b.id == known.id).values(conflicts=b.conflicts + 1))
    shelf.put(unit, "bulletin", "conflict", origin=f"{around.arrival}#{around.n}", at=at)
    journal.append(unit, "bulletin", known.id, "conflict", by=f"peer:{around.peer}", at=at,
                   detail={"arrival": around.arrival, "n": around.n, "digest": said.digest})  # fmt: skip
    return Entered.CONFLICT, known.id


def _raised(unit: Unit, known: sa.Row[Any], row: Mapping[str, Any], at: datetime) -> Entered:
    """The same is told again: by a signature that holds, or by a peer that may speak for its sender.

    What an officer set apart stays so, and nothing is lowered: the worse of two proofs takes nothing from the better.
    """
    is_proved = row["seal"] == "verified" and known.seal != "verified"
    counts = known.state == Standing.APART.value and row["state"] == Standing.CURRENT.value
    is_admitted = counts and (
        known.apart == Apart.OTHER_SENDER.value or (is_proved and known.apart == Apart.BROKEN_SEAL.value)
    )
    if not (is_proved or is_admitted):
        return Entered.REPEAT
    names = ["arrival", "n", "peer"] + (
        ["seal", "seal_key", "seal_reason"] if is_proved or known.seal != "verified" else []
    )
    names += ["state", "apart"] if is_admitted else []
    unit.execute(bulletin.update().where(b.id == known.id).values({name: row[name] for name in names}))
    detail = {"arrival": row["arrival"], "n": row["n"], "seal": row["seal"], "was": {"seal": known.seal, "apart": known.apart,
              "peer": known.peer}}  # fmt: skip
    journal.append(unit, "bulletin", known.id, "raise", by=f"peer:{row['peer']}", at=at, detail=detail)
    if is_admitted or known.state == Standing.CURRENT.value:
        _link(unit, known.id, at)  # what is proved may end what it was not believed to end
    return Entered.RAISED if is_admitted else Entered.REPEAT


def _link(unit: Unit, bulletin_id: str, at: datetime) -> None:
    """End what this one ends, and this one if what ends it came before it."""
    new = get(unit, bulletin_id)
    if new is None or new.state is not Standing.CURRENT:
        return  # what does not count ends nothing: no exercise cancels what is real
    if new.msg_type in _ENDS:
        for old in _referred(unit, new):
            _end(unit, old, new, at)
    later = sorted(_referring(unit, new), key=lambda x: (x.sent or x.received_at, x.id))
    for one in later:
        if _end(unit, new, one, at):
            break


def _end(unit: Unit, old: Bulletin, new: Bulletin, at: datetime) -> bool:
    """`new` ends `old`; False when it may not: another sender, an earlier message, a peer that is not believed."""
    # Hubs of our kind freeze the Cancel with its warning, at one time; a Cancel itself is never ended by one like it.
    is_cancel = new.msg_type == "Cancel" and old.msg_type != "Cancel"
    may = (
        new.msg_type in _ENDS
        and new.state is Standing.CURRENT
        and old.status == new.status
        and old.sender == new.sender
        and (old.peer == new.peer or new.seal == "verified")  # who claims a sender's name is not that sender
        and old.sent is not None
        and new.sent is not None
        and (old.sent < new.sent or (old.sent == new.sent and is_cancel))  # so no two end each other
    )
    is_open = (b.id == old.id, b.ended_by.is_(None))
    if (
        not may
        or unit.execute(bulletin.update().where(*is_open).values(ended_by=new.id, ended_at=at)).rowcount != 1
    ):
        return False
    journal.append(unit, "bulletin", old.id, "end", by=f"peer:{new.peer}", at=at,
                   detail={"by": new.id, "msg_type": new.msg_type})  # fmt: skip
    return True


def _referred(unit: Unit, one: Bulletin) -> list[Bulletin]:
    """The messages of the same sender that `one` refers to.

    A format that names the event's first message only (CAP-CN) means all that followed it as well.
    """
    found: dict[str, Bulletin] = {}
    for sender, identifier, sent in references(unit, one.id):
        if sender != one.sender:
            continue
        named = [b.sender == sender, b.identifier == identifier, b.id != one.id]
        if sent is not None:
            named.append(b.sent == sent)
        rows = unit.rows(sa.select(bulletin).where(*named).limit(CHAIN))
        if sent is None:
            beside = sa.select(r.bulletin).where(
                r.sender == sender, r.identifier == identifier, r.sent.is_(None)
            )
            is_one = (b.id.in_(beside), b.sender == sender, b.id != one.id)
            rows += unit.rows(sa.select(bulletin).where(*is_one).limit(CHAIN))
        found.update((row.id, _bulletin(row)) for row in rows)
    return list(found.values())


def _referring(unit: Unit, one: Bulletin) -> list[Bulletin]:
    """The messages of the same sender that refer to `one`."""
    is_named = (
        r.sender == one.sender,
        r.identifier == one.identifier,
        sa.or_(r.sent == one.sent, r.sent.is_(None)),
    )
    ids = sa.select(r.bulletin).where(*is_named)
    query = sa.select(bulletin).where(b.id.in_(ids), b.sender == one.sender, b.id != one.id).order_by(b.sent)
    return [_bulletin(row) for row in unit.rows(query.limit(CHAIN))]


def _wanted(wanted: Filter, at: datetime) -> list[Any]:
    conditions: list[Any] = []
    if wanted.view == "force":
        conditions += [b.state == Standing.CURRENT.value, b.ended_by.is_(None), b.expires > at, b.msg_type.in_(_HOLDS),
                       sa.or_(b.sent.is_(None), b.sent <= at + AHEAD)]  # fmt: skip
    elif wanted.view != "all":
        conditions.append(b.state == wanted.view)
    if wanted.peer:
        conditions.append(b.peer == wanted.peer)
    if wanted.has_errors:
        conditions.append(b.findings.cast(sa.Text).like('%"level":"error"%'))
    return conditions


def _row(said: Said, around: Around, apart: Apart | None) -> dict[str, Any]:
    ends, is_assumed = expiry(said, around.received_at)
    has_name = said.identifier and said.sender
    when = said.sent.astimezone(UTC).isoformat() if said.sent else said.sent_as
    return {
        "id": mint("bul", around.received_at), "arrival": around.arrival, "n": around.n, "peer": around.peer,
        "sender": said.sender, "identifier": said.identifier, "sent": said.sent,
        # what has no name of its own is named by what it says, so that two such do not hide each other
        "sent_key": when[:80] if has_name and when else f"~{said.digest}", "mode": around.mode.value,
        "status": said.status, "msg_type": said.msg_type, "scope": said.scope, "format": said.format,
        "state": (Standing.APART if apart else Standing.CURRENT).value, "apart": apart.value if apart else "",
        "digest": said.digest, "event_scheme": said.event_scheme, "event_code": said.event_code, "event": said.event,
        "headline": said.headline, "severity": said.severity, "category": said.category,
        "starts_at": said.onset or said.effective or said.sent or around.received_at, "expires": ends,
        "is_expiry_assumed": is_assumed, "areas": said.areas, "alert": said.alert, "findings": list(said.findings),
        "seal": said.seal, "seal_key": said.seal_key, "seal_reason": said.seal_reason,
        "received_at": around.received_at,
    }  # fmt: skip


def _bulletin(row: sa.Row[Any]) -> Bulletin:
    return Bulletin(
        id=row.id, arrival=row.arrival, n=row.n, peer=row.peer, sender=row.sender, identifier=row.identifier,
        sent=row.sent, sent_key=row.sent_key, status=row.status, msg_type=row.msg_type, scope=row.scope, format=row.format,
        state=Standing(row.state), apart=row.apart, ended_by=row.ended_by or "", ended_at=row.ended_at,
        event_scheme=row.event_scheme, event_code=row.event_code, event=row.event, headline=row.headline,
        severity=row.severity, category=row.category, starts_at=row.starts_at, expires=row.expires,
        is_expiry_assumed=row.is_expiry_assumed, areas=row.areas, alert=row.alert, findings=row.findings, seal=row.seal,
        seal_key=row.seal_key, seal_reason=row.seal_reason, conflicts=row.conflicts, report=row.report,
        received_at=row.received_at,
    )  # fmt: skip
