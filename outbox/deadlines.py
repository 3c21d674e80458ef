"""How long a call may take: one timer for all that are under way, since one for each costs more than the guard."""

import asyncio
from datetime import timedelta


class Deadlines:
    """The calls under way in one event loop, oldest first; whoever is overdue is cancelled."""

    def __init__(self) -> None:
        self._running: dict[asyncio.Task[object], float] = {}  # with the loop's time at which it is overdue
        self._late: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = 0.0  # when it runs out

    def begin(self, lasts: timedelta) -> "asyncio.Task[object]":
        """The present task begins a call; it awaits nothing else before end()."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call is made inside a task")
        self._running[task] = ends = asyncio.get_running_loop().time() + lasts.total_seconds()
        if self._timer is None or ends < self._looks_at:
            self._wait()
        return task

    def end(self, task: "asyncio.Task[object]") -> bool:
        """Its call has ended; whether that was because it was overdue."""
        self._running.pop(task, None)
        is_late = task in self._late
        self._late.discard(task)
        if is_late:
            task.uncancel()  # it goes on with the next call
        return is_late

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running:
            self._looks_at = min(self._running.values())
            self._timer = asyncio.get_running_loop().call_at(self._looks_at, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        for task, ends in list(self._running.items()):
            if ends <= now and task not in self._late:
                self._late.add(task)
                self._running[task] = float("inf")
                task.cancel()
        if all(ends == float("inf") for ends in self._running.values()):
            self._timer = None
        else:
            self._wait()
