"""The clock of a hub: the machine's; the database's where the machine's is wrong; shifted by a file under test."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from domain.errors import Refused
from domain.handling import Mode

Clock = Callable[[], datetime]
OFF = timedelta(seconds=2)  # PROMISES R20, R38: a machine that differs by more is not believed


class Followed:
    """``Followed(machine)()``: the machine's clock, put right by the database's once that has been asked."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._offset = timedelta()

    def __call__(self) -> datetime:
        """Now, as all processes of the hub agree on it."""
        return self._machine() + self._offset

    def differs(self, database: datetime) -> timedelta:
        """How far the machine is from what the database said just now."""
        return abs(database - self._machine())

    def follow(self, database: datetime) -> bool:
        """Go by the database's clock when the machine's is off; True when that moved ours by more than OFF."""
        offset = database - self._machine()
        right = offset if abs(offset) > OFF else timedelta()
        moved, self._offset = abs(right - self._offset) > OFF, right
        return moved


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
