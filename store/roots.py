"""Signed roots over the journal, and the check of everything beneath them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.artefact import canonical_json
from store import journal, stream
from store import tables as t
from store.unit import Unit

_PURPOSE = b"tocsin/journal-root/v1\0"  # a signature for one use never serves another
_PAGE = 5000  # entries read at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that the journal cannot explain."""

    where: str
    what: str


def seal(unit: Unit, signer: Ed25519PrivateKey, at: datetime) -> dict[str, Any] | None:
    """Write the next root over the entries since the last one; None when there are none.

    The caller appends the answer to the anchor file, outside the database.
    """
    last = unit.row(sa.select(t.root).order_by(t.root.c.n.desc()).limit(1))
    begin = stream.Cursor(last.to_xid, last.to_seq) if last else stream.Cursor()
    found = stream.after(unit, begin, limit=_PAGE)
    if not found:
        return None
    root: dict[str, Any] = {
        "n": last.n + 1 if last else 1,
        "prev_hash": last.hash if last else journal.GENESIS,
        "from_xid": begin.xid,
        "from_seq": begin.seq,
        "to_xid": found[-1].xid,
        "to_seq": found[-1].seq,
        "count": len(found),
        "merkle": merkle(row.hash for row in found),
        "at": at,
    }
    root["hash"] = _root_hash(root)
    root["signature"] = signer.sign(_PURPOSE + root["hash"].encode()).hex()
    unit.execute(t.root.insert(), root)
    return {**root, "at": at.isoformat()}


def summit(unit: Unit) -> dict[str, Any]:
    """The ends of the whole journal: equal for two databases only when every stream and root is equal."""
    heads = unit.rows(sa.select(t.journal_head).order_by(t.journal_head.c.kind, t.journal_head.c.entity))
    last = unit.row(sa.select(t.root.c.n, t.root.c.hash).order_by(t.root.c.n.desc()).limit(1))
    return {
        "entries": sum(row.n for row in heads),
        "streams": merkle(row.hash for row in sorted(heads, key=lambda row: (row.kind, row.entity))),
        "root": last.n if last else 0,
        "root_hash": last.hash if last else journal.GENESIS,
    }


def merkle(hashes: Iterable[str]) -> str:
    """The Merkle root, RFC 6962 §2.1 shape (leaf and node prefixes), odd node carried up."""
    level = [hashlib.sha256(b"\0" + bytes.fromhex(h)).digest() for h in hashes]
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [hashlib.sha256(b"\1" + p[0] + p[1]).digest() if len(p) == 2 else p[0] for p in pairs]
    return level[0].hex() if level else journal.GENESIS


def _fields(row: sa.Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)


def _root_hash(root: Mapping[Any, Any]) -> str:
    names = ("n", "prev_hash", "from_xid", "from_seq", "to_xid", "to_seq", "count", "merkle")
    body = canonical_json([*(root[name] for name in names), root["at"].isoformat(timespec="microseconds")])
    return hashlib.sha256(body).hexdigest()


def verify(unit: Unit, public: Ed25519PublicKey, anchors: Mapping[int, str]) -> tuple[int, list[Finding]]:
    """Check every entry, chain, head, root and anchor; entries read, and what is wrong.

    `anchors`: n -> hash of the roots that left the database.
    """
    count, heads, findings = _chains(unit)
    findings += _heads(unit, heads)
    findings += _roots(unit, public, anchors)
    findings += _subjects(unit, heads)
    return count, findings


def look(
    unit: Unit, public: Ed25519PublicKey, anchors: Mapping[int, str], *, newest: int = 200
) -> list[Finding]:
    """The quick part of verify(): every head's MAC, and the `newest` roots with signatures and anchors."""
    findings = [
        Finding(where=f"{row.kind}/{row.entity}", what="the head was not written by this hub")
        for row in unit.rows(sa.select(t.journal_head))
        if row.mac != journal.head_mac(unit.head_key, row.kind, row.entity, row.n, row.hash)
    ]
    rows = unit.rows(sa.select(t.root).order_by(t.root.c.n.desc()).limit(newest))
    for row in rows:
        if _root_hash(_fields(row)) != row.hash or not _is_signed(public, row.hash, row.signature):
            findings.append(Finding(where=f"root#{row.n}", what="changed, or not signed by this hub"))
        if anchors.get(row.n, row.hash) != row.hash:
            findings.append(Finding(where=f"root#{row.n}", what="differs from what left the host"))
    last = rows[0].n if rows else 0
    gone = [n for n in anchors if n > last]
    return findings + [Finding(where=f"root#{n}", what="left the host and is missing here") for n in gone]


