"""Opens the database and runs closures in it: one writer thread with group commit, readers beside it."""

import asyncio
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from domain.errors import CommitUnknown, HubError, Unavailable
from domain.secrecy import Eyes
from store import durable
from store.engine import WriteLock, open_engine
from store.in_loop import AtOnce, Lane, LoopWriter, Outcomes, Turn, answer, told_here
from store.unit import Unit
from store.vault import Vault

T = TypeVar("T")
Item = TypeVar("Item")

IN_ERROR = 3  # libpq's PQTRANS_INERROR
GROUP = 200  # closures in one commit: LIMITS.md, 50,447 rows/s at 200 against 3,686 at 1
RETRIES = 3  # deadlock, serialization failure or lost connection before COMMIT: nothing was kept yet


@dataclass(frozen=True, slots=True)
class _Job:
    """One closure, or one item for a closure that takes many; and who waits for it."""

    work: Callable[[Unit], Any] | None = None
    many: Callable[[Unit, Sequence[Any]], Sequence[Any]] | None = None
    item: Any = None
    future: "Future[Any] | None" = None
    waiter: "asyncio.Future[Any] | None" = None  # in place of `future`, for who waits inside an event loop

    def run(self, unit: Unit) -> Any:
        """Do it alone."""
        if self.many is not None:
            return self.many(unit, [self.item])[0]
        return self.work(unit) if self.work is not None else None


