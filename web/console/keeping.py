"""Keeps a draft under the key of its form: saved by itself, sent twice or reloaded, it is one draft."""

from collections.abc import Callable
from datetime import datetime

from approval import desk
from domain.errors import Conflict
from domain.person import Person
from domain.release import Draft, Release, State
from store import idempotency, releases
from store.idempotency import Knock
from store.unit import Unit
from web.console.visit import Visit

_ROUTE = "console draft"


def kept_under(unit: Unit, person_id: str, key: str) -> str:
    """The release that this person's form became; '' if none yet."""
    found = idempotency.replay(unit, _knock(person_id, key)) if key else None
    return str(found[1]["release"]) if found else ""


def keep(
    visit: Visit,
    at: datetime,
    draft_of: Callable[[Unit, Person, Draft | None], Draft],
    release_id: str = "",
    *,
    is_auto: bool = False,
) -> Release:
    """Create the draft of the form, or change it when there is one: in `release_id`, or under the form's key.

    An unchanged form changes nothing. Raises BadInput, Conflict when somebody else changed it meanwhile.
    """
    key, revision = visit.form.first("key")[:64], visit.form.number("revision")

    def work(unit: Unit, by: Person) -> Release:
        known = release_id or kept_under(unit, by.id, key)
        before = releases.get(unit, known, lock=True) if known else None
        draft = draft_of(unit, by, before.draft if before else None)
        if before is None:
            made = desk.create(unit, draft, by=by, at=at)
            if key:
                idempotency.keep(unit, _knock(by.id, key), 201, {"release": made.id}, at)
            return made
        if is_auto and before.state not in (State.DRAFT, State.RETURNED):
            raise Conflict("it has been submitted; nothing takes that back by itself", code="release_changed")
        is_same = draft == before.draft and revision in (None, before.revision)
        is_again = is_auto or before.state is State.DRAFT or not release_id
        if is_same and is_again:  # a returned one must become a draft again, and taking back is an act
            return before
        return desk.edit(unit, before.id, draft, by=by, at=at, revision=revision)

    return visit.act(work)


def _knock(person_id: str, key: str) -> Knock:
    return Knock(client=person_id, route=_ROUTE, key=key, fingerprint="")
