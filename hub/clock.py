"""The clock of a hub under test: the machine's, shifted by what a file says."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from domain.errors import Refused
from domain.handling import Mode

Clock = Callable[[], datetime]


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