class Store:
    """The one durable memory. Thread-safe; a process has one."""

    def __init__(
        self, url: str, *, vault: Vault, head_key: bytes, lock_path: Path | None = None,
        on_full: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        """`lock_path`: the file that SQLite writers of several processes take turns on; `on_full` makes room."""
        self._vault = vault
        self._on_full = on_full
        self._has_committed = False
        self.is_shut = False  # the disk failed at our first commit: nothing is written here any more
        self._head_key = head_key
        self._writer = open_engine(url, is_writer=True)
        self._reader = open_engine(url, is_writer=False)
        self._lock = WriteLock(lock_path)
        self._turn = Turn()
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="store-commits")  # of a loop
        self._looped: LoopWriter | None = None
        self._lane: Lane | None = None
        self._at_once: AtOnce | None = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._connection: sa.Connection | None = None
        self._is_gone = False  # it could not be reached of late: whoever waits is told after one more try
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def is_postgres(self) -> bool:
        """Whether several machines may share this store."""
        return self._writer.dialect.name == "postgresql"

    def submit(self, work: Callable[[Unit], T]) -> "Future[T]":
        """Queue `work`; the future resolves after its COMMIT.

        `work` runs SQL only, at most a few milliseconds, and may be run again when nothing was
        committed. It fails with what `work` raised, Unavailable (nothing kept) or CommitUnknown.
        """
        future = _running()
        self._queue(_Job(work=work, future=future))
        return future

    def submit_item(self, many: Callable[[Unit, Sequence[Item]], Sequence[T]], item: Item) -> "Future[T]":
        """Queue one of many alike: `many` runs once for all items that wait for it, and answers one for each.

        Like submit(), and what fails among others is tried again alone: nobody pays for his neighbour.
        """
        future = _running()
        self._queue(_Job(many=many, item=item, future=future))
        return future

    async def item(
        self, many: Callable[[Unit, Sequence[Item]], Sequence[T]], item: Item, *, is_one_statement: bool = False
    ) -> T:  # fmt: skip
        """submit_item() for who waits inside an event loop: all of a batch are woken with one knock at it.

        `is_one_statement`: on PostgreSQL `many` keeps this item with a single statement, and it may be kept again
        without harm; then the loop itself writes it, when it can (store/in_loop.py).
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()
        job = _Job(many=many, item=item, waiter=waiter)
        if is_one_statement and not self._closed and (writer := self._in_loop(loop)) is not None:
            writer.put(job)
        else:
            self._queue(job)
        return await waiter

    def _in_loop(self, loop: asyncio.AbstractEventLoop) -> LoopWriter | None:
        """The writer of this loop; a process has one loop that takes messages, others go through the thread."""
        if self._looped is None or (self._looped.loop is not loop and self._looped.loop.is_closed()):
            if self._lane is not None:
                self._lane.close()
            self._lane = Lane(self._writer.url, self._kept_alike) if self.is_postgres else None
            self._looped = LoopWriter(
                loop,
                self._lane or self._commit_here,
                hand_over=self._queue_all,
                answer=told_here,
                most=GROUP,
            )
        return self._looped if self._looped.loop is loop else None

    def _queue_all(self, jobs: Sequence[_Job]) -> None:
        for job in jobs:
            self._queue(job)

    def _queue(self, job: _Job) -> None:
        if self._closed or self.is_shut:
            answer([job], [(False, Unavailable("the store is closing"))])
        else:
            self._jobs.put(job)

    def run(self, work: Callable[[Unit], T]) -> T:
        """Run `work` whole in a transaction and wait for its commit. One promise."""
        return self.submit(work).result()

    async def done(self, work: Callable[[Unit], T]) -> T:
        """run() for who waits inside an event loop."""
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue(_Job(work=work, waiter=waiter))
        return await waiter

    async def at_once(self, work: Callable[[Unit], T]) -> T | None:
        """Run `work`, which is one statement, on PostgreSQL without any thread; None: it may have been kept, or may still be.

        It must do no harm when it comes late, behind others. A process has one loop that does this, others get None,
        and so does who is on SQLite.
        """
        if self._closed or not self.is_postgres:
            return None
        if self._at_once is None or self._at_once.loop.is_closed():
            if self._at_once is not None:
                self._at_once.close()
            self._at_once = AtOnce(self._writer.url, lambda c, w: w(Unit(c, self._vault, self._head_key)))
        is_ours = self._at_once.loop is asyncio.get_running_loop()
        return await self._at_once(work) if is_ours else None

    def read(self, work: Callable[[Unit], T]) -> T:
        """Run `work` on a connection of its own that sees one committed state and writes nothing."""
        try:
            with self._reader.connect() as connection, connection.begin():
                return work(Unit(connection, self._vault, self._head_key))
        except sa.exc.OperationalError as error:
            raise Unavailable("the database does not answer") from error

    def seen_by(self, eyes: Eyes) -> "SeenStore":
        """The store as these eyes see it: what pages and programs are given."""
        return SeenStore(self, eyes)

    def _failed(self, error: Exception) -> Unavailable:
        """Nothing was kept; whether another try may help depends on the disk."""
        with self._turn:
            self._drop_connection()
        self._meet(error)
        failure = Unavailable("the database does not answer")
        failure.__cause__ = error
        return failure

    def _meet(self, error: Exception) -> None:
        """What the disk's own refusals ask for.

        A commit that could not be made durable ends the process, since what it committed before may be lost
        with it; one that never committed anything shuts the store and goes on with the spool (PROMISES F18).
        """
        if durable.is_full(error):
            self._on_full()
        elif durable.is_broken(error):
            if self._has_committed:
                durable.leave()
            self.is_shut = True

    def close(self) -> None:
        """Finish what is queued and let go."""
        self._closed = True
        self._committer.shutdown()
        for line in (self._lane, self._at_once):
            if line is not None:
                line.close()
        self._jobs.put(None)
        self._thread.join(timeout=10)
        self._writer.dispose()
        self._reader.dispose()

    def _work(self) -> None:
        while True:
            batch, is_last = self._gather()
            if batch:
                self._commit(batch)
            if is_last:
                if self._connection is not None:
                    self._connection.close()
                return

    def _gather(self) -> tuple[list[_Job], bool]:
        """Everything that is waiting, at most GROUP; waits for the first."""
        batch: list[_Job] = []
        while len(batch) < GROUP:
            try:
                job = self._jobs.get() if not batch else self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
        return batch, False

    def _commit(self, batch: list[_Job]) -> None:
        failure: HubError = Unavailable("the database does not answer")
        may_be_one_s_fault = True
        for attempt in range(1 if self._is_gone else RETRIES):
            try:
                outcomes = self._transaction(batch)
            except CommitUnknown as error:
                failure = error
                break
            except _NotTogether:
                break
            except (sa.exc.DBAPIError, OSError) as error:
                failure = self._failed(error)
                time.sleep(random.uniform(0.01, 0.05) * (attempt + 1))  # noqa: S311 (jitter, not a secret)
            except (
                _Gone
            ) as error:  # nobody can be reached: neighbours are in the same case, and who comes next is, too
                failure, may_be_one_s_fault, self._is_gone = self._failed(error.why), False, True
                time.sleep(0 if attempt else random.uniform(0.01, 0.05))  # noqa: S311
            except Unavailable as error:  # the lock is held elsewhere: one by one each would wait for it
                failure, may_be_one_s_fault = error, False
                break
            else:
                answer(batch, outcomes)
                return
        if len(batch) > 1 and may_be_one_s_fault and not isinstance(failure, CommitUnknown):
            for job in batch:  # the others must not pay for it
                self._commit([job])
            return
        answer(batch, [(False, failure)] * len(batch))

    def _transaction(self, batch: list[_Job]) -> list[tuple[bool, Any]]:
        """All of `batch` in one transaction, each in its own savepoint; those alike share one."""
        if self.is_shut:
            raise Unavailable("the disk of the database failed", code="disk_failed")
        with self._turn, self._lock:
            transaction, outcomes = self._begun(batch)
            if transaction is not None:
                self._finish(transaction)
            return outcomes

    def _begun(self, batch: Sequence[_Job]) -> tuple[sa.RootTransaction | None, list[tuple[bool, Any]]]:
        """All of `batch` done and not committed; no transaction when there is nothing to keep."""
        connection = self._connection = self._connection or self._connect()
        transaction = connection.begin()
        try:
            unit = Unit(connection, self._vault, self._head_key)
            outcomes = _outcomes(unit, batch)
        except BaseException:
            transaction.rollback()
            raise
        if not any(is_ok for is_ok, _ in outcomes):
            transaction.rollback()
            return None, outcomes
        if _is_broken(connection):
            transaction.rollback()
            if len(batch) > 1:
                raise _NotTogether
            return None, [(False, RuntimeError("a statement failed and its error was passed over"))]
        return transaction, outcomes

    def _finish(self, transaction: sa.RootTransaction) -> None:
        try:
            transaction.commit()
        except (sa.exc.DBAPIError, OSError) as error:
            if durable.is_full(error):
                raise  # SQLite says so before it keeps anything: tried again once there is room
            self._drop_connection()
            self._meet(error)
            raise CommitUnknown("the database did not answer COMMIT") from error
        self._has_committed = True

    async def _commit_here(self, batch: Sequence[_Job]) -> Outcomes | None:
        """Write to SQLite in this loop; the COMMIT alone, which waits for the disk, is another thread's.

        None when somebody else has the database, or when anything is wrong: nothing was kept.
        """
        if self.is_shut or self._connection is None or not self._turn.taken_now():
            return None
        if not self._lock.entered_now():
            self._turn.release()
            return None
        commit = None
        try:
            transaction, outcomes = self._begun(batch)
            if transaction is not None:
                loop = asyncio.get_running_loop()
                commit = loop.run_in_executor(self._committer, self._finish_here, transaction)
        except Exception:
            self._drop_connection()
        finally:
            if commit is None:
                self._lock.leave()
                self._turn.release()
        if commit is None:
            return None
        try:
            is_kept = await commit
        except CommitUnknown as error:
            return [(False, error)] * len(batch)
        return outcomes if is_kept else None

    def _finish_here(self, transaction: sa.RootTransaction) -> bool:
        """False: nothing was kept."""
        try:
            self._finish(transaction)
        except (sa.exc.DBAPIError, OSError) as error:
            self._drop_connection()
            self._meet(error)
            return False
        finally:
            self._lock.leave()
            self._turn.release()
        return True

    def _kept_alike(self, connection: sa.Connection, batch: Sequence[_Job]) -> Outcomes:
        """A batch of a loop's own line: all alike, or the thread's."""
        if any(job.many != batch[0].many for job in batch):
            raise _NotTogether
        return _outcomes(Unit(connection, self._vault, self._head_key), batch)

    def _connect(self) -> sa.Connection:
        try:
            connection = self._writer.connect()
        except sa.exc.OperationalError as error:
            raise _Gone(error) from error
        self._is_gone = False
        return connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.invalidate()
                connection.close()
            except sa.exc.SQLAlchemyError:
                self._writer.dispose()


@dataclass(frozen=True, slots=True)
class SeenStore:
    """A store whose every unit has the eyes of whoever asks."""

    whole: Store
    eyes: Eyes

    def read(self, work: Callable[[Unit], T]) -> T:
        """Like Store.read()."""
        return self.whole.read(lambda unit: work(unit.seen_by(self.eyes)))

    def run(self, work: Callable[[Unit], T]) -> T:
        """Like Store.run()."""
        return self.submit(work).result()

    def submit(self, work: Callable[[Unit], T]) -> "Future[T]":
        """Like Store.submit()."""
        return self.whole.submit(lambda unit: work(unit.seen_by(self.eyes)))


def _running() -> "Future[Any]":
    """One that a caller who goes away cannot cancel: the job will be committed."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future


