"""The rows of webhooks and of the calls to them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from domain.ids import mint
from domain.webhook import CALLS, WEBHOOKS, CallState, WebhookState
from store import grants, stream
from store import tables as t
from store.stream import Cursor
from store.tables_webhooks import webhook, webhook_call, webhook_cursor
from store.unit import Unit
from store.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An address with its secrets; the second signs besides the first while a receiver changes over."""

    id: str
    organisation: str
    url: str
    secrets: tuple[str, ...]
    state: WebhookState
    failing_since: datetime | None
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, of which the next try is this process's."""

    id: str
    webhook: str
    about: str  # the report, '' for a trial
    body: bytes
    tries: int


def add(unit: Unit, organisation: str, url: str, secret: str, at: datetime) -> str:
    """Enter an address; its id."""
    made = mint("whk", at)
    key, wrapped = unit.vault.new_key(made)
    Vault.keep_keys(unit.connection, {made: wrapped})
    unit.execute(webhook.insert(), {
        "id": made, "organisation": organisation, "url": key.seal("webhook.url", url.encode()),
        "secret": key.seal("webhook.secret", secret.encode()), "state": WebhookState.ACTIVE.value,
        "created_at": at, "changed_at": at,
    })  # fmt: skip
    return made


def get(unit: Unit, webhook_id: str, at: datetime) -> Webhook | None:
    """One of them, with the secrets that sign at that time."""
    row = unit.row(sa.select(webhook).where(webhook.c.id == webhook_id))
    return _opened(unit, row, at) if row else None


def of(unit: Unit, organisation: str, at: datetime) -> list[Webhook]:
    """Those of an organisation that have not been removed."""
    w = webhook.c
    is_there = (w.organisation == organisation, w.state != WebhookState.REMOVED.value)
    return [_opened(unit, row, at) for row in unit.rows(sa.select(webhook).where(*is_there).order_by(w.id))]


def rotate(unit: Unit, webhook_id: str, secret: str, *, until: datetime, at: datetime) -> None:
    """A new secret signs from now on; the old one besides, until `until`."""
    row = unit.row(sa.select(webhook.c.secret).where(webhook.c.id == webhook_id))
    assert row is not None  # noqa: S101 (the caller has just read it in this transaction)
    sealed = unit.vault.key(unit.connection, webhook_id).seal("webhook.secret", secret.encode())
    values = {"secret": sealed, "secret_before": row.secret, "rotates_at": until, "changed_at": at}
    unit.execute(webhook.update().where(webhook.c.id == webhook_id).values(values))


def move(unit: Unit, before: Webhook, action: str, at: datetime, *, reason: str = "") -> bool:
    """Compare-and-set of its state; False if another was first. A removed one's secrets are destroyed."""
    after = WEBHOOKS.after(before.state, action)
    values = {"state": after.value, "reason": reason, "changed_at": at, "failing_since": None}
    w = webhook.c
    is_seen = (w.id == before.id, w.state == before.state.value)
    if unit.execute(webhook.update().where(*is_seen).values(values)).rowcount != 1:
        return False
    if after is WebhookState.REMOVED:
        unit.execute(
            webhook.update().where(w.id == before.id).values(secret=b"", secret_before=None, url=b"")
        )
    return True


def failed(unit: Unit, webhook_id: str, at: datetime) -> datetime:
    """Since when it has failed without a success."""
    w = webhook.c
    unit.execute(
        webhook.update().where(w.id == webhook_id, w.failing_since.is_(None)).values(failing_since=at)
    )
    found = unit.scalar(sa.select(w.failing_since).where(w.id == webhook_id))
    return found if isinstance(found, datetime) else at


def failing(unit: Unit, since: datetime) -> list[str]:
    """Those still called that have not answered since then."""
    w = webhook.c
    is_failing = (
        w.state == WebhookState.ACTIVE.value,
        w.failing_since.is_not(None),
        w.failing_since <= since,
    )
    return [row.id for row in unit.rows(sa.select(w.id).where(*is_failing))]


