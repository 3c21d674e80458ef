"""Tries that were refused are written down too, though the act itself left nothing."""

from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import TypeVar

from domain.errors import HubError, Refused, Tampered
from domain.person import Person
from store import journal
from store.database import SeenStore, Store
from store.unit import Unit

T = TypeVar("T")


def note_refusal(unit: Unit, release_id: str, act: str, *, by: str, at: datetime, code: str) -> None:
    """Journal that `act` was tried and refused; under the person where there is no release yet."""
    kind, entity = ("release", release_id) if release_id else ("person", by)
    journal.append(unit, kind, entity, "refused", by=by, at=at, detail={"act": act, "code": code})


def attempt(
    store: Store | SeenStore,
    work: Callable[[Unit], T],
    *,
    act: str,
    by: Person,
    at: datetime,
    release_id: str = "",
) -> "Future[T]":
    """`work` in one transaction; if it is refused, the refusal in a second one, and only then the error.

    The future resolves when either is committed: ``await asyncio.wrap_future(attempt(...))`` or
    ``attempt(...).result()``. Refused and Tampered are written down; NotFound and BadInput are no tries at
    what one may not do. When the note cannot be kept the caller still gets the first error.
    """
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # a caller who leaves does not take the answer of the writer with him

    def note(error: HubError) -> None:
        kept = store.submit(
            lambda unit: note_refusal(unit, release_id, act, by=by.id, at=at, code=error.code)
        )
        kept.add_done_callback(lambda _: outcome.set_exception(error))

    def settle(done: "Future[T]") -> None:
        error = done.exception()
        if error is None:
            outcome.set_result(done.result())
        elif isinstance(error, Refused | Tampered):
            note(error)
        else:
            outcome.set_exception(error)

    store.submit(work).add_done_callback(settle)
    return outcome
