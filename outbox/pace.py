"""How fast one process may call one provider: a token bucket that fails closed."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

from domain.errors import NotNow
from outbox.line import Line


class Pace:
    """A static share of a provider's rate; used inside one event loop, read from any thread.

    Without a share nothing is let through: a limiter that fails open is no limiter (law 12).
    """

    def __init__(
        self, calls_per_second: float, *, burst: float = 1.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`burst`: calls that may start at once after a pause; at least one, or nothing ever would."""
        self.calls_per_second = calls_per_second
        self._burst = max(burst, 1.0)
        self._monotonic = monotonic
        self._tokens = self._burst
        self._filled_at = monotonic()
        self._held_until = 0.0
        self._line = Line()
        self._timer: asyncio.TimerHandle | None = None

    def hold(self, wait: timedelta) -> None:
        """The provider has asked for a pause: every parcel of this channel keeps it."""
        self._held_until = max(self._held_until, self._monotonic() + wait.total_seconds())

    def try_take(self) -> bool:
        """Take a token if there is one now and nobody waits; False says nothing about why not."""
        now = self._monotonic()
        if self._line or now < self._held_until or self.calls_per_second <= 0:
            return False
        self._fill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    async def take(self, *, is_urgent: bool = False) -> None:
        """Return when a call may start, the urgent ones first.

        Raises NotNow while the provider is held or there is no share.
        """
        if self.calls_per_second <= 0:
            raise NotNow("no share of the provider's rate", code="no_pace", retry_after=timedelta(seconds=5))
        held = self._held_until - self._monotonic()
        if held > 0:
            raise NotNow("the provider asked for a pause", code="held", retry_after=timedelta(seconds=held))
        turn = self._line.join(is_urgent=is_urgent)
        self._serve()
        await turn

    def _serve(self) -> None:
        """Let those go for whom there is a token, and come back when there is another."""
        self._fill(self._monotonic())
        while self._tokens >= 1 and self._line.call_next():
            self._tokens -= 1
        if self._line and self._timer is None:
            missing = (1 - self._tokens) / self.calls_per_second
            self._timer = asyncio.get_running_loop().call_later(missing, self._wake)

    def _fill(self, now: float) -> None:
        gained = (now - self._filled_at) * self.calls_per_second
        self._tokens, self._filled_at = min(self._burst, self._tokens + gained), now

    def _wake(self) -> None:
        self._timer = None
        self._serve()
