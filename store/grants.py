"""Grants of sight: who may see which compartment, by whose leave, until when."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from domain.person import Person
from domain.secrecy import EVERY, Eyes, eyes_of
from store import tables as t
from store.tables_secrecy import sight_grant
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One row."""

    id: str
    holder: str
    compartment: str
    given_by: str
    given_at: datetime
    until: datetime
    reason: str
    withdrawn_by: str = ""
    withdrawn_at: datetime | None = None

    def is_in_force(self, at: datetime) -> bool:
        """Whether it opens anything at that time."""
        return self.withdrawn_at is None and self.until > at


def add(unit: Unit, made: Grant) -> None:
    """Enter a grant."""
    unit.execute(sight_grant.insert(), {
        "id": made.id, "holder": made.holder, "compartment": made.compartment, "given_by": made.given_by,
        "given_at": made.given_at, "until": made.until, "reason": made.reason,
    })  # fmt: skip


def withdraw(unit: Unit, grant_id: str, *, by: str, at: datetime) -> bool:
    """It opens nothing from now on; False when that was so already."""
    g = sight_grant
    in_force = (g.c.id == grant_id, g.c.withdrawn_at.is_(None), g.c.until > at)
    return unit.execute(g.update().where(*in_force).values(withdrawn_by=by, withdrawn_at=at)).rowcount == 1


def get(unit: Unit, grant_id: str) -> Grant | None:
    """One of them."""
    row = unit.row(sa.select(sight_grant).where(sight_grant.c.id == grant_id))
    return _grant(row) if row else None


def newest(unit: Unit, limit: int) -> list[Grant]:
    """The latest, in force or not."""
    g = sight_grant.c
    query = sa.select(sight_grant).order_by(g.given_at.desc(), g.id.desc()).limit(limit)
    return [_grant(row) for row in unit.rows(query)]


def held(unit: Unit, holder: str, at: datetime) -> list[str]:
    """The codes of the compartments that `holder` may see at that time."""
    g = sight_grant.c
    in_force = (g.holder == holder, g.until > at, g.withdrawn_at.is_(None))
    return sorted({row.compartment for row in unit.rows(sa.select(g.compartment).where(*in_force))})


def of_person(unit: Unit, person: Person, at: datetime) -> Eyes:
    """The eyes of somebody who is logged in."""
    return eyes_of(person, held(unit, person.id, at) if person.is_active else ())


def of_key(unit: Unit, key_id: str, person: Person | None, at: datetime) -> Eyes:
    """The eyes of a program: its own grants, and of those only its person's where it has one."""
    own = eyes_of(None, held(unit, key_id, at))
    theirs = of_person(unit, person, at).granted if person else EVERY
    return Eyes(granted=own.granted & theirs)


def of_webhooks(unit: Unit, webhooks: Iterable[str], at: datetime) -> dict[str, Eyes]:
    """The eyes of addresses that are called."""
    return {name: eyes_of(None, held(unit, name, at)) for name in webhooks}


def holders(unit: Unit) -> list[tuple[str, str, str]]:
    """(id, kind, name) of all who may be given one: people and keys in force; addresses bear their organisation."""
    p, k, w = t.person.c, t.api_key.c, t.webhook.c
    people = sa.select(p.id, sa.literal("person").label("kind"), p.name).where(p.is_active.is_(sa.true()))
    keys = sa.select(k.id, sa.literal("key"), k.name).where(k.revoked_at.is_(None))
    called = sa.select(w.id, sa.literal("webhook"), w.organisation).where(w.state != "removed")
    return [(row.id, row.kind, row.name) for row in unit.rows(sa.union_all(people, keys, called))]


def _grant(row: sa.Row[tuple[object, ...]]) -> Grant:
    return Grant(
        id=row.id, holder=row.holder, compartment=row.compartment, given_by=row.given_by, given_at=row.given_at,
        until=row.until, reason=row.reason, withdrawn_by=row.withdrawn_by or "", withdrawn_at=row.withdrawn_at,
    )  # fmt: skip