def _chains(unit: Unit) -> tuple[int, dict[tuple[str, str], tuple[int, str]], list[Finding]]:
    heads: dict[tuple[str, str], tuple[int, str]] = {}
    findings: list[Finding] = []
    count = 0
    query = sa.select(t.journal).order_by(t.journal.c.kind, t.journal.c.entity, t.journal.c.n)
    for row in unit.connection.execution_options(yield_per=_PAGE).execute(query):
        count += 1
        stream_id = (row.kind, row.entity)
        n, prev = heads.get(stream_id, (0, journal.GENESIS))
        where = f"{row.kind}/{row.entity}#{row.n}"
        if row.n != n + 1 or row.prev_hash != prev:
            findings.append(Finding(where=where, what="an entry before it is missing or out of order"))
        if journal.entry_hash(_fields(row)) != row.hash:
            findings.append(Finding(where=where, what="changed after it was written"))
        heads[stream_id] = (row.n, row.hash)
    return count, heads, findings


def _heads(unit: Unit, heads: Mapping[tuple[str, str], tuple[int, str]]) -> list[Finding]:
    findings: list[Finding] = []
    left = dict(heads)
    for row in unit.rows(sa.select(t.journal_head)):
        where = f"{row.kind}/{row.entity}"
        if row.mac != journal.head_mac(unit.head_key, row.kind, row.entity, row.n, row.hash):
            findings.append(Finding(where=where, what="the head was not written by this hub"))
        if left.pop((row.kind, row.entity), None) != (row.n, row.hash):
            findings.append(Finding(where=where, what="the last entries are missing"))
    findings += [Finding(where="/".join(s), what="the stream has no head") for s in left]
    return findings


def _roots(unit: Unit, public: Ed25519PublicKey, anchors: Mapping[int, str]) -> list[Finding]:
    findings: list[Finding] = []
    prev, number, end = journal.GENESIS, 0, stream.Cursor()
    known = dict(anchors)
    for row in unit.rows(sa.select(t.root).order_by(t.root.c.n)):
        where = f"root#{row.n}"
        if row.n != number + 1 or row.prev_hash != prev or _root_hash(_fields(row)) != row.hash:
            findings.append(Finding(where=where, what="changed, or a root before it is missing"))
        if not _is_signed(public, row.hash, row.signature):
            findings.append(Finding(where=where, what="the signature does not hold"))
        if known.pop(row.n, row.hash) != row.hash:
            findings.append(Finding(where=where, what="differs from what left the host"))
        covered = _between(unit, end, stream.Cursor(row.to_xid, row.to_seq))
        if len(covered) != row._mapping["count"] or merkle(covered) != row.merkle:
            findings.append(Finding(where=where, what="the entries beneath it are not those it sealed"))
        prev, number, end = row.hash, row.n, stream.Cursor(row.to_xid, row.to_seq)
    findings += [Finding(where=f"root#{n}", what="left the host and is missing here") for n in known]
    return findings


def _between(unit: Unit, begin: stream.Cursor, end: stream.Cursor) -> list[str]:
    j = t.journal.c
    place = sa.tuple_(j.xid, j.seq)
    query = sa.select(j.hash).where(
        place > sa.tuple_(sa.literal(begin.xid), sa.literal(begin.seq)),
        place <= sa.tuple_(sa.literal(end.xid), sa.literal(end.seq)),
    )
    return [row.hash for row in unit.rows(query.order_by(j.xid, j.seq))]


def _is_signed(public: Ed25519PublicKey, root_hash: str, signature: str) -> bool:
    try:
        public.verify(bytes.fromhex(signature), _PURPOSE + root_hash.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _subjects(unit: Unit, heads: Mapping[tuple[str, str], tuple[int, str]]) -> list[Finding]:
    """Every message, report and release has a stream: cutting a whole stream out shows."""
    findings: list[Finding] = []
    for kind, table in (("inbound", t.inbound), ("report", t.report_row), ("release", t.release_row)):
        for row in unit.connection.execution_options(yield_per=_PAGE).execute(sa.select(table.c.id)):
            if (kind, row.id) not in heads:
                findings.append(Finding(where=f"{kind}/{row.id}", what="its stream is missing"))
    return findings
