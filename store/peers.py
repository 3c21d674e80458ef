"""Peers, their pinned keys, and the files that their feeds name."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from domain.bulletin import ITEMS, ItemState
from domain.errors import Conflict, NotFound
from domain.ids import mint
from store import bulk, journal
from store.tables_peers import peer, peer_item, peer_key
from store.unit import Unit

SILENT = timedelta(minutes=3)  # R36: a peer that is asked and not heard for so long is red


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One of them. `heard_at`: when it last answered, or pushed something."""

    id: str
    name: str
    kind: str  # pull | push
    url: str
    hosts: tuple[str, ...]
    senders: tuple[str, ...]
    period: int
    is_active: bool
    etag: str
    modified: str
    whole_at: datetime | None
    feed_due: datetime | None
    next_due: datetime | None
    tries: int
    failures: int
    failed: int
    reason: str
    heard_at: datetime | None
    tried_at: datetime | None
    created_at: datetime
    form: str = "feed"  # feed | stream
    hub: str = ""  # who signs its stream; '' until it was heard first
    head: int = 0  # how far the files of its stream are named
    loops: int = 0  # bulletins that came back to us

    def is_silent(self, at: datetime) -> bool:
        """Whether it is asked for its news and has not answered for three minutes, or three of its periods."""
        limit = max(SILENT, timedelta(seconds=3 * self.period))
        return self.kind == "pull" and self.is_active and (self.heard_at or self.created_at) < at - limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key that is pinned for one peer: a certificate in PEM, or an Ed25519 key in base64."""

    id: str
    kind: str
    material: str
    fingerprint: str
    added_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A file that a feed of the peer names."""

    id: str
    url: str
    tries: int


def add(
    unit: Unit, name: str, url: str, *, period: int, hosts: Sequence[str], senders: Sequence[str], by: str,
    at: datetime, form: str = "feed",
) -> str:  # fmt: skip
    """Enter a peer whose feed, or stream, is pulled from now on; its id. Raises Conflict when its address is there already."""
    if unit.scalar(sa.select(peer.c.id).where(peer.c.url == url, peer.c.kind == "pull")):
        raise Conflict("this feed is pulled already", code="peer_exists")
    row = {"id": mint("peer", at), "name": name, "kind": "pull", "url": url, "hosts": list(hosts), "period": period,
           "senders": list(senders), "next_due": at, "created_at": at, "form": form}  # fmt: skip
    unit.execute(peer.insert(), row)
    journal.append(unit, "peer", str(row["id"]), "add", by=by, at=at, is_first=True,
                   detail={"url": url, "period": period, "hosts": list(hosts), "senders": list(senders)})  # fmt: skip
    return str(row["id"])


def ensure_push(unit: Unit, key_id: str, name: str, at: datetime) -> None:
    """Whoever pushes with this API key is a peer from its first bulletin on."""
    row = {"id": key_id, "name": name[:120], "kind": "push", "hosts": [], "senders": [], "created_at": at}
    if unit.add_once(peer, row):
        journal.append(unit, "peer", key_id, "add", by=f"key:{key_id}", at=at)


def set_senders(unit: Unit, peer_id: str, senders: Sequence[str], *, by: str, at: datetime) -> None:
    """Whom the peer may speak for; everybody when empty. Raises NotFound."""
    changed = unit.execute(peer.update().where(peer.c.id == peer_id).values(senders=list(senders)))
    if changed.rowcount != 1:
        raise NotFound("no such peer")
    journal.append(unit, "peer", peer_id, "set_senders", by=by, at=at, detail={"senders": list(senders)})


def set_active(unit: Unit, peer_id: str, *, is_active: bool, by: str, at: datetime) -> None:
    """Pull it, or leave it alone. Raises NotFound."""
    due = (
        sa.case((peer.c.kind == "pull", sa.literal(at, peer.c.next_due.type)), else_=None)
        if is_active
        else None
    )
    changed = unit.execute(
        peer.update().where(peer.c.id == peer_id).values(is_active=is_active, next_due=due)
    )
    if changed.rowcount != 1:
        raise NotFound("no such peer")
    journal.append(unit, "peer", peer_id, "start" if is_active else "stop", by=by, at=at)


def get(unit: Unit, peer_id: str) -> Peer | None:
    """The peer, None for an unknown one."""
    row = unit.row(sa.select(peer).where(peer.c.id == peer_id))
    return _peer(row) if row else None


def listed(unit: Unit) -> list[Peer]:
    """All, those that are pulled first."""
    return [_peer(row) for row in unit.rows(sa.select(peer).order_by(peer.c.kind, peer.c.name, peer.c.id))]


def names(unit: Unit, ids: Iterable[str]) -> dict[str, str]:
    """id -> name."""
    wanted = list(dict.fromkeys(ids))
    rows = unit.rows(sa.select(peer.c.id, peer.c.name).where(peer.c.id.in_(wanted))) if wanted else []
    return {row.id: row.name for row in rows}


