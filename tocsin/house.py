"""Several servers in one event loop, started together and stopped together."""

import asyncio
import contextlib
import math
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Protocol

import uvicorn


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


class Door(Protocol):
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


def server(app: Any, patience: Patience = DEMO) -> Server:
    """A server for an ASGI application; its sockets come from outside."""
    leaving = Leaving(app)
    made = Server(
        uvicorn.Config(
            leaving,
            http="h11",  # strict about lengths and chunks (H23); another parser must be tried before it is used
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

    async def open_web(self, app: Any, bound: socket.socket) -> None:
        """Serve `app`; returns when it answers."""
        made = server(app, self._patience)
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
