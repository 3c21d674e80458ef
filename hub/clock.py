"""The clock of a hub: the machine's; the database's where the machine's is wrong; shifted by a file under test."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from domain.errors import Refused
from domain.handling import Mode

Clock = Callable[[], datetime]
OFF = timedelta(seconds=2)  # PROMISES R20, R38: a machine that differs by more is not believed


class Followed:
    """``Followed(machine)()``: the machine's clock, put right by the database's once that has been asked.

    An answer was true at some moment between question and receipt, which may be seconds apart: on a busy machine, over a slow
    line, in a process that was stopped meanwhile. That is no fault of a clock, so only what lies outside of them counts.
    """

    def __init__(self, machine: Clock) -> None:
        self.machine = machine
        self._offset = timedelta()

    def __call__(self) -> datetime:
        """Now, as all processes of the hub agree on it."""
        return self.machine() + self._offset

    def differs(self, database: datetime, *, asked: datetime, answered: datetime) -> timedelta:
        """How far the machine is, at the least, from what the database said; it was asked and answered by the machine's clock."""
        return abs(_nearest(timedelta(), database - answered, database - asked))

    def follow(self, database: datetime, *, asked: datetime, answered: datetime) -> bool:
        """Go by the database's clock when the machine's is off; True when that moved ours by more than OFF."""
        offset = _nearest(self._offset, database - answered, database - asked)
        right = offset if abs(offset) > OFF else timedelta()
        moved, self._offset = abs(right - self._offset) > OFF, right
        return moved


def _nearest(to: timedelta, least: timedelta, most: timedelta) -> timedelta:
    return min(max(to, least), most)


def of(mode: Mode, machine: Clock, shift_file: Path | None) -> Clock:
    """`machine` itself; with a file, `machine` plus the seconds that stand in the file at each call.

    All processes of a hub read the same file, so a test moves them together, while they run. Whoever writes
    it replaces it whole. Raises Refused when this hub may reach people, or when no number stands there.
    """
    if shift_file is None:
        return machine
    if mode.may_reach_the_world:
        raise Refused(f"a {mode.value} hub goes by the clock of its machine", code="mode_forbids_clock")
    try:
        _seconds(shift_file)
    except (OSError, ValueError) as error:
        raise Refused("TOCSIN_CLOCK_FILE holds no number of seconds", code="bad_clock_file") from error
    return lambda: machine() + _seconds(shift_file)


def _seconds(path: Path) -> timedelta:
    return timedelta(seconds=float(path.read_text()))
