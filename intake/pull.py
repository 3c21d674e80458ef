"""Feeds of peers are looked at on a schedule, and the files they name are fetched, each once, in bounded batches."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from channels.codecs import bulletin_file
from channels.egress import Fetched
from domain.errors import BadInput, Never, NotNow
from intake import pull_stream
from intake.bulletins import LIFTED, arriving, keep_many
from sandbox.pool import Pool
from store import peers, shelf
from store.arrivals import Arriving
from store.blobs import Blobs
from store.database import Store
from store.inbox import INLINE
from store.peers import Item, Peer
from store.unit import Unit

LEASE = timedelta(seconds=150)  # a feed and a batch take 80 s at most; then another worker may try
BATCH = 200  # files fetched in one turn; then the worker is free for others and comes back at once
TURN = timedelta(seconds=50)  # or so long
AT_ONCE = 25  # files kept in one transaction
WHOLE = timedelta(hours=1)  # then the feed is read whatever its ETag says: some lie (PROMISES H63)
LONGEST = timedelta(minutes=5)  # between looks at a peer that does not answer: a bulletin is awaited
ITEM_WAITS = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2), *[timedelta(minutes=10)] * 6,
              *[timedelta(hours=1)] * 48)  # fmt: skip  # two days: who is down for one has the file (F35)
UNCHANGED = "http_304"  # said to who sent no condition: neither bytes nor a refusal
EARLY = 9  # tries, an hour: a feed may name a file before it lies where it is fetched from
DEAF_AFTER = 3  # files in a row that it has not now: the rest of the batch can wait with them
SIGNATURE = 600  # bytes of a signature file that are looked at


class Get(Protocol):
    """channels.egress for the places of one peer."""

    def __call__(self, url: str, *, etag: str = "", modified: str = "") -> Fetched: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Puller:
    """What pulling needs; built once by the wiring."""

    store: Store
    blobs: Blobs
    pool: Pool
    clock: Callable[[], datetime]
    get_of: Callable[[Peer], Get]  # raises Never for an address that is not asked
    bell: Callable[[str, str], None]
    ourselves: str = ""  # our CAP sender id

    def pull(self, peer_id: str) -> bool:
        """Look at one peer if it is due; whether this call did. Safe to run twice and side by side."""
        mine = self.store.run(lambda unit: peers.claim(unit, peer_id, self.clock(), LEASE))
        if mine is None or not mine.is_active:
            return False
        if mine.feed_due is None or mine.feed_due <= self.clock():
            self._look(mine)
        self._fetch(mine)
        self.store.run(lambda unit: peers.rest(unit, mine, self.clock()))
        return True

    def _look(self, mine: Peer) -> None:
        """Its feed, if it has changed."""
        at = self.clock()
        is_whole = mine.whole_at is None or at - mine.whole_at >= WHOLE or mine.form == "stream"
        etag, modified = ("", "") if is_whole else (mine.etag, mine.modified)
        try:
            found = self._asked(mine, etag, modified)
            if mine.form == "stream":
                return self._follow(mine, found.data)
            told, parts = self._parted(mine, found)
        except (Never, NotNow) as error:
            wait = error.retry_after if isinstance(error, NotNow) else None
            self._failed(mine, error.code, b"", wait)
            return
        except BadInput as error:
            is_old = error.code == pull_stream.STALE  # who is away has said nothing that anybody must read
            self._failed(mine, error.code, b"" if is_old else found.data, None)
            return
        some = [
            self._kept(mine, part, LIFTED if told["is_lifted"] else found.content_type, mine.url)
            for part in parts
        ]
        at = self.clock()
        named = [(str(item["url"]), str(item["stamp"])) for item in told["items"]]

        def work(unit: Unit) -> list[tuple[str, bool]]:
            peers.name_items(unit, mine.id, named, at)
            etag = None if found.is_same else found.etag
            peers.heard(unit, mine, at, etag=etag, modified=found.modified, is_whole=is_whole and not found.is_same,
                        feed_due=at + timedelta(seconds=mine.period))  # fmt: skip
            return keep_many(unit, some)

        self._ring(self.store.run(work))

    def _asked(self, mine: Peer, etag: str, modified: str) -> Fetched:
        """Its feed. A 304 that nothing of ours asked for means "nothing new" where its feed was read before.

        Where it never was, it is asked once more: some caches answer for a server by what another reader had.
        """
        get = self.get_of(mine)
        for is_last in (False, True):
            try:
                return get(mine.url, etag=etag, modified=modified)
            except Never as error:
                if error.code != UNCHANGED or is_last or mine.form == "stream":
                    raise
                if mine.whole_at is not None:
                    return Fetched(data=b"", declared_type="", is_same=True)
        raise AssertionError

    def _follow(self, mine: Peer, data: bytes) -> None:
        """Name what its stream holds beyond what we know. Raises BadInput when its heartbeat is not believed."""
        at = self.clock()
        keys = self.store.read(lambda unit: peers.keys_of(unit, mine.id, kind="ed25519"))
        pinned = {key.id: key.material for key in keys}
        found = pull_stream.ahead(mine, data, pinned, at, ourselves=self.ourselves)

        def work(unit: Unit) -> None:
            pull_stream.note(unit, mine, found, at)
            wait = timedelta(seconds=mine.period) if found.is_all else timedelta()
            peers.heard(
                unit, mine, min(at, found.beat.at), is_whole=True, feed_due=at + wait
            )  # an old word is no life

        self.store.run(work)

    def _parted(self, mine: Peer, found: Fetched) -> tuple[dict[str, Any], tuple[bytes, ...]]:
        if found.is_same:
            return {"items": [], "is_lifted": False}, ()
        result = self.pool.run(bulletin_file.split, found.data, {"base": mine.url, "charset": found.charset})
        return dict(result.value), result.blobs

    def _failed(self, mine: Peer, reason: str, raw: bytes, wait: timedelta | None) -> None:
        """Write it down and wait longer each time; what cannot be read is shelved once, not at every look."""
        at = self.clock()
        period = timedelta(seconds=mine.period)
        longest = max(period, pull_stream.LONGEST if mine.form == "stream" else LONGEST)
        pause = max(wait or timedelta(), min(longest, period * 2 ** min(mine.failures, 10)))

        def work(unit: Unit) -> None:
            if raw and reason != mine.reason:
                shelf.put(unit, "peer", reason[:60], origin=mine.id, raw=raw, at=at)
            peers.failed(unit, mine, reason, at + pause)

        self.store.run(work)

    def _fetch(self, mine: Peer) -> None:
        """The files that its feed named and that are due."""
        until = self.clock() + TURN
        waiting = self.store.read(lambda unit: peers.items_due(unit, mine.id, self.clock(), BATCH))
        if not waiting:
            return
        get = self._get_or_none(mine)
        is_signed = bool(self.store.read(lambda unit: peers.keys_of(unit, mine.id, kind="ed25519")))
        deaf = 0
        for first in range(0, len(waiting), AT_ONCE):
            some = waiting[first : first + AT_ONCE]
            settled: list[tuple[Item, Arriving | Never | NotNow]] = []
            for item in some:
                got = self._file(mine, get, item, is_signed=is_signed)
                settled.append((item, got))
                deaf = deaf + 1 if isinstance(got, NotNow) and got.code != "http_404" else 0
                if deaf >= DEAF_AFTER or self.clock() >= until:
                    break
            self._ring(self.store.run(partial(self._settle, mine=mine, settled=settled)))
            if deaf >= DEAF_AFTER or self.clock() >= until:
                return

    def _get_or_none(self, mine: Peer) -> Get | None:
        try:
            return self.get_of(mine)
        except Never:
            return None

    def _file(self, mine: Peer, get: Get | None, item: Item, *, is_signed: bool) -> Arriving | Never | NotNow:
        if get is None:
            return Never("this peer is not asked", code="bad_address")
        try:
            found = get(item.url)
            signature = self._signature(get, item.url) if is_signed else ""
        except (Never, NotNow) as error:
            is_named = mine.form == "stream" and error.code.startswith("http_")  # its heartbeat has named it
            is_there = is_named or (error.code in ("http_404", UNCHANGED) and item.tries < EARLY)
            return NotNow(error.detail, code=error.code) if is_there and isinstance(error, Never) else error
        return self._kept(mine, found.data, found.content_type, item.url, signature)

    def _signature(self, get: Get, url: str) -> str:
        """The line beside the file; '' without one. Raises NotNow: who cuts it off would make it unsigned."""
        try:
            return get(f"{url}.sig").data[:SIGNATURE].decode("ascii", "replace").strip()
        except Never:
            return ""

    def _kept(self, mine: Peer, data: bytes, media_type: str, url: str, signature: str = "") -> Arriving:
        blob = self.blobs.put(data) if len(data) > INLINE else ""
        return arriving(
            data,
            peer=mine.id,
            media_type=media_type,
            at=self.clock(),
            url=url,
            signature=signature,
            blob=blob,
        )

    def _settle(
        self, unit: Unit, mine: Peer, settled: list[tuple[Item, Arriving | Never | NotNow]]
    ) -> list[tuple[str, bool]]:
        at = self.clock()
        kept: list[Arriving] = []
        for item, got in settled:
            if isinstance(got, Arriving):
                if peers.settle_item(unit, item, "keep", at):
                    kept.append(got)
            elif isinstance(got, NotNow) and (item.tries < len(ITEM_WAITS) or mine.form == "stream"):
                wait = max(ITEM_WAITS[min(item.tries, len(ITEM_WAITS) - 1)], got.retry_after or timedelta())
                peers.postpone_item(unit, item, got.code, at + wait, at)
            elif peers.settle_item(unit, item, "refuse_item", at, reason=got.code):
                shelf.put(unit, "peer", got.code[:60], origin=item.id, at=at)
        return keep_many(unit, kept) if kept else []

    def _ring(self, kept: list[tuple[str, bool]]) -> None:
        for arrival_id, is_fresh in kept:
            if is_fresh:
                self.bell("read_bulletin", arrival_id)
