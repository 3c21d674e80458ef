"""Several servers in one event loop, started together and stopped together."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Protocol

import uvicorn

DRAIN_SECONDS = 2  # open requests get this long; a stream of events never ends by itself


class Door(Protocol):
    """What listens for mail: the SMTP door, or the demo's relay."""

    async def start(self) -> object: ...

    async def stop(self) -> None: ...


class Server(uvicorn.Server):
    """A uvicorn server that leaves the signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: one handler for all servers stands in `until_told`."""
        yield


def server(app: Any) -> Server:
    """A server for an ASGI application; its sockets come from outside."""
    return Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=64 * 1024,
        )
    )


class House:
    """``async with House() as house``: start servers and doors, and leave none behind."""

    def __init__(self) -> None:
        self._servers: list[tuple[Server, asyncio.Task[None]]] = []
        self._doors: list[Door] = []

    async def __aenter__(self) -> "House":
        return self

    async def open_web(self, app: Any, bound: socket.socket) -> None:
        """Serve `app`; returns when it answers."""
        made = server(app)
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
        await asyncio.gather(*(door.stop() for door in self._doors), return_exceptions=True)
        await asyncio.gather(*(task for _, task in self._servers), return_exceptions=True)


def told_to_stop() -> asyncio.Event:
    """Set by SIGTERM or SIGINT from now on; call it before anybody is told that the hub is ready."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    return told


async def until_told() -> None:
    """Wait for SIGTERM or SIGINT; later ones are the same word said again."""
    await told_to_stop().wait()