def due(unit: Unit, at: datetime, limit: int = 50) -> list[str]:
    """Ids of peers to be looked at now, the longest waiting first."""
    query = sa.select(peer.c.id).where(peer.c.next_due <= at).order_by(peer.c.next_due)
    return [row.id for row in unit.rows(query.limit(limit))]


def claim(unit: Unit, peer_id: str, at: datetime, lease: timedelta) -> Peer | None:
    """Write the look down before it is made; None when it is not due, or somebody else has it."""
    p = peer.c
    values = {"tries": p.tries + 1, "next_due": at + lease, "tried_at": at}
    if unit.execute(peer.update().where(p.id == peer_id, p.next_due <= at).values(values)).rowcount != 1:
        return None
    return get(unit, peer_id)


def heard(
    unit: Unit, mine: Peer, at: datetime, *, etag: str | None = None, modified: str = "", is_whole: bool = False,
    feed_due: datetime,
) -> None:  # fmt: skip
    """It answered. `etag` None: it had nothing new, and what it said before stands."""
    values: dict[str, Any] = {"heard_at": at, "failures": 0, "reason": "", "feed_due": feed_due}
    if etag is not None:
        values |= {"etag": etag[:300], "modified": modified[:60]}
    if is_whole:
        values["whole_at"] = at
    _settle(unit, mine, values)


def failed(unit: Unit, mine: Peer, reason: str, feed_due: datetime) -> None:
    """It did not answer, or with nothing that can be read."""
    p = peer.c
    values = {"failures": p.failures + 1, "failed": p.failed + 1, "reason": reason[:40], "feed_due": feed_due}
    _settle(unit, mine, values)


def follow(unit: Unit, mine: Peer, hub: str, head: int) -> None:
    """Its stream is that of `hub`, and the files up to `head` are named."""
    p = peer.c
    unit.execute(peer.update().where(p.id == mine.id, p.head <= head).values(hub=hub, head=head))


def is_name_taken(unit: Unit, mine: Peer, hub: str, key: str) -> bool:
    """Whether another peer that is asked signs as `hub` with keys of its own; the same key by two lines is one hub.

    Who has the name keeps it; of two that have it, who was entered first. Who comes to it waits for who comes too.
    """
    p, k = peer.c, peer_key.c
    if not mine.hub:
        unit.rows(sa.select(p.id).where(p.form == "stream").order_by(p.id).with_for_update())
    has_key = sa.exists().where(k.peer == p.id, k.material == key, k.revoked_at.is_(None))
    query = sa.select(p.id).where(p.hub == hub, p.id != mine.id, p.is_active, sa.not_(has_key)).limit(1)
    if mine.hub:
        query = query.where(p.created_at < mine.created_at)
    return unit.scalar(query) is not None


def count_loop(unit: Unit, peer_id: str) -> None:
    """It handed us what had been here before."""
    unit.execute(peer.update().where(peer.c.id == peer_id).values(loops=peer.c.loops + 1))


def keys_by_hub(unit: Unit, hubs: Iterable[str]) -> dict[str, dict[str, str]]:
    """Hub -> its pinned Ed25519 keys (id -> key), of those hubs whose streams we pull."""
    p, k = peer.c, peer_key.c
    query = sa.select(p.hub, k.id, k.material).join(peer_key, k.peer == p.id)
    query = query.where(p.hub.in_(list(hubs)), k.kind == "ed25519", k.revoked_at.is_(None))
    found: dict[str, dict[str, str]] = {}
    for row in unit.rows(query):
        found.setdefault(row.hub, {})[row.id] = row.material
    return found


def rest(unit: Unit, mine: Peer, at: datetime) -> None:
    """Let go of the claim: due again for the feed, or for the next file that it named."""
    now = get(unit, mine.id)
    if now is None or now.feed_due is None:
        return
    item = next_item(unit, mine.id)
    _settle(unit, mine, {"next_due": max(at, min(now.feed_due, item or now.feed_due))})


def _settle(unit: Unit, mine: Peer, values: dict[str, Any]) -> None:
    """Only of this very look, and only while the peer is not stopped: then it is not due again."""
    p = peer.c
    is_mine = (p.id == mine.id, p.tries == mine.tries, p.is_active)
    unit.execute(peer.update().where(*is_mine).values(values))


def has_silent(unit: Unit, at: datetime) -> bool:
    """Whether a peer that is asked has fallen silent."""
    return any(one.is_silent(at) for one in listed(unit))


def keys_of(unit: Unit, peer_id: str, *, kind: str = "", with_revoked: bool = False) -> list[Key]:
    """The keys that count now; a revoked one counts from this moment on for nothing (PROMISES H65)."""
    k = peer_key.c
    query = sa.select(peer_key).where(k.peer == peer_id).order_by(k.added_at)
    if kind:
        query = query.where(k.kind == kind)
    if not with_revoked:
        query = query.where(k.revoked_at.is_(None))
    return [
        Key(id=r.id, kind=r.kind, material=r.material, fingerprint=r.fingerprint, added_at=r.added_at,
            revoked_at=r.revoked_at)
        for r in unit.rows(query)
    ]  # fmt: skip


