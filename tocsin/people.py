"""Adding people and keys from the command line."""

import secrets
from collections.abc import Iterable
from datetime import datetime

from argon2 import PasswordHasher

from domain.errors import Refused
from domain.handling import Mode
from domain.ids import mint
from domain.person import Person, Role, Scope
from store import journal, people
from store.database import Store
from store.unit import Unit

SCOPES = {
    Role.OFFICER: (Scope.REPORT, Scope.READ, Scope.DESK, Scope.RELEASE),
    Role.LEADER: (Scope.READ, Scope.DESK),
    Role.APPROVER: (Scope.READ, Scope.DESK, Scope.RELEASE, Scope.APPROVE),
    Role.ADMIN: (Scope.READ,),
    Role.AUDITOR: (Scope.READ,),
    Role.FIELD: (),
    Role.SECURITY: (Scope.READ,),
}


def add_person(
    store: Store,
    login: str,
    name: str,
    roles: Iterable[Role],
    *,
    organisation: str,
    password: str,
    at: datetime,
) -> Person:
    """Add a person with a password ('' = one-time links only). Raises Refused when the login is taken."""
    person = Person(id=mint("per", at), name=name, organisation=organisation, roles=frozenset(roles))
    hashed = PasswordHasher().hash(password) if password else ""

    def work(unit: Unit) -> None:
        if not people.add(unit, person, login=login, password_hash=hashed, at=at):
            raise Refused("this login is taken", code="login_taken")
        detail = {"login": login, "roles": sorted(r.value for r in person.roles)}
        journal.append(unit, "person", person.id, "add", by="command", at=at, detail=detail)

    store.run(work)
    return person


def new_key(
    store: Store,
    mode: Mode,
    name: str,
    *,
    organisation: str,
    scopes: Iterable[Scope],
    at: datetime,
    person: Person | None = None,
    token: str = "",
) -> str:
    """Make an API key; it is shown once and stored as a hash. `token` re-enters a known demo key."""
    kind = "live" if mode is Mode.LIVE else "test"
    token = token or f"tocsin_{kind}_{secrets.token_urlsafe(32)}"
    held = list(scopes)

    def work(unit: Unit) -> None:
        if people.key(unit, token) is not None:
            return
        key_id = mint("key", at)
        people.add_key(
            unit, key_id, token, name=name, organisation=organisation,
            person_id=person.id if person else None, scopes=held, at=at,
        )  # fmt: skip
        journal.append(unit, "key", key_id, "add", by="command", at=at, detail={"name": name})

    store.run(work)
    return token


def new_link(store: Store, person: Person, *, expires: datetime) -> str:
    """A one-time login token for a person."""
    token = secrets.token_urlsafe(32)
    store.run(lambda unit: people.add_link(unit, token, person.id, expires))
    return token
