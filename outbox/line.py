"""Calls that wait their turn: the urgent ones first, then as they came."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")


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


class Window(Generic[T]):
    """At most `size` works at once: as many places, each a task that does the first in line, again and again.

    A task for each work would cost more than what is looked at before a call.
    """

    def __init__(self, size: int, do: Callable[[T], Coroutine[Any, Any, None]]) -> None:
        """`do` answers for its errors itself, and for being cancelled."""
        self._size, self._do = max(size, 1), do
        self._urgent: deque[T] = deque()
        self._usual: deque[T] = deque()
        self._places: list[asyncio.Task[None]] = []
        self._idle: list[asyncio.Future[None]] = []
        self._has_ended = False

    def put(self, works: Sequence[T], *, is_urgent: bool) -> None:
        """Line up, the urgent ones before all others that wait; used inside one event loop."""
        (self._urgent if is_urgent else self._usual).extend(works)
        for _ in range(min(len(works), self._size)):
            if self._idle:
                self._wake()
            elif len(self._places) < self._size:
                self._places.append(asyncio.create_task(self._place()))

    async def end(self) -> None:
        """Wait for everybody in line and at work; nobody may line up any more."""
        self._has_ended = True
        while self._idle:
            self._wake()
        await asyncio.gather(*self._places)

    async def cut_off(self, patience_seconds: float) -> None:
        """Cancel what is at work, and wait so long for its last words."""
        for task in self._places:
            task.cancel()
        if self._places:
            await asyncio.wait(self._places, timeout=patience_seconds)

    def _wake(self) -> None:
        idle = self._idle.pop()
        if not idle.done():
            idle.set_result(None)

    async def _place(self) -> None:
        while True:
            if self._urgent:
                await self._do(self._urgent.popleft())
            elif self._usual:
                await self._do(self._usual.popleft())
            elif self._has_ended:
                return
            else:
                idle = asyncio.get_running_loop().create_future()
                self._idle.append(idle)
                await idle
