"""The hash-chained journal: one chain per stream, every act an entry, nothing ever changed."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from domain.artefact import canonical_json
from store import bulk, stream
from store import tables as t
from store.unit import Unit

GENESIS = "0" * 64
PROOF = "receive_proof"  # a message that holds a mark of domain/proof is taken: told to no stream; its report would be
# Built once: composing them for each entry took a tenth of what keeping a message costs.
_PLAIN = t.journal.insert()
_NUMBERED = t.journal.insert().values(xid=stream.numbered(sa.func.pg_current_xact_id()))
_HEAD = t.journal_head.insert()


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The first entry of a stream that is new."""

    kind: str
    entity: str
    act: str
    by: str
    at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)
    content: bytes = b""


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
    made = First(kind=kind, entity=entity, act=act, by=by, at=at, detail=detail or {}, content=content)
    n, prev = (0, GENESIS) if is_first else _head(unit, kind, entity)
    entry, head = _made(unit, made, n, prev)
    unit.execute(_NUMBERED if unit.is_postgres else _PLAIN, entry)
    if n == 0:
        unit.execute(_HEAD, head)
    else:
        unit.execute(t.journal_head.update().where(*_is(t.journal_head, kind, entity)).values(**head))


def begin_streams(unit: Unit, firsts: Sequence[First]) -> None:
    """Begin many streams, each with its first entry, in two statements."""
    if not firsts:
        return
    made = [_made(unit, first, 0, GENESIS) for first in firsts]
    entries = [entry for entry, _ in made]
    if bulk.add_new(unit, t.journal, entries, computed=_numbers() if unit.is_postgres else ()) < len(made):
        raise sa.exc.IntegrityError("journal", None, ValueError("a stream that is to begin is there"))
    if bulk.add_new(unit, t.journal_head, [head for _, head in made]) < len(made):
        raise sa.exc.IntegrityError("journal_head", None, ValueError("a stream that is to begin is there"))


def streams(unit: Unit, firsts: Iterable[First], *, of: str) -> list[bulk.Following]:
    """The rows of begin_streams() as what follows rows that hold the entities in their column `of`."""
    made = [_made(unit, first, 0, GENESIS) for first in firsts]
    return [
        bulk.Following(
            table=t.journal, rows=[entry for entry, _ in made], key="entity", of=of, computed=_numbers()
        ),
        bulk.Following(table=t.journal_head, rows=[head for _, head in made], key="entity", of=of),
    ]


@cache
def _numbers() -> tuple[tuple[str, str], ...]:
    number = stream.numbered(sa.func.pg_current_xact_id())
    made = number.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]
    return (("xid", str(made)),)


def _made(unit: Unit, of: First, n: int, prev: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rows of the entry after the `n`-th, and of the head that it becomes."""
    entry: dict[str, Any] = {
        "kind": of.kind,
        "entity": of.entity,
        "n": n + 1,
        "prev_hash": prev,
        "act": of.act,
        "by": of.by,
        "at": of.at,
        "detail": dict(of.detail),
        "content": unit.vault.content_digest(of.content) if of.content else "",
    }
    entry["hash"] = entry_hash(entry)
    mac = head_mac(unit.head_key, of.kind, of.entity, n + 1, entry["hash"])
    return entry, {"kind": of.kind, "entity": of.entity, "n": n + 1, "hash": entry["hash"], "mac": mac}


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


def last(unit: Unit, kind: str, entity: str) -> sa.Row[Any] | None:
    """The newest entry of the stream (kind, entity) as (act, at), None before the first."""
    j = t.journal.c
    return unit.row(sa.select(j.act, j.at).where(*_is(t.journal, kind, entity)).order_by(j.n.desc()).limit(1))


def _head(unit: Unit, kind: str, entity: str) -> tuple[int, str]:
    query = sa.select(t.journal_head.c.n, t.journal_head.c.hash).where(*_is(t.journal_head, kind, entity))
    row = unit.row(unit.locked(query))
    return (row.n, row.hash) if row else (0, GENESIS)


def _is(table: sa.Table, kind: str, entity: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return table.c.kind == kind, table.c.entity == entity
