"""Persons, their sessions, keys and one-time links. Secrets are stored as hashes only."""

import hashlib
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from domain.errors import NotFound
from domain.person import Person, Role, Scope
from store import tables as t
from store.unit import Unit


def token_hash(token: str) -> str:
    """What is stored of a random 256-bit token; no salt is needed at that length."""
    return hashlib.sha256(token.encode()).hexdigest()


def add(unit: Unit, person: Person, *, login: str, password_hash: str, at: datetime) -> bool:
    """Add a person; False if the login or id is taken."""
    row = {
        "id": person.id, "login": login, "name": person.name, "organisation": person.organisation,
        "roles": sorted(r.value for r in person.roles), "language": person.language,
        "password": password_hash, "is_active": person.is_active, "created_at": at,
    }  # fmt: skip
    return unit.add_once(t.person, row)


def get(unit: Unit, person_id: str) -> Person:
    """The person. Raises NotFound."""
    row = unit.row(sa.select(t.person).where(t.person.c.id == person_id))
    if row is None:
        raise NotFound("no such person")
    return _person(row)


def by_login(unit: Unit, login: str) -> tuple[Person, str] | None:
    """The person and the stored password hash."""
    row = unit.row(sa.select(t.person).where(t.person.c.login == login))
    return (_person(row), row.password) if row else None


def everyone(unit: Unit) -> list[tuple[str, Person]]:
    """(login, person) of all, by login."""
    return [(row.login, _person(row)) for row in unit.rows(sa.select(t.person).order_by(t.person.c.login))]


def set_active(unit: Unit, login: str, *, is_active: bool) -> bool:
    """Switch an account; ends its sessions when switched off."""
    person = sa.select(t.person.c.id).where(t.person.c.login == login)
    if not is_active:
        unit.execute(t.session.delete().where(t.session.c.person.in_(person)))
    update = t.person.update().where(t.person.c.login == login).values(is_active=is_active)
    return unit.execute(update).rowcount == 1


def set_password(unit: Unit, login: str, password_hash: str) -> bool:
    """Change the password; every session of the person ends."""
    person = sa.select(t.person.c.id).where(t.person.c.login == login)
    unit.execute(t.session.delete().where(t.session.c.person.in_(person)))
    update = t.person.update().where(t.person.c.login == login).values(password=password_hash)
    return unit.execute(update).rowcount == 1


def open_session(
    unit: Unit, token: str, person_id: str, csrf: str, *, at: datetime, lasts: timedelta
) -> None:
    """Start a session for a freshly made random token."""
    row = {"token_hash": token_hash(token), "person": person_id, "csrf": csrf,
           "created_at": at, "seen_at": at, "expires_at": at + lasts}  # fmt: skip
    unit.execute(t.session.insert(), row)


def session(unit: Unit, token: str, at: datetime) -> tuple[Person, str] | None:
    """(person, csrf token) of a session in force, or None."""
    s = t.session.c
    query = sa.select(t.person, s.csrf).join(t.session, s.person == t.person.c.id)
    row = unit.row(query.where(s.token_hash == token_hash(token), s.expires_at > at, t.person.c.is_active))
    return (_person(row), row.csrf) if row else None


def session_ends(unit: Unit, token: str) -> datetime | None:
    """When a session ends by itself."""
    s = t.session.c
    found: datetime | None = unit.scalar(sa.select(s.expires_at).where(s.token_hash == token_hash(token)))
    return found


def close_session(unit: Unit, token: str) -> None:
    """End a session at once."""
    unit.execute(t.session.delete().where(t.session.c.token_hash == token_hash(token)))


def end_sessions(unit: Unit, person_id: str) -> int:
    """End all of a person's at once; how many there were. Links that wait to be used are used up with them."""
    unit.execute(
        t.login_link.delete().where(t.login_link.c.person == person_id, t.login_link.c.used_at.is_(None))
    )
    return unit.execute(t.session.delete().where(t.session.c.person == person_id)).rowcount