def pin(
    unit: Unit, peer_id: str, *, kind: str, material: str, fingerprint: str, by: str, at: datetime
) -> str:
    """Pin a key for a peer; its id. Raises Conflict when it is, or was, pinned already."""
    row = {"id": mint("pky", at), "peer": peer_id, "kind": kind, "material": material, "fingerprint": fingerprint,
           "added_at": at}  # fmt: skip
    if not unit.add_once(peer_key, row):
        raise Conflict("this key is known already; a revoked one does not come back", code="peer_key_known")
    journal.append(
        unit, "peer", peer_id, "pin", by=by, at=at, detail={"kind": kind, "fingerprint": fingerprint}
    )
    return str(row["id"])


def revoke(unit: Unit, peer_id: str, key_id: str, *, by: str, at: datetime) -> None:
    """The key counts for nothing from now on. Raises NotFound."""
    k = peer_key.c
    is_one = (k.id == key_id, k.peer == peer_id, k.revoked_at.is_(None))
    if unit.execute(peer_key.update().where(*is_one).values(revoked_at=at)).rowcount != 1:
        raise NotFound("no such key")
    journal.append(unit, "peer", peer_id, "revoke", by=by, at=at, detail={"key": key_id})


def name_items(unit: Unit, peer_id: str, found: Iterable[tuple[str, str]], at: datetime) -> int:
    """Enter what a feed names as (address, stamp); how many were new."""
    rows = [
        {"id": mint("pit", at), "peer": peer_id, "url": url, "state": ItemState.PENDING.value, "next_due": at,
         "mark": _mark(url, stamp), "seen_at": at, "changed_at": at}
        for url, stamp in found
    ]  # fmt: skip
    return bulk.add_new(unit, peer_item, rows)


def are_kept(unit: Unit, peer_id: str, urls: Iterable[str]) -> set[str]:
    """Which of these files of a stream were fetched."""
    i, marks = peer_item.c, {_mark(url, ""): url for url in urls}
    query = sa.select(i.mark).where(
        i.peer == peer_id, i.mark.in_(list(marks)), i.state == ItemState.KEPT.value
    )
    return {marks[row.mark] for row in unit.rows(query)} if marks else set()


def _mark(url: str, stamp: str) -> str:
    return hashlib.sha256(f"{url}\0{stamp}".encode("utf-8", "replace")).hexdigest()


def items_due(unit: Unit, peer_id: str, at: datetime, limit: int) -> list[Item]:
    """What is to be fetched of this peer now, in the order in which it was named."""
    i = peer_item.c
    is_due = (i.peer == peer_id, i.state == ItemState.PENDING.value, i.next_due <= at)
    query = sa.select(i.id, i.url, i.tries).where(*is_due).order_by(i.next_due, i.id).limit(limit)
    return [Item(id=r.id, url=r.url, tries=r.tries) for r in unit.rows(query)]


def next_item(unit: Unit, peer_id: str) -> datetime | None:
    """When the next file of this peer is to be fetched, None when none is."""
    i = peer_item.c
    query = sa.select(sa.func.min(i.next_due)).where(i.peer == peer_id, i.state == ItemState.PENDING.value)
    found: datetime | None = unit.scalar(query)
    return found


def postpone_item(unit: Unit, item: Item, reason: str, until: datetime, at: datetime) -> None:
    """Try this one again at `until`."""
    i = peer_item.c
    is_pending = (i.id == item.id, i.state == ItemState.PENDING.value)
    values = {"tries": i.tries + 1, "next_due": until, "reason": reason[:40], "changed_at": at}
    unit.execute(peer_item.update().where(*is_pending).values(values))


def settle_item(unit: Unit, item: Item, action: str, at: datetime, *, reason: str = "") -> bool:
    """``keep`` or ``refuse_item``; False if it was settled before."""
    i = peer_item.c
    after = ITEMS.after(ItemState.PENDING, action).value
    is_pending = (i.id == item.id, i.state == ItemState.PENDING.value)
    values = {"state": after, "reason": reason[:40], "tries": i.tries + 1, "changed_at": at}
    return unit.execute(peer_item.update().where(*is_pending).values(values)).rowcount == 1


def item_counts(unit: Unit) -> dict[str, dict[str, int]]:
    """Peer -> state -> files named by its feed."""
    i = peer_item.c
    found: dict[str, dict[str, int]] = {}
    for row in unit.rows(sa.select(i.peer, i.state, sa.func.count().label("n")).group_by(i.peer, i.state)):
        found.setdefault(row.peer, {})[row.state] = row.n
    return found


def _peer(row: sa.Row[Any]) -> Peer:
    return Peer(
        id=row.id, name=row.name, kind=row.kind, url=row.url, hosts=tuple(row.hosts), senders=tuple(row.senders),
        period=row.period, is_active=row.is_active, etag=row.etag, modified=row.modified, whole_at=row.whole_at,
        feed_due=row.feed_due, next_due=row.next_due, tries=row.tries, failures=row.failures, failed=row.failed,
        reason=row.reason, heard_at=row.heard_at, tried_at=row.tried_at, created_at=row.created_at, form=row.form,
        hub=row.hub, head=row.head, loops=row.loops,
    )  # fmt: skip
