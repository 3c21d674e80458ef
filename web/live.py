"""One reader of the journal for all open streams of this process, and the marks by which they go on."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from domain.errors import BadInput, HubError, Unavailable
from domain.secrecy import Eyes
from hub.log import log
from hub.wiring import Hub
from store import journal, stream
from store.stream import Cursor, Numbered
from store.unit import Unit

POLL = 0.1  # s between looks at the journal while somebody listens: half of what an eye notices
KEPT = (
    2000  # entries in memory: 4 s of the busiest minute tried (500/s); who is further behind reads the store
)
PAGE = 500  # entries of one reading
REPLAY = 2000  # entries that a returning page is told one by one; after more it is told to read everything
AT_ONCE = 200  # streams of one process (PROMISES F29)
PER_SESSION = 4  # browsers open six connections to a host: a fifth page's stream would freeze the desk
# What the desk is told of. Streams about people, keys and logins are the auditor's.
KINDS = frozenset(
    ("brief", "bulletin", "inbound", "incident", "report", "release", "shelf", "shift", "slip", "task")
)
_MAC = 16
SEAL = "seal"  # a report was put into a compartment
SEALING = (SEAL, "unseal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One journal entry as streams tell it: ids only; the reader fetches what he may see."""

    cursor: Cursor
    kind: str
    entity: str
    act: str
    sent: bytes  # the event as it goes over the wire
    compartments: (
        int  # of what it is about, now; of a sealing those before it: who saw the row must let it go
    )

    def is_told(self, eyes: Eyes) -> bool:
        """Whether somebody at the desk with these eyes hears of it."""
        return self.kind in KINDS and self.act != journal.PROOF and eyes.see(self.compartments)


@dataclass(eq=False, slots=True, kw_only=True)
class Listener:
    """One open stream."""

    session: str
    cursor: Cursor
    is_displaced: bool = False  # a newer page of the same session took its place


class Live:
    """Reads while anybody listens; every stream goes on from its own cursor, so none is skipped an entry."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._entries: deque[Entry] = deque()
        self._floor = Cursor()  # every entry after it and up to the head is in memory
        self._head: Cursor | None = None  # what has been read so far; None while nobody listens
        self._news = asyncio.Condition()
        self._listeners: list[Listener] = []
        self._reader: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    async def open(self, session: str, after: Cursor) -> Listener:
        """Join. Raises Unavailable when the process has as many streams as it bears, or is leaving."""
        if self._hub.stopping.is_set() or len(self._listeners) >= AT_ONCE:
            raise Unavailable("too many open streams", code="too_many_streams")
        mine = [other for other in self._listeners if other.session == session and not other.is_displaced]
        for other in mine[: max(0, len(mine) - PER_SESSION + 1)]:
            other.is_displaced = True
        listener = Listener(session=session, cursor=after)
        self._listeners.append(listener)
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        return listener

    def close(self, listener: Listener) -> None:
        """Leave; the last one lets the reader rest."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def listen(
        self, listener: Listener, patience: Callable[[], float]
    ) -> AsyncIterator[Sequence[Entry]]:
        """Entries in order; an empty batch when `patience()` seconds brought none. Ends when the hub leaves."""
        while not self._hub.stopping.is_set() and not listener.is_displaced:
            batch = self._ready(listener)
            if batch is None:
                batch = await self._stored(listener.cursor)
            elif not batch:
                await self._wait(listener, patience())
                batch = self._ready(listener) or []
                if self._hub.stopping.is_set() or listener.is_displaced:
                    return
            if batch:
                listener.cursor = batch[-1].cursor
            yield batch

    def _ready(self, listener: Listener) -> list[Entry] | None:
        """What memory holds after the listener's cursor; None when it must be read from the store."""
        if self._head is None or listener.cursor >= self._head:
            return []
        if listener.cursor < self._floor:
            return None
        new = takewhile(lambda entry: entry.cursor > listener.cursor, reversed(self._entries))
        return list(new)[::-1]

    async def _stored(self, after: Cursor) -> list[Entry]:
        rows, lying = await self._rows(after)
        return [self.entry(row, lying) for row in rows]

    async def _rows(self, after: Cursor) -> tuple[list[Any], dict[int, int]]:
        def work(unit: Unit) -> tuple[list[Any], dict[int, int]]:
            rows = stream.after(unit, after, PAGE)
            return rows, stream.lying_in(unit, rows)

        return await asyncio.to_thread(self._hub.store.read, work)

    async def _wait(self, listener: Listener, patience: float) -> None:
        def is_news() -> bool:
            ready = self._ready(listener)
            return ready is None or bool(ready) or listener.is_displaced or self._hub.stopping.is_set()

        try:
            async with self._news, asyncio.timeout(patience):
                await self._news.wait_for(is_news)
        except TimeoutError:
            return

    async def _read(self) -> None:
        """Until nobody listens or the hub leaves. A store that is down is asked again; nothing is skipped."""
        self._entries.clear()
        self._head = None
        try:
            while self._listeners and not self._hub.stopping.is_set():
                try:
                    more = await self._step()
                except HubError as error:
                    log("live.unread", error=error.code)
                    more = False
                async with self._news:
                    self._news.notify_all()
                if not more:
                    await asyncio.sleep(POLL)
        finally:
            self._reader = None  # before anything is awaited: who joins from here on needs another one
            async with self._news:
                self._news.notify_all()

    async def _step(self) -> bool:
        """Read what is new; whether there may be more at once."""
        if self._head is None:
            self._head = self._floor = await asyncio.to_thread(self._hub.store.read, stream.head)
            return False
        head = self._head
        rows, lying = await self._rows(head)
        if rows:
            if any(row.act in SEALING for row in rows):  # what is told from memory may have become secret
                await self._look_again()
            self._entries.extend(self.entry(row, lying) for row in rows)
            self._head = self._entries[-1].cursor
            while len(self._entries) > KEPT:
                self._floor = self._entries.popleft().cursor
        return len(rows) == PAGE

    async def _look_again(self) -> None:
        """Where what is in memory lies now."""
        known = [Numbered(seq=entry.cursor.seq) for entry in self._entries]
        lying = await asyncio.to_thread(
            self._hub.store.read, lambda unit: stream.lying_in(unit, known)
        )  # fmt: skip
        self._entries = deque(
            entry if entry.act == SEAL else replace(entry, compartments=lying.get(entry.cursor.seq, 0))
            for entry in self._entries
        )

    def entry(self, row: Any, lying: Mapping[int, int]) -> Entry:
        """A row of the journal as an event."""
        lies_in = row.detail["lay_in"] if row.act == SEAL else lying.get(row.seq, 0)
        cursor = Cursor(row.xid, row.seq)
        told = {"kind": row.kind, "id": row.entity, "act": row.act, "at": row.at.isoformat()}
        sent = event(row.kind, told, mark=write(self._hub.keys.cursor, cursor))
        return Entry(cursor=cursor, kind=row.kind, entity=row.entity, act=row.act, sent=sent,
                     compartments=lies_in)  # fmt: skip


