"""The hash-chained journal: one chain per stream, every act an entry, nothing ever changed."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from domain.artefact import canonical_json
from store import stream
from store import tables as t
from store.unit import Unit

GENESIS = "0" * 64
# Built once: composing them for each entry took a tenth of what keeping a message costs.
_PLAIN = t.journal.insert()
_NUMBERED = t.journal.insert().values(xid=stream.numbered(sa.func.pg_current_xact_id()))


def append(
    unit: Unit,
    kind: str,
    entity: str,
    act: str,
    *,
    by: str,
    at: datetime,
    detail: Mapping[str, Any] | None = None,
    content: bytes = b"",
    is_first: bool = False,
) -> None:
    """Add an entry to the stream (kind, entity).

    `detail` holds ids, states and reasons, never personal data; `content` enters as a keyed digest.
    `is_first` promises that the stream is new and saves reading its head.
    """
    n, prev = (0, GENESIS) if is_first else _head(unit, kind, entity)
    entry: dict[str, Any] = {
        "kind": kind,
        "entity": entity,
        "n": n + 1,
        "prev_hash": prev,
        "act": act,
        "by": by,
        "at": at,
        "detail": dict(detail or {}),
        "content": unit.vault.content_digest(content) if content else "",
    }
    entry["hash"] = entry_hash(entry)
    unit.execute(_NUMBERED if unit.is_postgres else _PLAIN, entry)
    mac = head_mac(unit.head_key, kind, entity, n + 1, entry["hash"])
    head = {"n": n + 1, "hash": entry["hash"], "mac": mac}
    if n == 0:
        unit.execute(t.journal_head.insert(), {"kind": kind, "entity": entity, **head})
    else:
        unit.execute(t.journal_head.update().where(*_is(t.journal_head, kind, entity)).values(**head))


def entry_hash(entry: Mapping[Any, Any]) -> str:
    """SHA-256 over the previous hash and every other field of the entry."""
    fields = [entry[name] for name in ("kind", "entity", "n", "act", "by")]
    at = entry["at"].isoformat(timespec="microseconds")
    body = canonical_json([*fields, at, entry["detail"], entry["content"]])
    return hashlib.sha256(entry["prev_hash"].encode() + b"\0" + body).hexdigest()


def head_mac(key: bytes, kind: str, entity: str, n: int, last_hash: str) -> str:
    """What makes a stream's end known only to the holder of the journal's key."""
    text = canonical_json([kind, entity, n, last_hash])
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def entries(unit: Unit, kind: str, entity: str) -> list[sa.Row[Any]]:
    """The stream (kind, entity), oldest first."""
    return unit.rows(sa.select(t.journal).where(*_is(t.journal, kind, entity)).order_by(t.journal.c.n))


def last_act(unit: Unit, kind: str, entity: str) -> str | None:
    """The newest act of the stream (kind, entity), None before the first."""
    query = sa.select(t.journal.c.act).where(*_is(t.journal, kind, entity)).order_by(t.journal.c.n.desc())
    found: str | None = unit.scalar(query.limit(1))
    return found


def _head(unit: Unit, kind: str, entity: str) -> tuple[int, str]:
    query = sa.select(t.journal_head.c.n, t.journal_head.c.hash).where(*_is(t.journal_head, kind, entity))
    row = unit.row(unit.locked(query))
    return (row.n, row.hash) if row else (0, GENESIS)


def _is(table: sa.Table, kind: str, entity: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return table.c.kind == kind, table.c.entity == entity
