"""Writes into the journal when a trouble begins and when it ends, once for all processes that see it."""

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hub.health import SHARED, Trouble
from store import journal
from store.unit import Unit

__all__ = ["Change", "Notes", "Trouble", "changes", "note"]

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


class Notes:
    """What could not be journalled yet, in a file for each process: the next one writes what a dead one has left."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory, self._mine = directory, directory / f"{name}.json"

    def keep(self, found: Iterable[Change]) -> None:
        """Write `found` down. On a full disk it stays in memory only."""
        rows = [[c.trouble.value, c.has_begun, c.at.isoformat()] for c in found]
        with contextlib.suppress(OSError):
            self._directory.mkdir(mode=0o700, exist_ok=True)
            self._mine.write_text(json.dumps(rows))

    def left(self) -> list[Change]:
        """What dead processes and this one have left, in the order in which it happened."""
        found = []
        for path in self._directory.glob("*.json"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                found += [
                    Change(trouble=Trouble(name), has_begun=begun, at=datetime.fromisoformat(at))
                    for name, begun, at in json.loads(path.read_text())
                ]
        return sorted(found, key=lambda change: change.at)

    def forget(self) -> None:
        """All of it stands in the journal."""
        for path in self._directory.glob("*.json"):
            path.unlink(missing_ok=True)


def note(unit: Unit, found: Iterable[Change], *, host: str, are_late: bool = False) -> int:
    """Journal `found`, leaving out what another process has written already; how many were written.

    `are_late`: they come from a note, and others may have written on meanwhile. A trouble of one machine
    (its disk, its clock) has a stream for each machine.
    """
    written = 0
    for change in found:
        local = "" if change.trouble in SHARED else f"@{host[:_HOST_LETTERS]}"
        entity, act = f"{change.trouble.value}{local}", "begin" if change.has_begun else "end"
        last = journal.last(unit, "trouble", entity)
        if (last.act if last else "end") == act or (are_late and last and change.at <= last.at):
            continue  # another process was faster, or has seen what came after
        journal.append(unit, "trouble", entity, act, by="system", at=change.at)
        written += 1
    return written