def event(name: str, data: Any, *, mark: str = "") -> bytes:
    """One event of a stream (HTML Living Standard §9.2.6)."""
    lines = [f"id: {mark}"] if mark else []
    return "\n".join([*lines, f"event: {name}", f"data: {json.dumps(data)}", "", ""]).encode()


def write(key: bytes, cursor: Cursor) -> str:
    """The mark of a place in the journal: opaque, and made by nobody else."""
    body = struct.pack(">QQ", *cursor)
    return base64.urlsafe_b64encode(_mac(key, body) + body).decode().rstrip("=")


def read(key: bytes, mark: str) -> Cursor:
    """The place of a mark. Raises BadInput(bad_cursor) for one that is not ours."""
    try:
        data = base64.b64decode(mark[:100] + "=" * (-len(mark[:100]) % 4), altchars=b"-_", validate=True)
        xid, seq = struct.unpack(">QQ", data[_MAC:])
    except (binascii.Error, ValueError, struct.error):
        raise _bad() from None
    if not hmac.compare_digest(data[:_MAC], _mac(key, data[_MAC:])):
        raise _bad()
    return Cursor(xid, seq)


async def begin(hub: Hub, mark: str) -> tuple[Cursor, bool]:
    """(where to go on, whether the reader must read everything anew): from `mark`, or the head without one.

    A mark ahead of the journal is of a database that was restored since. Raises BadInput for a forged one.
    """
    wanted = read(hub.keys.cursor, mark) if mark else None

    def work(unit: Any) -> tuple[Cursor, bool]:
        head = stream.head(unit)
        if wanted is None:
            return head, False
        is_lost = wanted > head or stream.distance(unit, wanted, REPLAY) >= REPLAY
        return (head, True) if is_lost else (wanted, False)

    return await asyncio.to_thread(hub.store.read, work)


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, b"stream\0" + body, hashlib.sha256).digest()[:_MAC]


def _bad() -> BadInput:
    return BadInput("this is no place in the stream", code="bad_cursor")
