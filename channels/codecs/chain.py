"""The versions of one message: first issue, updates, and the ending of the last (第12号 → 更新2 → 解除)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from channels.contract import Entry
from domain.artefact import Purpose
from domain.release import State

ENDINGS = {State.CORRECTED: Purpose.CORRECTION, State.CANCELLED: Purpose.LIFT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One version, or (purpose lift or correction) the ending of `entry`; `before` is the version it replaced."""

    entry: Entry
    purpose: Purpose
    update: int  # 0: the first issue
    at: datetime
    before: Entry | None = None


class Chains:
    """Which of a list of entries replaced which. An entry that is not in the list is not spoken of."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._by_id = {e.release_id: e for e in entries}
        # of two that claim to replace the same one, the later counts
        oldest_first = sorted(entries, key=lambda e: (e.sent, e.release_id))
        self._after = {e.supersedes: e for e in oldest_first if e.supersedes in self._by_id}

    def before(self, entry: Entry) -> Entry | None:
        """The version that `entry` replaced."""
        return self._by_id.get(entry.supersedes)

    def after(self, entry: Entry) -> Entry | None:
        """The version that replaced `entry`."""
        return self._after.get(entry.release_id)

    def earlier(self, entry: Entry) -> list[Entry]:
        """All versions before `entry`, the first one first."""
        found: list[Entry] = []
        seen = {entry.release_id}
        while (older := self.before(entry)) and older.release_id not in seen:
            seen.add(older.release_id)
            found.append(older)
            entry = older
        return found[::-1]

    def number(self, entry: Entry) -> tuple[int, int]:
        """(12, 2) for 第12号 更新2: an update bears the number of the first issue."""
        earlier = self.earlier(entry)
        return (earlier[0].number if earlier else entry.number), len(earlier)

    def steps(self, entry: Entry) -> list[Step]:
        """All versions of the message that `entry` belongs to, the first one first."""
        line = [*self.earlier(entry), entry]
        seen = {e.release_id for e in line}
        while (newer := self.after(line[-1])) and newer.release_id not in seen:
            seen.add(newer.release_id)
            line.append(newer)
        found = []
        for n, one in enumerate(line):
            found.append(Step(entry=one, purpose=Purpose.MAIN, update=n, at=one.sent,
                              before=line[n - 1] if n else None))  # fmt: skip
            if ending := ENDINGS.get(State(one.state)):
                found.append(Step(entry=one, purpose=ending, update=n, at=one.changed_at))
        return found
