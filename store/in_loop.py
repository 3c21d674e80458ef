"""What an event loop writes itself, messages it took or steps of its calls: no thread beside it wants the same interpreter.

A door's loop and a thread that writes for it hand the interpreter to and fro at every system call, which costs more than
the rows (decision 0027). So the loop itself writes what it took; for the disk, or for PostgreSQL, it waits like for
any peer. Whatever does not go well at once is the writer thread's: it knows what to do about each failure.
"""

import asyncio
import contextlib
import logging
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from store.engine import server_options

TURNS = 8  # of the loop, after the first message of a batch: others that have all but arrived come along
MOST_TURNS = 100  # while every one of them brings more
PATIENCE_SECONDS = 5.0  # for PostgreSQL's answer to one statement
AGAIN_SECONDS = 1.0  # before it is dialled again
Outcomes = Sequence[tuple[bool, Any]]
_log = logging.getLogger(__name__)


class Commit(Protocol):
    """What makes a batch durable in the loop that calls; None: it was not kept here, and the thread shall see to it."""

    async def __call__(self, batch: Sequence[Any], /) -> Outcomes | None: ...


class Turn:
    """Whose the writer's connection is: the thread's, which waits for it, or a loop's, which takes it when nobody waits."""

    def __init__(self) -> None:
        self._lock, self._is_wanted = threading.Lock(), False

    def __enter__(self) -> None:
        self._is_wanted = True
        self._lock.acquire()
        self._is_wanted = False

    def __exit__(self, *_: object) -> None:
        self.release()

    def taken_now(self) -> bool:
        """False when it is somebody's, or wanted by the thread."""
        return not self._is_wanted and self._lock.acquire(blocking=False)

    def release(self) -> None:
        """Give it back; whoever took it, another thread may do that."""
        self._lock.release()


class LoopWriter:
    """The batches of one event loop, one at a time: what arrives while one is made durable is the next."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, commit: Commit, *,
        hand_over: Callable[[Sequence[Any]], None], answer: Callable[[Sequence[Any], Outcomes], object], most: int,
    ) -> None:  # fmt: skip
        """`hand_over` gives jobs to the writer thread, `answer` tells who waits; `most` jobs are a batch."""
        self.loop = loop
        self._commit, self._hand_over, self._answer, self._most = commit, hand_over, answer, most
        self._waiting: list[Any] = []
        self._batch: list[Any] = []
        self._task: asyncio.Task[None] | None = None

    def put(self, job: Any) -> None:
        """Take a job; only in the loop itself."""
        self._waiting.append(job)
        if self._task is None:
            self._task = self.loop.create_task(self._write())
            self._task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """With nothing left; or the loop ends: the thread keeps the rest, whether or not somebody still waits."""
        self._task = None
        left, self._batch, self._waiting = [*self._batch, *self._waiting], [], []
        self._hand_over(left)
        if not task.cancelled():
            task.exception()  # looked at: what it was, the thread will meet again

    async def _write(self) -> None:
        await self._gather()
        while self._waiting:
            self._batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            outcomes = await self._commit(self._batch)
            batch, self._batch = self._batch, []
            if outcomes is None:
                self._hand_over(batch)
            else:
                self._answer(batch, outcomes)

    async def _gather(self) -> None:
        for turn in range(MOST_TURNS):
            before = len(self._waiting)
            await asyncio.sleep(0)
            if len(self._waiting) >= self._most or (turn >= TURNS and len(self._waiting) == before):
                return


class Lane:
    """A connection to PostgreSQL of one event loop's own, on which each statement is a transaction."""

    def __init__(self, url: sa.URL, run: Callable[[sa.Connection, Sequence[Any]], Outcomes]) -> None:
        """`run` writes a batch with one statement, which may be said again without harm."""
        engine = create_async_engine(
            url.set(drivername="postgresql+psycopg_async"), poolclass=sa.pool.NullPool,
            isolation_level="AUTOCOMMIT", connect_args={"options": server_options(), "connect_timeout": 3},
        )  # fmt: skip
        self._engine, self._run = engine, run
        self._connection: AsyncConnection | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._next_dial = 0.0

    async def __call__(self, batch: Sequence[Any]) -> Outcomes | None:
        """Its outcomes once they are durable, None if that is not known. While there is no line, nobody waits for one."""
        connection = self._connection
        if connection is None:
            self._dial()
            return None
        asked = asyncio.get_running_loop().create_task(connection.run_sync(self._whole, batch))
        done, _ = await asyncio.wait((asked,), timeout=PATIENCE_SECONDS)
        if not done:  # the driver has the server end it, and closes the line; nobody waits for that
            self._connection = None
            asked.add_done_callback(lambda _: _hang_up(connection))
            asked.cancel()
            return None
        if (error := asked.exception()) is not None:
            if not (isinstance(error, sa.exc.DBAPIError) and _is_daily(error)):
                _log.warning("a statement of a loop's own line failed", exc_info=error)
            self.close()  # what the server has finished is found by its key
            return None
        outcomes = asked.result()
        return outcomes if all(is_ok for is_ok, _ in outcomes) else None

    def _whole(self, connection: sa.Connection, batch: Sequence[Any]) -> Outcomes:
        try:
            return self._run(connection, batch)
        finally:
            if connection.in_transaction():
                connection.rollback()  # of SQLAlchemy's own mind: the server has none open

    def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        if self._dialling is None and loop.time() >= self._next_dial:
            self._next_dial = loop.time() + AGAIN_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 (jitter, not a secret)
            self._dialling = loop.create_task(self._dialled())

    async def _dialled(self) -> None:
        try:
            with contextlib.suppress(sa.exc.DBAPIError, OSError):
                self._connection = await self._engine.connect()
        finally:
            self._dialling = None

    def close(self) -> None:
        """Let the line go without a word, from any thread: the loop may have ended."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _hang_up(connection)


def _is_daily(error: sa.exc.DBAPIError) -> bool:
    """A server that is gone or busy, which the writer's thread meets as well; all else is a mistake of ours."""
    return error.connection_invalidated or isinstance(error, sa.exc.OperationalError)