def succeeded(unit: Unit, webhook_id: str) -> None:
    """It answered."""
    w = webhook.c
    unit.execute(
        webhook.update().where(w.id == webhook_id, w.failing_since.is_not(None)).values(failing_since=None)
    )


def are_well(unit: Unit) -> bool:
    """Whether none has been disabled."""
    query = sa.select(webhook.c.id).where(webhook.c.state == WebhookState.DISABLED.value).limit(1)
    return unit.row(query) is None


def unread(unit: Unit, limit: int) -> list[sa.Row[Any]]:
    """The journal after the cursor, which is locked; a first reader begins at the end."""
    row = unit.row(unit.locked(sa.select(webhook_cursor)))
    if row is None:
        begun = stream.head(unit)
        unit.add_once(webhook_cursor, {"one": 1, "xid": begun.xid, "seq": begun.seq})
        return []
    return stream.after(unit, Cursor(row.xid, row.seq), limit)


def has_news(unit: Unit) -> bool:
    """Whether the journal goes on beyond the cursor, or there is no cursor yet."""
    row = unit.row(sa.select(webhook_cursor))
    return row is None or bool(stream.after(unit, Cursor(row.xid, row.seq), 1))


def read_to(unit: Unit, cursor: Cursor) -> None:
    """The journal has been read up to there."""
    unit.execute(webhook_cursor.update().values(xid=cursor.xid, seq=cursor.seq))


def listening(
    unit: Unit, report_ids: Sequence[str], at: datetime
) -> dict[str, list[tuple[str, str, datetime]]]:  # fmt: skip
    """report -> (webhook, code of the report, since when it listens), for the departments that sent them.

    Of a compartment only those hear that were given sight of it.
    """
    w, r = webhook.c, t.report_row.c
    query = (
        sa.select(r.id, r.code, r.compartments, w.id.label("webhook"), w.created_at)
        .join(webhook, sa.and_(w.organisation == r.organisation, w.state == WebhookState.ACTIVE.value))
        .where(r.id.in_(report_ids), r.organisation != "")
    )
    found: dict[str, list[tuple[str, str, datetime]]] = {}
    rows = unit.rows(query)
    eyes = grants.of_webhooks(unit, {row.webhook for row in rows if row.compartments}, at)
    for row in rows:
        if not row.compartments or eyes[row.webhook].see(row.compartments):
            found.setdefault(row.id, []).append((row.webhook, row.code, row.created_at))
    return found


def may_hear(unit: Unit, mine: Call, at: datetime) -> bool:
    """Whether the report that a promised call tells of still exists for that address."""
    lies_in = unit.scalar(sa.select(t.report_row.c.compartments).where(t.report_row.c.id == mine.about)) or 0
    return not lies_in or grants.of_webhooks(unit, [mine.webhook], at)[mine.webhook].see(lies_in)


def expect(
    unit: Unit, webhook_id: str, entry: str, body: Mapping[str, Any], at: datetime, *, about: str = ""
) -> str:  # fmt: skip
    """Promise a call, once for each entry; its id, '' for a repeat."""
    row = {
        "about": about,
        "id": mint("whc", at), "webhook": webhook_id, "entry": entry, "state": CallState.PENDING.value, "next_due": at,
        "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(), "created_at": at, "changed_at": at,
    }  # fmt: skip
    return str(row["id"]) if unit.add_once(webhook_call, row) else ""


def due(unit: Unit, at: datetime, limit: int = 100) -> list[str]:
    """Calls to be tried now, the longest waiting first; those of a disabled address wait."""
    c = webhook_call.c
    query = (
        sa.select(c.id)
        .join(webhook, webhook.c.id == c.webhook)
        .where(
            c.state == CallState.PENDING.value, c.next_due <= at, webhook.c.state == WebhookState.ACTIVE.value
        )
    )
    return [row.id for row in unit.rows(query.order_by(c.next_due).limit(limit))]


