"""What bears a mark of secrecy: whether any is held, and who is told of it."""

from collections.abc import Callable, Collection, Iterable

from domain.person import Person, Role
from hub.health import Trouble
from store import purges
from store.database import Store

FOR_SECURITY = frozenset({Trouble.SECRET_HELD})  # to anybody else it would tell that there is something


def is_empty(store: Store) -> Callable[[], bool]:
    """What health asks."""
    return lambda: not store.read(purges.is_any_held)


def told(troubles: Iterable[Trouble], person: Person | None) -> Collection[Trouble]:
    """The troubles that this person is told of; with nobody, those that a balancer may hear."""
    is_guard = person is not None and Role.SECURITY in person.roles
    return [one for one in troubles if is_guard or one not in FOR_SECURITY]
