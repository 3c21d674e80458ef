"""Acts of an officer on a release; a refused try is in the journal before he reads of it."""

from collections.abc import Callable
from typing import TypeVar

from approval import desk
from approval.attempts import attempt
from domain.person import Person
from store.unit import Unit
from web.console import bytes_shown
from web.console.visit import Visit

T = TypeVar("T")


def tried(visit: Visit, act: str, release_id: str, work: Callable[[Unit, Person], T]) -> T:
    """`work` in one transaction with the person as he is in it. Raises what `work` raises."""
    done = attempt(visit.hub.store, visit.in_session(work), act=act, by=visit.person, at=visit.at,
                   release_id=release_id)  # fmt: skip
    return done.result()


def submit(visit: Visit, release_id: str) -> None:
    """Freeze the draft and put it before the approvers. Raises BadInput with all flaws, Refused."""
    frozen = bytes_shown.frozen_of(visit.store, visit.hub, release_id, visit.at)
    tried(
        visit,
        "submit",
        release_id,
        lambda unit, by: desk.submit(unit, release_id, frozen, by=by, at=visit.at),
    )
