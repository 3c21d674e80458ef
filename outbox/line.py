"""Calls that wait their turn: the urgent ones first, then as they came."""

import asyncio
import heapq


class Line:
    """Who waits; used inside one event loop."""

    def __init__(self) -> None:
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []
        self._count = 0

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        while self._waiting and self._waiting[0][2].done():  # given up meanwhile
            heapq.heappop(self._waiting)
        return bool(self._waiting)

    def join(self, *, is_urgent: bool) -> "asyncio.Future[None]":
        """A future that resolves when it is this one's turn."""
        self._count += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (not is_urgent, self._count, future))
        return future

    def call_next(self) -> bool:
        """Give the first one his turn; False if nobody waits."""
        if not self:
            return False
        heapq.heappop(self._waiting)[2].set_result(None)
        return True


class Window:
    """At most `size` calls in flight; a place that becomes free goes to the first in line."""

    def __init__(self, size: int) -> None:
        self.size = max(size, 1)
        self._free = self.size
        self._line = Line()

    def try_enter(self) -> bool:
        """Take a place if one is free and nobody waits for it."""
        if not self._free or self._line:
            return False
        self._free -= 1
        return True

    async def enter(self, *, is_urgent: bool) -> None:
        """Return when a place is taken; every enter() needs its leave()."""
        if self.try_enter():
            return
        turn = self._line.join(is_urgent=is_urgent)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given a place in the same moment
                self.leave()
            raise

    def leave(self) -> None:
        """Free a place."""
        if not self._line.call_next():
            self._free += 1
