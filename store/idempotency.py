"""Answers kept under (client, route, key), written in the transaction of their effect."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.errors import BadInput
from store import bulk
from store import tables as t
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """One POST as its sender named it."""

    client: str
    route: str
    key: str
    fingerprint: str  # SHA-256 of the canonical body


_i = t.idempotency.c
_ANSWERED = sa.select(_i.key, _i.fingerprint, _i.status, _i.body).where(
    _i.client == sa.bindparam("of_client"),
    _i.route == sa.bindparam("of_route"),
    _i.key.in_(sa.bindparam("of_keys", expanding=True)),
)


def replay(unit: Unit, knock: Knock) -> tuple[int, Any] | None:
    """The stored (status, body), or None for a new knock.

    Raises BadInput(idempotency_key_reused) when the key came with another body before.
    """
    found = replays(unit, [knock]).get(knock)
    if isinstance(found, BadInput):
        raise found
    return found


def replays(unit: Unit, knocks: Sequence[Knock]) -> dict[Knock, tuple[int, Any] | BadInput]:
    """What those of them that are not new are answered: the stored (status, body), or the refusal of another body."""
    found: dict[Knock, tuple[int, Any] | BadInput] = {}
    by_door: dict[tuple[str, str], dict[str, list[Knock]]] = {}
    for one in knocks:
        by_door.setdefault((one.client, one.route), {}).setdefault(one.key, []).append(one)
    for (client, route), wanted in by_door.items():
        asked = {"of_client": client, "of_route": route, "of_keys": list(wanted)}
        for row in unit.execute(_ANSWERED, asked):
            for one in wanted[row.key]:
                found[one] = (row.status, row.body) if row.fingerprint == one.fingerprint else _reused()
    return found


def _reused() -> BadInput:
    return BadInput("this Idempotency-Key came with another body before", code="idempotency_key_reused")


def keep(unit: Unit, knock: Knock, status: int, body: Any, at: datetime) -> None:
    """Store the answer; a concurrent twin fails on the primary key and its effect with it."""
    keep_many(unit, [(knock, status, body)], at)


def keep_many(unit: Unit, answers: Sequence[tuple[Knock, int, Any]], at: datetime) -> None:
    """Store answers in one statement; one whose twin was first fails, and all effects with it."""
    rows = [
        {"client": knock.client, "route": knock.route, "key": knock.key, "fingerprint": knock.fingerprint,
         "status": status, "body": body, "created_at": at}
        for knock, status, body in answers
    ]  # fmt: skip
    if bulk.add_new(unit, t.idempotency, rows) < len(rows):
        raise sa.exc.IntegrityError("idempotency", None, ValueError("a twin was first"))