class AtOnce:
    """Single statements of one event loop, each a transaction of its own on the loop's own line, one after the other."""

    def __init__(self, url: sa.URL, do: Callable[[sa.Connection, Any], Any]) -> None:
        """`do(connection, work)` runs one."""
        self.loop = asyncio.get_running_loop()
        self._lane = Lane(url, lambda connection, batch: [(True, do(connection, work)) for work in batch])
        self._turn = asyncio.Lock()

    async def __call__(self, work: Any) -> Any:
        """What it answers; None when that is not known: it may have been kept, or may still be."""
        async with self._turn:
            outcomes = await self._lane([work])
        return None if outcomes is None else outcomes[0][1]

    def close(self) -> None:
        """Let the line go."""
        self._lane.close()


def _hang_up(connection: AsyncConnection) -> None:
    line = connection.sync_connection
    if line is not None and not line.invalidated:
        driver: Any = line.connection.driver_connection
        line.detach()  # or its pool would say that nobody gave it back
        driver.pgconn.finish()


def answer(batch: Sequence[Any], outcomes: Outcomes) -> None:
    """Tell everybody who waits; those in one event loop together."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], bool, Any]]] = {}
    for job, (is_ok, value) in zip(batch, outcomes, strict=True):
        if job.waiter is not None:
            loops.setdefault(job.waiter.get_loop(), []).append((job.waiter, is_ok, value))
        elif job.future is not None:
            job.future.set_result(value) if is_ok else job.future.set_exception(value)
    for loop, told in loops.items():
        with contextlib.suppress(RuntimeError):  # it has closed: nobody waits any more
            loop.call_soon_threadsafe(_wake, told)


def told_here(batch: Sequence[Any], outcomes: Sequence[tuple[bool, Any]]) -> None:
    """Tell who waits in this loop."""
    _wake([
        (job.waiter, is_ok, value)
        for job, (is_ok, value) in zip(batch, outcomes, strict=True)
        if job.waiter is not None
    ])  # fmt: skip


def _wake(told: Sequence[tuple["asyncio.Future[Any]", bool, Any]]) -> None:
    for waiter, is_ok, value in told:
        if not waiter.done():
            waiter.set_result(value) if is_ok else waiter.set_exception(value)
