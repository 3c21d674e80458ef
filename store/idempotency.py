"""Answers kept under (client, route, key), written in the transaction of their effect."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.errors import BadInput
from store import tables as t
from store.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """One POST as its sender named it."""

    client: str
    route: str
    key: str
    fingerprint: str  # SHA-256 of the canonical body


def replay(unit: Unit, knock: Knock) -> tuple[int, Any] | None:
    """The stored (status, body), or None for a new knock.

    Raises BadInput(idempotency_key_reused) when the key came with another body before.
    """
    i = t.idempotency.c
    row = unit.row(
        sa.select(i.fingerprint, i.status, i.body).where(
            i.client == knock.client, i.route == knock.route, i.key == knock.key
        )
    )
    if row is None:
        return None
    if row.fingerprint != knock.fingerprint:
        raise BadInput("this Idempotency-Key came with another body before", code="idempotency_key_reused")
    return row.status, row.body


def keep(unit: Unit, knock: Knock, status: int, body: Any, at: datetime) -> None:
    """Store the answer; a concurrent twin fails on the primary key and its effect with it."""
    unit.execute(
        t.idempotency.insert(),
        {
            "client": knock.client,
            "route": knock.route,
            "key": knock.key,
            "fingerprint": knock.fingerprint,
            "status": status,
            "body": body,
            "created_at": at,
        },
    )
