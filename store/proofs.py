"""When each channel was last heard: by a synthetic report, and by a real one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from domain.report import State
from store import tables as t
from store.tables_desk import proof
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One channel that is proved."""

    channel: str
    proof: str  # the last one sent
    sent_at: datetime
    due_at: datetime  # when the next one is to be sent
    answer: str  # of the door: ok, or why not; '' until it came
    proved_at: datetime | None  # when one was filed last


def claim(unit: Unit, channel: str, proof_id: str, *, at: datetime, due_at: datetime) -> bool:
    """Write down that a proof is sent now; False when it is not time yet, or another process was faster."""
    values = {"proof": proof_id, "sent_at": at, "due_at": due_at, "answer": ""}
    if unit.add_once(proof, {"channel": channel, **values}):
        return True
    is_due = (proof.c.channel == channel, proof.c.due_at <= at)
    return unit.execute(proof.update().where(*is_due).values(**values)).rowcount == 1


def answered(unit: Unit, channel: str, proof_id: str, answer: str) -> None:
    """What the door said to it."""
    is_it = (proof.c.channel == channel, proof.c.proof == proof_id)
    unit.execute(proof.update().where(*is_it).values(answer=answer[:40]))


def proved(unit: Unit, channel: str, proof_id: str, at: datetime) -> None:
    """This proof has been filed; an older one than the last that was sent proves nothing."""
    is_it = (proof.c.channel == channel, proof.c.proof == proof_id)
    is_later = sa.or_(proof.c.proved_at.is_(None), proof.c.proved_at < at)
    unit.execute(proof.update().where(*is_it, is_later).values(proved_at=at))


def all_of(unit: Unit, channels: Iterable[str]) -> list[Heard]:
    """How these channels stand; those never proved are left out."""
    rows = unit.rows(sa.select(proof).where(proof.c.channel.in_(list(channels))))
    return [
        Heard(channel=row.channel, proof=row.proof, sent_at=row.sent_at, due_at=row.due_at, answer=row.answer,
              proved_at=row.proved_at)
        for row in rows
    ]  # fmt: skip


def last_real(unit: Unit, channels: Iterable[str]) -> dict[str, datetime]:
    """When the newest report of each channel came in; a synthetic one never makes a report."""
    r = t.report_row.c
    found: dict[str, datetime] = {}
    for channel in channels:
        for state in State:  # each is one look into an index
            query = sa.select(sa.func.max(r.received_at)).where(r.channel == channel, r.state == state.value)
            if at := unit.scalar(query):
                found[channel] = max(at, found.get(channel, at))
    return found