def claim(unit: Unit, call_id: str, at: datetime, lease: timedelta) -> Call | None:
    """Write the try down before it is made; None when it is not due, settled, or somebody else has it."""
    c = webhook_call.c
    is_due = (c.id == call_id, c.state == CallState.PENDING.value, c.next_due <= at)
    values = {"tries": c.tries + 1, "next_due": at + lease, "changed_at": at}
    if unit.execute(webhook_call.update().where(*is_due).values(values)).rowcount != 1:
        return None
    row = unit.row(sa.select(webhook_call).where(c.id == call_id))
    return (
        Call(id=row.id, webhook=row.webhook, about=row.about, body=row.body, tries=row.tries) if row else None
    )


def settle(unit: Unit, mine: Call, action: str, at: datetime, *, status: int, reason: str = "") -> None:
    """The end of a call."""
    c = webhook_call.c
    after = CALLS.after(CallState.PENDING, action).value
    is_mine = (c.id == mine.id, c.state == CallState.PENDING.value, c.tries == mine.tries)
    values = {"state": after, "status": status, "reason": reason[:40], "changed_at": at}
    unit.execute(webhook_call.update().where(*is_mine).values(values))


def postpone(unit: Unit, mine: Call, until: datetime, at: datetime, *, status: int, reason: str) -> None:
    """Try again at `until`."""
    c = webhook_call.c
    is_mine = (c.id == mine.id, c.state == CallState.PENDING.value, c.tries == mine.tries)
    values = {"next_due": until, "status": status, "reason": reason[:40], "changed_at": at}
    unit.execute(webhook_call.update().where(*is_mine).values(values))


def replay(unit: Unit, webhook_id: str, at: datetime) -> int:
    """Call again what was dropped, and at once what waits; how many were dropped."""
    c = webhook_call.c
    is_waiting = (c.webhook == webhook_id, c.state == CallState.PENDING.value)
    unit.execute(webhook_call.update().where(*is_waiting).values(tries=0, next_due=at))
    is_dropped = (c.webhook == webhook_id, c.state == CallState.DROPPED.value)
    values = {"state": CallState.PENDING.value, "tries": 0, "next_due": at, "changed_at": at}
    return unit.execute(webhook_call.update().where(*is_dropped).values(values)).rowcount


def calls(unit: Unit, webhook_id: str, limit: int = 100) -> list[sa.Row[Any]]:
    """The newest calls of one address."""
    c = webhook_call.c
    return unit.rows(
        sa.select(webhook_call).where(c.webhook == webhook_id).order_by(c.id.desc()).limit(limit)
    )


def counts(unit: Unit) -> dict[str, int]:
    """state -> addresses, for every state."""
    return {state.value: 0 for state in WebhookState} | _by_state(unit, webhook)


def call_counts(unit: Unit) -> dict[str, int]:
    """state -> calls, for every state."""
    return {state.value: 0 for state in CallState} | _by_state(unit, webhook_call)


def _by_state(unit: Unit, table: sa.Table) -> dict[str, int]:
    query = sa.select(table.c.state, sa.func.count().label("n")).group_by(table.c.state)
    return {row.state: row.n for row in unit.rows(query)}


def _opened(unit: Unit, row: sa.Row[Any], at: datetime) -> Webhook:
    key, is_gone = unit.vault.key(unit.connection, row.id), row.state == WebhookState.REMOVED.value
    sealed = [row.secret] + ([row.secret_before] if row.secret_before and row.rotates_at > at else [])
    return Webhook(
        id=row.id, organisation=row.organisation, state=WebhookState(row.state), reason=row.reason,
        url="" if is_gone else key.open("webhook.url", row.url).decode(),
        secrets=() if is_gone else tuple(key.open("webhook.secret", one).decode() for one in sealed),
        failing_since=row.failing_since, created_at=row.created_at,
    )  # fmt: skip
