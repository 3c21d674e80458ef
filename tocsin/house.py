"""Several servers in one event loop, started together and stopped together."""

import asyncio
import contextlib
import math
import resource
import signal
import socket
import time
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from web.gate import COUNTED, Turnstile


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a stop waits for what is under way."""

    last_word: timedelta  # kept connections may ask once more, and are answered `Connection: close`
    drain: timedelta  # then open requests get this long; a stream of events never ends by itself
    part: timedelta  # workers, sweep and mails each; the next sweep finds what is cut off


DEMO = Patience(
    last_word=timedelta(seconds=0.3), drain=timedelta(seconds=2), part=timedelta(seconds=1.5)
)  # 4 s
PRODUCTION = Patience(
    last_word=timedelta(seconds=1), drain=timedelta(seconds=4), part=timedelta(seconds=2)
)  # 10 s


RESERVED = 64  # descriptors for what is no connection: files, the database, children
FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Door(typing.Protocol):
    """What listens for mail: the SMTP door, or the demo's relay."""

    async def start(self) -> object: ...

    async def stop(self, *, grace: timedelta = ...) -> None: ...


class Server(uvicorn.Server):
    """A uvicorn server that leaves the signals to the process, and its port without losing a request."""

    last_word = DEMO.last_word

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, let whoever is connected ask once more, then end what is left.

        A connection closed while its next request is on the way would lose that request; one that is told
        `Connection: close` ends with an answer.
        """
        for one in self.servers:
            one.close()
        for bound in sockets or []:
            bound.close()
        end = time.monotonic() + self.last_word.total_seconds()
        await asyncio.sleep(0.05)  # what was accepted a moment ago is no connection yet
        while self.server_state.connections and time.monotonic() < end:
            await asyncio.sleep(0.02)
        await super().shutdown()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: one handler for all servers stands in `told_to_stop`."""
        yield


class Leaving:
    """Says `Connection: close` with every answer once the server is about to go."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.server: Server | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def speak(message: Any) -> None:
            if message["type"] == "http.response.start" and self.server and self.server.should_exit:
                message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, speak)


class Protocol(H11Protocol):
    """One connection: who comes to a full door is answered without being read, and not too many connections come in."""

    turnstile: Turnstile | None = None
    _door = ""  # at which the request under way is counted

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > connections_at_most():
            transport.write(FULL)
            transport.close()

    def data_received(self, data: bytes) -> None:
        turnstile = self.turnstile
        is_idle = self.conn.our_state is h11.IDLE and not self.conn.trailing_data[0]
        door = turnstile.door(data) if turnstile and is_idle and not self._door else ""
        if not door or turnstile is None:
            super().data_received(data)
            return
        if turnstile.crowd.is_full(door):
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
            self.transport.write(turnstile.refusal(door))
            return
        turnstile.crowd.enter(door)
        self._door = door
        super().data_received(data)
        if self.scope is not None:  # the application has not begun: its task is only made
            typing.cast(dict[str, Any], self.scope)[COUNTED] = True

    def on_response_complete(self) -> None:
        self._leave()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        door, self._door = self._door, ""
        if door and self.turnstile:
            self.turnstile.crowd.leave(door)


def connections_at_most() -> int:
    """So many that files, the database and children still get descriptors when everybody comes (PROMISES F29)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - max(soft // 4, RESERVED), RESERVED) if soft != resource.RLIM_INFINITY else 100_000


def server(app: Any, patience: Patience = DEMO, turnstile: Turnstile | None = None) -> Server:
    """A server for an ASGI application; its sockets come from outside."""
    leaving = Leaving(app)
    protocol = type("Protocol", (Protocol,), {"turnstile": turnstile})
    made = Server(
        uvicorn.Config(
            leaving,
            http=protocol,  # h11, strict about lengths and chunks (H23); another parser must be tried before it is used
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            timeout_graceful_shutdown=math.ceil(patience.drain.total_seconds()),
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=64 * 1024,
        )
    )
    leaving.server, made.last_word = made, patience.last_word
    return made


class House:
    """``async with House() as house``: start servers and doors, and leave none behind."""

    def __init__(self, patience: Patience = DEMO) -> None:
        self._patience = patience
        self._servers: list[tuple[Server, asyncio.Task[None]]] = []
        self._doors: list[Door] = []

    async def __aenter__(self) -> "House":
        return self

    async def open_web(self, app: Any, bound: socket.socket, turnstile: Turnstile | None = None) -> None:
        """Serve `app`; returns when it answers."""
        made = server(app, self._patience, turnstile)
        task = asyncio.create_task(made.serve(sockets=[bound]))
        self._servers.append((made, task))
        while not made.started:
            if task.done():
                await task
                raise RuntimeError("a server ended while starting")
            await asyncio.sleep(0.005)

    async def open_door(self, door: Door) -> None:
        """Open a door for mail."""
        await door.start()
        self._doors.append(door)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for made, _ in self._servers:
            made.should_exit = True
        await asyncio.gather(
            *(door.stop(grace=self._patience.part) for door in self._doors), return_exceptions=True
        )
        await asyncio.gather(*(task for _, task in self._servers), return_exceptions=True)


def told_to_stop() -> asyncio.Event:
    """Set by SIGTERM or SIGINT from now on; call it before anybody is told that the hub is ready."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    return told
