"""What somebody in the field sends: kept with his name, as a follow-up of his task's report or as a report of his own."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from domain.further import Further
from domain.handling import Handling
from domain.person import Person
from domain.report import Inbound, Kept
from domain.task import Task
from intake import desk
from store import follow_ups, inbox, tasks
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One message from a telephone. With a task it is of that; else of a `matter` that he named himself."""

    raw: bytes
    media_type: str
    key: str  # his telephone's own, the same with each try
    fingerprint: str
    files: int
    task: Task | None
    matter: str  # '' for one by itself


def keep(unit: Unit, item: Item, minted: Kept, *, by: Person, blob: str, at: datetime) -> tuple[Kept, str]:
    """Keep it in the caller's transaction: the names it has, and the code of the report that will say it.

    The same item again answers with the first names. What it says is part of what makes two items one, as at the
    citizen's form (decision 0013). A task that is over still takes what was photographed for it without a network.
    """
    report = item.task.report if item.task else tasks.begun(unit, by.id, item.matter) if item.matter else ""
    first = inbox.by_report(unit, report) if report else None
    inbound = Inbound(
        channel="field",
        external_id=hashlib.sha256(f"{by.id}\0{item.key}\0{item.fingerprint}".encode()).hexdigest(),
        raw=item.raw,
        media_type=item.media_type,
        received_at=at,
        sender=by.id,
        meta={
            "person": by.id,
            "person_name": by.name,
            **({"follows": report, "further": Further.FOLLOW_UP.value} if first else {}),
        },
        organisation=first.organisation if first else by.organisation,
        handling=Handling(first.handling) if first else Handling.INTERNAL,
    )
    kept = desk.receive(unit, inbound, minted, blob=blob, at=at)
    is_own = (
        first is None or report == kept.report_id
    )  # its own: also when it is a repeat of what began the matter
    code = first.code if first and not is_own else kept.code
    if kept.is_fresh:
        if first:
            follow_ups.expect(unit, kept.inbound_id, report, Further.FOLLOW_UP, at)
        task = item.task.id if item.task else ""
        tasks.sent(
            unit, kept.inbound_id, person=by.id, task=task, matter=item.matter, files=item.files, at=at
        )
    return kept, code
