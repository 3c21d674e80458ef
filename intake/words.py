"""Words about a call or a message, which are no messages: they wait in a spool of their own while the database is down."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from domain.errors import Unavailable
from domain.ids import mint
from domain.report import Inbound, Kept
from intake import draining
from intake.draining import Frame
from intake.spool import Spool
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

    def drain(self, *, store: Store, clock: Callable[[], datetime]) -> int:
        """Bring what waits into the database, as draining.drain() does; how many.

        One that is refused, e.g. of a call that was destroyed meanwhile, goes to the shelf.
        """

        def keep(some: Sequence[Frame]) -> list[str]:
            def work(unit: Unit) -> None:
                for one in some:
                    self.puts[one.inbound.channel](unit, one.inbound)

            store.run(work)
            return [one.minted.inbound_id for one in some]

        return len(draining.drain(self.spool, keep, store=store, clock=clock))


def word(channel: str, raw: bytes, *, of: str, at: datetime, **meta: object) -> Inbound:
    """A word as the spool keeps it; `of`: what it is about. The same words of the same thing wait once."""
    told = hashlib.sha256(raw).hexdigest()
    return Inbound(
        channel=channel, external_id=f"{of}:{told}", raw=raw, media_type="", received_at=at, meta=meta
    )