def sessions(unit: Unit, at: datetime) -> dict[str, tuple[datetime, datetime]]:
    """person -> since when and until when he is in, of those who are; of several the one that lasts longest."""
    s = t.session.c
    query = sa.select(
        s.person, sa.func.min(s.created_at).label("since"), sa.func.max(s.expires_at).label("until")
    )
    rows = unit.rows(query.where(s.expires_at > at).group_by(s.person))
    return {row.person: (row.since, row.until) for row in rows}


def add_link(unit: Unit, token: str, person_id: str, expires: datetime) -> None:
    """Keep a one-time login link."""
    unit.execute(
        t.login_link.insert(),
        {"token_hash": token_hash(token), "person": person_id, "expires_at": expires},
    )


def use_link(unit: Unit, token: str, at: datetime) -> Person | None:
    """Consume a link by compare-and-set; None if it is unknown, used or over."""
    link = t.login_link
    mine = link.c.token_hash == token_hash(token)
    update = link.update().where(mine, link.c.used_at.is_(None), link.c.expires_at > at).values(used_at=at)
    if unit.execute(update).rowcount != 1:
        return None
    return get(unit, unit.scalar(sa.select(link.c.person).where(mine)))


def add_key(
    unit: Unit, key_id: str, token: str, *, name: str, organisation: str, person_id: str | None,
    scopes: Iterable[Scope], at: datetime,
) -> None:  # fmt: skip
    """Keep an API key as its hash."""
    row = {
        "id": key_id, "key_hash": token_hash(token), "name": name, "organisation": organisation,
        "person": person_id, "scopes": sorted(s.value for s in scopes), "created_at": at,
    }  # fmt: skip
    unit.execute(t.api_key.insert(), row)


def has_key(unit: Unit, key_id: str) -> bool:
    """Whether an API key has this id, in force or not."""
    return unit.row(sa.select(t.api_key.c.id).where(t.api_key.c.id == key_id)) is not None


def key(unit: Unit, token: str) -> sa.Row[Any] | None:
    """The row of an API key in force (id, name, organisation, person, scopes), or None."""
    k = t.api_key.c
    return unit.row(sa.select(t.api_key).where(k.key_hash == token_hash(token), k.revoked_at.is_(None)))


def keys_in_force(unit: Unit, hashes: Collection[str]) -> set[str]:
    """Those of these stored hashes whose key, and the person behind it, may still act."""
    k, p = t.api_key.c, t.person.c
    query = (
        sa.select(k.key_hash)
        .outerjoin(t.person, p.id == k.person)
        .where(k.key_hash.in_(list(hashes)), k.revoked_at.is_(None))
        .where(sa.or_(k.person.is_(None), p.is_active))
    )
    return {row.key_hash for row in unit.rows(query)}


def failures(unit: Unit, bucket: str) -> tuple[int, datetime | None]:
    """Failed logins of an account or address in a row, and the last one."""
    row = unit.row(sa.select(t.login_failure).where(t.login_failure.c.bucket == bucket))
    return (row.failures, row.last_at) if row else (0, None)


def count_failure(unit: Unit, bucket: str, at: datetime) -> None:
    """Add one failed login."""
    f = t.login_failure
    if not unit.add_once(f, {"bucket": bucket, "failures": 1, "last_at": at}):
        unit.execute(f.update().where(f.c.bucket == bucket).values(failures=f.c.failures + 1, last_at=at))


def forget_failures(unit: Unit, bucket: str) -> None:
    """A login succeeded."""
    unit.execute(t.login_failure.delete().where(t.login_failure.c.bucket == bucket))


def _person(row: sa.Row[Any]) -> Person:
    return Person(
        id=row.id,
        name=row.name,
        organisation=row.organisation,
        roles=frozenset(Role(r) for r in row.roles),
        language=row.language,
        is_active=row.is_active,
    )
