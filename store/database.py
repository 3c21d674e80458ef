"""Opens the database and runs closures in it: one writer thread with group commit, readers beside it."""

import queue
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from domain.errors import CommitUnknown, HubError, Unavailable
from store.engine import WriteLock, open_engine
from store.unit import Unit
from store.vault import Vault

T = TypeVar("T")

GROUP = 200  # closures in one commit: LIMITS.md, 50,447 rows/s at 200 against 3,686 at 1
RETRIES = 3  # deadlock, serialization failure or lost connection before COMMIT: nothing was kept yet


class Store:
    """The one durable memory. Thread-safe; a process has one."""

    def __init__(self, url: str, *, vault: Vault, head_key: bytes, lock_path: Path | None = None) -> None:
        """`lock_path`: the file that SQLite writers of several processes take turns on."""
        self._vault = vault
        self._head_key = head_key
        self._writer = open_engine(url, is_writer=True)
        self._reader = open_engine(url, is_writer=False)
        self._lock = WriteLock(lock_path)
        self._jobs: queue.SimpleQueue[tuple[Callable[[Unit], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._connection: sa.Connection | None = None
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
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # a caller that goes away must not cancel what will be committed
        if self._closed:
            future.set_exception(Unavailable("the store is closing"))
        else:
            self._jobs.put((work, future))
        return future

    def run(self, work: Callable[[Unit], T]) -> T:
        """Run `work` whole in a transaction and wait for its commit. One promise."""
        return self.submit(work).result()

    def read(self, work: Callable[[Unit], T]) -> T:
        """Run `work` on a connection of its own that sees one committed state and writes nothing."""
        try:
            with self._reader.connect() as connection, connection.begin():
                return work(Unit(connection, self._vault, self._head_key))
        except sa.exc.OperationalError as error:
            raise Unavailable("the database does not answer") from error

    def close(self) -> None:
        """Finish what is queued and let go."""
        self._closed = True
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

    def _gather(self) -> tuple[list[tuple[Callable[[Unit], Any], Future[Any]]], bool]:
        """Everything that is waiting, at most GROUP; waits for the first."""
        batch: list[tuple[Callable[[Unit], Any], Future[Any]]] = []
        while len(batch) < GROUP:
            try:
                job = self._jobs.get() if not batch else self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
        return batch, False

    def _commit(self, batch: list[tuple[Callable[[Unit], Any], Future[Any]]]) -> None:
        failure: HubError = Unavailable("the database does not answer")
        may_be_one_s_fault = True
        for attempt in range(RETRIES):
            try:
                outcomes = self._transaction([work for work, _ in batch])
            except CommitUnknown as error:
                failure = error
                break
            except (sa.exc.DBAPIError, OSError) as error:
                self._drop_connection()
                failure = Unavailable("the database does not answer")
                failure.__cause__ = error
                time.sleep(random.uniform(0.01, 0.05) * (attempt + 1))  # noqa: S311 (jitter, not a secret)
            except Unavailable as error:  # the lock is held elsewhere: one by one each would wait for it
                failure, may_be_one_s_fault = error, False
                break
            else:
                for (_, future), (is_ok, value) in zip(batch, outcomes, strict=True):
                    future.set_result(value) if is_ok else future.set_exception(value)
                return
        if len(batch) > 1 and may_be_one_s_fault and not isinstance(failure, CommitUnknown):
            for job in batch:  # the others must not pay for it
                self._commit([job])
            return
        for _, future in batch:
            future.set_exception(failure)

    def _transaction(self, works: list[Callable[[Unit], Any]]) -> list[tuple[bool, Any]]:
        """All of `works` in one transaction, each in its own savepoint."""
        with self._lock:
            connection = self._connection or self._writer.connect()
            self._connection = connection
            transaction = connection.begin()
            try:
                unit = Unit(connection, self._vault, self._head_key)
                outcomes = [self._one(unit, work) for work in works]
            except BaseException:
                transaction.rollback()
                raise
            try:
                transaction.commit()
            except (sa.exc.DBAPIError, OSError) as error:
                self._drop_connection()
                raise CommitUnknown("the database did not answer COMMIT") from error
            return outcomes

    @staticmethod
    def _one(unit: Unit, work: Callable[[Unit], Any]) -> tuple[bool, Any]:
        savepoint = unit.connection.begin_nested()
        try:
            value = work(unit)
        except sa.exc.DBAPIError as error:
            if isinstance(error, sa.exc.OperationalError) or error.connection_invalidated:
                raise  # disk full, locked, gone, deadlock: the whole batch is tried again
            savepoint.rollback()
            return False, error
        except Exception as error:
            savepoint.rollback()
            return False, error
        savepoint.commit()
        return True, value

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.invalidate()
                connection.close()
            except sa.exc.SQLAlchemyError:
                self._writer.dispose()
