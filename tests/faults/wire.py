"""A TCP proxy that hurts: between the hub and a provider, its database, its broker, or a client."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from tests.faults.provider import reset
from tests.servers import free_port

T = TypeVar("T")
_CHUNK = 65536


class Kind(StrEnum):
    """What happens to bytes from now on, on open connections too."""

    PASS = "pass"
    REFUSE = "refuse"  # nobody listens: connection refused
    RESET = "reset"  # RST at the first byte of a client
    RESET_BEFORE_REPLY = "reset_before_reply"  # the server has the whole request, the client gets RST
    HALF_CLOSE = "half_close"  # the server has the whole request, the client gets FIN and may go on sending
    CUT_REQUEST = "cut_request"  # `count` bytes of it reach the server, then RST for both
    CUT_REPLY = "cut_reply"
    CUT_AT_SIGHT = "cut_at_sight"  # each `count`-th request with `sight` in it reaches the server, then RST for the client
    BLACKHOLE = "blackhole"  # connections open and stay silent
    DELAY = "delay"  # `seconds` for each chunk, both ways
    SLOW = "slow"  # one byte of a reply each `seconds`
    CORRUPT = "corrupt"  # a bit of each chunk of a reply is flipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A kind and its measure."""

    kind: Kind = Kind.PASS
    count: int = 0
    seconds: float = 0.0
    sight: bytes = b""
    after: bytes = b""  # only on a connection that has carried this before


@dataclass(slots=True, eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    sent: int = 0  # bytes of the client that reached the server
    replied: int = 0
    is_marked: bool = False  # `after` has gone by
    is_doomed: bool = False  # what it asked for last is carried out, and nobody hears of it

    def reset(self) -> None:
        reset(self.client)
        reset(self.server)


class Wire:
    """``with Wire("127.0.0.1", 5432) as wire``: connect to `wire.port`; turn() changes what it does."""

    def __init__(self, host: str, port: int) -> None:
        self.port = free_port()
        self._to = (host, port)
        self.sights = self.cuts = 0  # requests with `sight` in them, and how many of these had no answer
        self._mode = Mode()
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "Wire":
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def turn(
        self, kind: Kind, *, count: int = 0, seconds: float = 0.0, sight: bytes = b"", after: bytes = b""
    ) -> None:
        """Do `kind` from now on."""
        self._run(self._turn(Mode(kind=kind, count=count, seconds=seconds, sight=sight, after=after)))

    def reset(self) -> None:
        """RST on every open connection, both sides, now."""
        self._run(self._reset())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _turn(self, mode: Mode) -> None:
        self._mode = mode
        self._changed.set()
        self._changed = asyncio.Event()
        if mode.kind is Kind.REFUSE and self._server is not None:
            self._server.close()
            self._server = None
            await self._reset()
        elif mode.kind is not Kind.REFUSE and self._server is None:
            await self._listen()

    async def _reset(self) -> None:
        for connection in list(self._open):
            connection.reset()

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._reset()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection(*self._to)
        except OSError:
            reset(writer)
            return
        connection = _Connection(writer, to_server)
        self._open.add(connection)
        try:
            await asyncio.gather(
                self._pump(reader, connection, is_reply=False),
                self._pump(from_server, connection, is_reply=True),
            )
        finally:
            self._open.discard(connection)
            writer.close()
            to_server.close()

    async def _pump(self, reader: asyncio.StreamReader, connection: _Connection, *, is_reply: bool) -> None:
        writer = connection.client if is_reply else connection.server
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while chunk := await reader.read(_CHUNK):
                if self._mode.kind is Kind.BLACKHOLE:
                    await self._changed.wait()
                    connection.reset()  # what fell into the hole does not come out of it
                    return
                if is_reply:
                    is_on = await self._reply(connection, chunk)
                else:
                    is_on = await self._request(connection, chunk)
                if not is_on:
                    return
            writer.write_eof()

    async def _request(self, connection: _Connection, chunk: bytes) -> bool:
        """Bytes of the client; False when its connection is over."""
        mode = self._mode
        if mode.kind is Kind.RESET:
            connection.reset()
            return False
        if mode.kind is Kind.DELAY:
            await asyncio.sleep(mode.seconds)
        if mode.kind is Kind.CUT_AT_SIGHT:
            connection.is_marked = connection.is_marked or mode.after in chunk
        if mode.kind is Kind.CUT_AT_SIGHT and connection.is_marked and mode.sight in chunk:
            self.sights += 1
            connection.is_doomed = self.sights % mode.count == 0
        if mode.kind is Kind.CUT_REQUEST:
            chunk, is_cut = chunk[: max(mode.count - connection.sent, 0)], True
        else:
            is_cut = False
        connection.sent += len(chunk)
        connection.server.write(chunk)
        await connection.server.drain()
        if is_cut and connection.sent >= mode.count:
            await asyncio.sleep(0.05)  # what was let through must arrive before the RST overtakes it
            connection.reset()
            return False
        return True

    async def _reply(self, connection: _Connection, chunk: bytes) -> bool:
        """Bytes of the server; False when nothing more of it reaches the client."""
        mode = self._mode
        if connection.is_doomed:
            self.cuts += 1
            connection.reset()
            return False
        match mode.kind:
            case Kind.RESET_BEFORE_REPLY:
                connection.reset()
                return False
            case Kind.HALF_CLOSE:
                connection.client.write_eof()
                return False
            case Kind.DELAY:
                await asyncio.sleep(mode.seconds)
            case Kind.CORRUPT:
                chunk = bytes([chunk[0] ^ 1]) + chunk[1:]
            case Kind.CUT_REPLY:
                chunk = chunk[: max(mode.count - connection.replied, 0)]
            case Kind.SLOW:
                await self._trickle(connection, chunk, mode.seconds)
                return True
        connection.replied += len(chunk)
        connection.client.write(chunk)
        await connection.client.drain()
        if mode.kind is Kind.CUT_REPLY and connection.replied >= mode.count:
            await asyncio.sleep(0.05)
            connection.reset()
            return False
        return True

    async def _trickle(self, connection: _Connection, chunk: bytes, seconds: float) -> None:
        for byte in chunk:
            connection.client.write(bytes([byte]))
            await connection.client.drain()
            connection.replied += 1
            await asyncio.sleep(seconds)
