"""Under which blind indexes a sender is looked for, and what happens to a report whose sender is blocked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from domain.report import Content, Inbound, Report
from domain.trust import CHANNELS, Verdict, VerdictKind, VerdictState
from intake.phones import phone
from intake.steps import whole
from intake.study import Rings
from intake.triage import Rules, triage
from store import inbox, journal, senders, verdicts
from store.database import Store
from store.unit import Unit

BY = "system"


def address_of(text: str, region: str = "CN") -> str:
    """A sender as known reporters and block lists write him: E.164, a mail address in lower case, or as he is."""
    found = phone(text, region=region) if "@" not in text else None
    return found.e164 if found and found.e164 else text.strip().casefold()


def indexes(unit: Unit, inbound: Inbound) -> Sequence[str]:
    """All that this sender may be entered under; none for who gave no address."""
    if inbound.channel not in CHANNELS:
        return ()
    names = dict.fromkeys((inbound.sender, address_of(inbound.sender)))
    return tuple(index for name in names if (index := inbox.index_of(unit, name)))


def blocked(unit: Unit, inbounds: Sequence[Inbound]) -> list[bool]:
    """For each whether a block held when it came in."""
    return senders.blocked(unit, [(one.channel, indexes(unit, one), one.received_at) for one in inbounds])


def set_aside(unit: Unit, report_id: str, at: datetime) -> None:
    """Its sender is blocked: the report is filed like any other, and lies in quarantine."""
    given = Verdict(
        report=report_id, kind=VerdictKind.BLOCKED, state=VerdictState.GIVEN, by=BY, at=at, reason=""
    )
    if verdicts.give(unit, given):
        detail = {"kind": given.kind.value}
        journal.append(unit, "report", report_id, "give_verdict", by=BY, at=at, detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raising:
    """The step of the study that lets a blocked sender's report into the queue when its words tell of danger.

    Whoever cried wolf may see one. It bears a mark there.
    """

    rules: Rules
    name: ClassVar[str] = "raise"

    def look(self, store: Store, report: Report) -> bool | None:
        """Whether its words tell of an event or of people harmed; None where it lies in no quarantine."""
        return self._is_danger(whole(store, report), report) or None if report.is_aside else None

    def write(self, unit: Unit, report: Report, found: bool, at: datetime) -> Rings:
        """Into the queue, once."""
        if found and verdicts.raise_up(unit, report.id):
            journal.append(unit, "report", report.id, "raise_up", by=BY, at=at)
        return ()

    def _is_danger(self, content: Content, report: Report) -> bool:
        seen = triage(content, self.rules, has_place=True, event_code=report.event_code)
        return bool(seen.hits or seen.level_hits or seen.casualties.numbers or seen.casualties.is_unknown)
