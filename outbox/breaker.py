"""Whether a provider is worth calling: it opens after a few calls without an answer, and tries again with one.

Every call that a dead provider swallows leaves one more delivery of which nobody knows. So the first failures
in a row end the sending, one call a while tries it again, and only successes in a row let everything through.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from domain.errors import Never, NotNow, Unsure

OPENS_AFTER = 5  # failures in a row (PROMISES F19)
CLOSES_AFTER = 3  # successes in a row, each call alone: a provider that stumbles on must not flap
FIRST_REST, LONGEST_REST = timedelta(seconds=2), timedelta(minutes=1)
TOLD_FROM = timedelta(seconds=60)  # PROMISES F20
ASIDE = timedelta(seconds=1)  # of a pause that is waited for, though another provider could be called
PROBE_LASTS = timedelta(seconds=1)  # until others look again whether the probe has been answered
STEADY = timedelta(minutes=2)  # closed for so long, it has healed: the next rest is short again


class Standing(StrEnum):
    """What this process makes of a provider."""

    CLOSED = "closed"  # it answers: calls go through
    OPEN = "open"  # it does not: no call begins
    TRYING = "trying"  # one call at a time, until enough of them were answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A breaker at one moment."""

    standing: Standing
    code: str  # of the last failure
    rest: timedelta  # until the next try, or until the pause that the provider asked for is over
    is_told_to_wait: bool  # the provider itself asked for a pause

    @property
    def is_troubled(self) -> bool:
        """Whether somebody must be told: a pause of some seconds is daily life."""
        return self.standing is not Standing.CLOSED or (self.is_told_to_wait and self.rest > TOLD_FROM)


class Breaker:
    """Of one provider in one process; changed inside one event loop, looked at from any thread."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._standing = Standing.CLOSED
        self._row = 0  # failures in a row while closed, successes in a row while trying
        self._rest = FIRST_REST
        self._until = self._told_until = 0.0
        self._closed_at = float("-inf")
        self._is_probing = False
        self._code = ""

    def rest(self) -> timedelta:
        """How long no call may begin; nothing while calls go through."""
        if self._standing is Standing.CLOSED:
            return timedelta()
        if self._standing is Standing.TRYING:
            return PROBE_LASTS if self._is_probing else timedelta()
        return timedelta(seconds=max(self._until - self._monotonic(), 0.0))

    @property
    def is_one_by_one(self) -> bool:
        """Whether a slice is one call: more would be written down for nothing."""
        return self._standing is not Standing.CLOSED

    @property
    def is_passed_over(self) -> bool:
        """Whether another provider, where there is one, had better be called now."""
        return self.rest() > timedelta() or self._told_until - self._monotonic() > ASIDE.total_seconds()

    def enter(self) -> Standing | None:
        """Let a call begin: what leave() must be told with its end. None holds it back."""
        if self._standing is Standing.CLOSED:
            return Standing.CLOSED
        if self._is_probing or self.rest():
            return None
        self._standing, self._is_probing = Standing.TRYING, True
        return Standing.TRYING

    def leave(self, entered: Standing, error: NotNow | Never | Unsure | None) -> None:
        """How a call ended: an answer of any kind says that the provider lives."""
        if entered is Standing.TRYING:
            self._is_probing = False
        if isinstance(error, NotNow) and error.retry_after:
            self._told_until = self._monotonic() + error.retry_after.total_seconds()
            self._code = error.code
        if entered is not self._standing:  # a call from before it opened proves nothing about now
            return
        if isinstance(error, Unsure) or (isinstance(error, NotNow) and error.is_down):
            self._fail(error.code)
        elif self._standing is Standing.TRYING:
            self._row += 1
            if self._row >= CLOSES_AFTER:
                self._standing, self._row, self._closed_at = Standing.CLOSED, 0, self._monotonic()
        else:
            self._row = 0

    def look(self) -> Look:
        """As the desk is told."""
        told = timedelta(seconds=max(self._told_until - self._monotonic(), 0.0))
        rest = self.rest()
        return Look(standing=self._standing, code=self._code if rest or told or self.is_one_by_one else "",
                    rest=max(rest, told), is_told_to_wait=told > rest)  # fmt: skip

    def _fail(self, code: str) -> None:
        self._code = code
        if self._standing is Standing.TRYING and self._row:  # it does answer some: no need to wait longer
            self._rest = FIRST_REST
        if self._standing is Standing.CLOSED and self._row + 1 < OPENS_AFTER:
            self._row += 1
            return
        if self._standing is Standing.CLOSED and self._monotonic() - self._closed_at > STEADY.total_seconds():
            self._rest = FIRST_REST  # else it stumbles, and is tried less and less often
        self._open()

    def trip(self, code: str) -> None:
        """Open at once and for the longest rest: it refuses this hub, and would refuse the next call too."""
        self._code, self._rest = code, LONGEST_REST
        self._open()

    def _open(self) -> None:
        self._standing, self._row = Standing.OPEN, 0
        jitter = random.uniform(0.8, 1.0)  # noqa: S311 (so that processes do not probe in step)
        self._until = self._monotonic() + self._rest.total_seconds() * jitter
        self._rest = min(self._rest * 2, LONGEST_REST)
