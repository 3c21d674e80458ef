"""Asks a chat provider for what came in: what is confirmed to it lies here first (PROMISES R1)."""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from domain.errors import Never, NotNow, Unavailable
from domain.report import Inbound, Kept
from intake import desk
from intake.spool import Spool
from store import journal, polls, shelf
from store.blobs import Blobs
from store.database import Store
from store.unit import Unit

LEASE = timedelta(seconds=60)  # of being the one who asks: two long polls
OTHERS_TURN = timedelta(seconds=5)  # until one who is not looks again
REFUSED = timedelta(seconds=30)  # after an answer that only a person can mend
AGAIN = timedelta(seconds=3)  # after a silence
KEPT = timedelta(hours=24)  # updates wait so long for a bot ("getUpdates"); then some are lost
AT_ONCE = timedelta(0)


@dataclass(slots=True, kw_only=True)
class Poller:
    """One source of one process. `ask(offset)` waits for news; it raises NotNow, Never, Unavailable."""

    source: str
    ask: Callable[[int], Sequence[dict[str, Any]]]
    read: Callable[[dict[str, Any], datetime], Inbound | None]
    number: Callable[[dict[str, Any]], int]  # of an update that `read` understands
    store: Store
    blobs: Blobs
    spool: Spool
    clock: Callable[[], datetime]
    bell: Callable[[str, str], None]
    admit: Callable[[int], None] = field(
        default=lambda _size: None
    )  # raises Unavailable when the disk is full
    holder: str = field(default_factory=lambda: secrets.token_hex(16))
    idles: timedelta = AT_ONCE  # between two questions: where the provider posts, only its address is renewed
    _offset: int = 0
    _is_mine: bool = False

    def turn(self) -> timedelta:
        """Ask once, keep what came, and only then let the next question confirm it; how long to wait for that."""
        if not self._hold():
            self._offset = 0
            return OTHERS_TURN
        try:
            found = self.ask(self._offset)
        except (NotNow, Never) as error:
            code = error.code
            self._note(lambda unit: polls.failed(unit, self.source, code, self.clock()))
            if isinstance(error, Never):
                return REFUSED
            return error.retry_after or AGAIN
        except Unavailable:  # this process is leaving
            return AGAIN
        self._note(self._answered)
        kept = asyncio.run(self._keep(found))
        # 0 asks for what is not confirmed: numbers may begin anew below ours after a week ("Update", update_id)
        self._offset = kept + 1 if kept >= 0 else 0
        return self.idles if kept >= 0 or not found else AGAIN

    def _hold(self) -> bool:
        at = self.clock()
        try:
            self._is_mine = self.store.run(
                lambda unit: polls.hold(unit, self.source, self.holder, at, at + LEASE)
            )
        except Unavailable:  # nobody else can take it either: what comes goes to the spool
            return self._is_mine
        return self._is_mine

    async def _keep(self, found: Sequence[dict[str, Any]]) -> int:
        """Keep all of them; the highest number up to which each one is durable, -1 for none."""
        at = self.clock()
        said = await asyncio.gather(*(self._one(update, at) for update in found))
        highest = -1
        for number in said:
            if number is None:
                break
            highest = max(highest, number)
        return highest

    async def _one(self, update: dict[str, Any], at: datetime) -> int | None:
        """The number of an update that is durable now, -1 where it has none; None where nothing could keep it."""
        try:
            inbound = self.read(update, at)
            if inbound is None:
                raw = repr(update).encode()
                self._note(lambda unit: _shelve(unit, self.source, raw, self.clock()))
                return -1
            number = self.number(update)
            self.admit(len(inbound.raw))
            kept: Kept = await desk.take(
                inbound, store=self.store, blobs=self.blobs, spool=self.spool, at=inbound.received_at
            )
        except Unavailable:
            return None
        except Exception:  # an update that nothing can take must not make us deaf for those behind it
            return self._set_aside(update)
        if kept.is_fresh:
            self.bell("file_report", kept.inbound_id)
        return number

    def _set_aside(self, update: dict[str, Any]) -> int | None:
        raw = json.dumps(update).encode()
        origin = f"{self.source}/{hashlib.sha256(raw).hexdigest()[:32]}"

        def work(unit: Unit) -> None:
            if not shelf.has_held(unit, "inbound", origin):
                shelf.put(unit, "inbound", "update_refused", at=self.clock(), origin=origin, raw=raw)

        try:
            self.store.run(work)
            return self.number(update)
        except Unavailable:
            return None
        except (AttributeError, KeyError, TypeError, ValueError):
            return -1  # no number: it cannot be confirmed

    def _answered(self, unit: Unit) -> None:
        at = self.clock()
        before = polls.answered(unit, self.source, at)
        if before is not None and at - before > KEPT:
            hours = int((at - before).total_seconds() // 3600)
            shelf.put(unit, "door", "poll_gap", at=at, origin=f"{self.source}/{hours}h")
            journal.append(unit, "door", self.source, "poll_gap", by="system", at=at, detail={"hours": hours})

    def _note(self, work: Callable[[Unit], None]) -> None:
        try:
            self.store.run(partial(work))
        except Unavailable:
            return


def _shelve(unit: Unit, source: str, raw: bytes, at: datetime) -> None:
    """An update without a number of its own: it cannot be confirmed, and is put aside once."""
    if not shelf.held(unit, "inbound", source):
        shelf.put(unit, "inbound", "bad_shape", at=at, origin=source, raw=raw[:20_000])