class _Gone(Exception):
    """The database cannot be reached."""

    def __init__(self, why: sa.exc.OperationalError) -> None:
        super().__init__()
        self.why = why


class _NotTogether(Exception):
    """One of many alike failed: each is tried again alone."""


def _outcomes(unit: Unit, batch: Sequence[_Job]) -> list[tuple[bool, Any]]:
    """One for each job; what is alike throughout needs no savepoint, since then the whole batch is undone."""
    many = batch[0].many
    if len(batch) == 1:
        return [_alone(unit, batch[0])]
    if many is None or any(job.many != many for job in batch):
        return _together(unit, batch)
    items = [job.item for job in batch]
    outcomes = _tried(lambda: [value for _, value in zip(items, many(unit, items), strict=True)])
    if not all(is_ok for is_ok, _ in outcomes):
        raise _NotTogether
    return outcomes


def _is_broken(connection: sa.Connection) -> bool:
    """Whether a closure passed over an error of PostgreSQL: COMMIT would keep nothing, and raise nothing."""
    if connection.dialect.name != "postgresql":
        return False
    status: Any = connection.connection.dbapi_connection
    return bool(status.info.transaction_status == IN_ERROR)


def _together(unit: Unit, batch: Sequence[_Job]) -> list[tuple[bool, Any]]:
    """One outcome for each job, in the order of `batch`; items of one closure are run where the first stands."""
    alike: dict[Any, list[_Job]] = {}
    for job in batch:
        alike.setdefault(job.many or id(job), []).append(job)
    found: dict[int, tuple[bool, Any]] = {}
    for jobs in alike.values():
        outcomes = _in_savepoint(unit, jobs)
        found.update((id(job), outcome) for job, outcome in zip(jobs, outcomes, strict=True))
    return [found[id(job)] for job in batch]


