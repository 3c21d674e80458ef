"""Words about a call or a message, which are no messages: they wait in a spool of their own while the database is down."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from domain.errors import HubError, Unavailable
from domain.ids import mint
from domain.report import Inbound, Kept
from intake.spool import Spool
from store import shelf
from store.database import Store
from store.unit import Unit

T = TypeVar("T")
SPOOL = "words"  # a directory in that of the doors; its frames are of another kind


class Put(Protocol):
    """Does with a word what its door would have done. Safe to repeat."""

    def __call__(self, unit: Unit, word: Inbound) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The spool of words, and who understands which kind."""

    spool: Spool
    puts: Mapping[str, Put]  # channel -> who takes its words

    async def take(self, word: Inbound, work: Callable[[Unit], T], store: Store) -> T | None:
        """What a door awaits before it answers: `work` committed, or `word` durable here and None.

        Raises Unavailable when it could be kept nowhere.
        """
        try:
            return await asyncio.wrap_future(store.submit(work))
        except (Unavailable, OSError):  # an unknown COMMIT too: said twice it is the same
            names = Kept(inbound_id=mint("wrd", word.received_at), report_id="", code="", is_fresh=True)
            await asyncio.to_thread(self.spool.put, word, names)
            return None

    def drain(self, *, store: Store, at: datetime) -> int:
        """Bring what waits into the database, oldest first; how many. Stops with Unavailable as soon as that does.

        A torn word, and one that is refused, goes to the shelf and stays on disk: it holds up no other.
        """
        count = 0
        for path, word, _ in self.spool.read():
            if word is None:
                self._set_aside(path, "torn_frame", store, at)
                continue
            try:
                store.run(partial(self._put, word=word))
            except (HubError, OSError):
                raise
            except Exception:
                self._set_aside(path, "frame_refused", store, at)
                continue
            self.spool.done(path)
            count += 1
        return count

    def _put(self, unit: Unit, word: Inbound) -> None:
        self.puts[word.channel](unit, word)

    def _set_aside(self, path: Path, reason: str, store: Store, at: datetime) -> None:
        store.run(partial(shelf.put, kind="spool", reason=reason, origin=path.name, at=at))
        self.spool.set_aside(path)


def word(channel: str, raw: bytes, *, of: str, at: datetime, **meta: object) -> Inbound:
    """A word as the spool keeps it; `of`: what it is about. The same words of the same thing wait once."""
    told = hashlib.sha256(raw).hexdigest()
    return Inbound(
        channel=channel, external_id=f"{of}:{told}", raw=raw, media_type="", received_at=at, meta=meta
    )
