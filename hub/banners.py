"""Writes into the journal when a trouble begins and when it ends, once for all processes that see it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from hub.health import SHARED, Trouble
from store import journal
from store.unit import Unit

__all__ = ["Change", "Trouble", "changes", "note"]

_HOST_LETTERS = 30  # journal.entity holds 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A trouble that began or ended."""

    trouble: Trouble
    has_begun: bool
    at: datetime


def changes(before: Iterable[Trouble], now: Iterable[Trouble], at: datetime) -> list[Change]:
    """What lies between two looks."""
    old, new = set(before), set(now)
    began = [Change(trouble=t, has_begun=True, at=at) for t in Trouble if t in new - old]
    return began + [Change(trouble=t, has_begun=False, at=at) for t in Trouble if t in old - new]


def note(unit: Unit, found: Iterable[Change], *, host: str) -> int:
    """Journal `found`, leaving out what another process has written already; how many were written.

    A trouble of one machine (its disk, its clock) has a stream for each machine.
    """
    written = 0
    for change in found:
        local = "" if change.trouble in SHARED else f"@{host[:_HOST_LETTERS]}"
        entity, act = f"{change.trouble.value}{local}", "begin" if change.has_begun else "end"
        if (journal.last_act(unit, "trouble", entity) or "end") == act:
            continue
        journal.append(unit, "trouble", entity, act, by="system", at=change.at)
        written += 1
    return written