def _in_savepoint(unit: Unit, jobs: list[_Job]) -> list[tuple[bool, Any]]:
    many, items = jobs[0].many, [job.item for job in jobs]
    savepoint = unit.connection.begin_nested()
    if len(jobs) == 1 or many is None:
        outcomes = [_alone(unit, jobs[0])]
    else:
        outcomes = _tried(lambda: [value for _, value in zip(items, many(unit, items), strict=True)])
    if all(is_ok for is_ok, _ in outcomes):
        savepoint.commit()
        return outcomes
    savepoint.rollback()
    return outcomes if len(jobs) == 1 else [_in_savepoint(unit, [job])[0] for job in jobs]


def _alone(unit: Unit, job: _Job) -> tuple[bool, Any]:
    return _tried(lambda: [job.run(unit)])[0]


def _tried(work: Callable[[], Sequence[Any]]) -> list[tuple[bool, Any]]:
    """(True, value) for each value of `work`, or (False, what it raised)."""
    try:
        return [(True, value) for value in work()]
    except sa.exc.DBAPIError as error:
        if isinstance(error, sa.exc.OperationalError) or error.connection_invalidated:
            raise  # disk full, locked, gone, deadlock: the whole batch is tried again
        return [(False, error)]
    except StopIteration as error:  # no future may bear it
        return [(False, RuntimeError(f"a closure ended with {error!r}"))]
    except Exception as error:
        return [(False, error)]
