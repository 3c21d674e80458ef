"""A stream of events as an HTTP answer: heartbeats, an end for who may no longer read, none for the slow."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hub.wiring import Hub
from web.live import Entry, Listener, Live, event, write

BEAT = 15.0  # s: proxies cut a silent connection after 30 to 60
CHECK = 5.0  # s between looks whether the reader still may
SLOW = 10.0  # s for one piece to leave; whoever is slower comes back and reads what he missed
_ABOUT_READERS = frozenset(
    ("auth", "grant", "person", "key")
)  # entries after which a reader may have lost his right
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back until its buffer is full
}
Choose = Callable[[Sequence[Entry]], Awaitable[Sequence[Entry]]]


class EventStream(Response):
    """An ASGI answer. It ends when the hub leaves, the reader goes, is too slow, or has lost his right.

    `why_not`: why he may read no more, "session" or "sight"; "" while he may.
    """

    def __init__(
        self,
        hub: Hub,
        live: Live,
        listener: Listener,
        *,
        must_reload: bool,
        choose: Choose,
        why_not: Callable[[], Awaitable[str]],
        slow: float = SLOW,
    ) -> None:
        super().__init__(headers=_HEADERS, media_type="text/event-stream")
        del self.headers["content-length"]
        self._hub = hub
        self._live = live
        self._listener = listener
        self._must_reload = must_reload
        self._choose = choose
        self._why_not = why_not
        self._slow = slow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak until one of the ends."""
        speaking = asyncio.create_task(self._speak(send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((speaking, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._live.close(self._listener)
            for task in (speaking, leaving):
                task.cancel()
            await asyncio.gather(speaking, leaving, return_exceptions=True)

    async def _speak(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        with contextlib.suppress(TimeoutError):
            await self._events(send)
            await self._say(send, b"", is_last=True)

    async def _events(self, send: Send) -> None:
        now = asyncio.get_running_loop().time
        said = checked = now()

        def left() -> float:  # to the next look: what is told meanwhile does not put it off
            return max(0.0, checked + CHECK - now())

        await self._say(
            send, b"retry: 500\n\n" + self._beat() + (event("reset", {}) if self._must_reload else b"")
        )
        async for batch in self._live.listen(self._listener, left):
            if now() - checked >= CHECK or any(entry.kind in _ABOUT_READERS for entry in batch):
                checked = now()
                if why := await self._why_not():
                    await self._say(send, event("bye", {"why": why}))
                    return
            if told := await self._choose(batch):
                said = now()
                await self._say(send, b"".join(entry.sent for entry in told))
            elif now() - said >= BEAT:
                said = now()
                await self._say(send, self._beat())
        if self._listener.is_displaced:
            await self._say(send, event("bye", {"why": "displaced"}))

    async def _say(self, send: Send, body: bytes, *, is_last: bool = False) -> None:
        async with asyncio.timeout(self._slow):
            await send({"type": "http.response.body", "body": body, "more_body": not is_last})

    def _beat(self) -> bytes:
        """The hub's time, and the place reached: who was told nothing of ours need not be sent it again."""
        mark = write(self._hub.keys.cursor, self._listener.cursor)
        return event("beat", {"at": self._hub.clock().isoformat()}, mark=mark)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
