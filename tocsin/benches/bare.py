"""Ceilings as processes of their own: servers that do the least that could be done.

``python -m tocsin.benches.bare smtp PORT``: aiosmtpd as it comes, which keeps nothing. ``hooks``: the web process of
this hub, whose store forgets. ``provider PORT``: Twilio's answer to a message create, at once.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import uvloop
from aiosmtpd.smtp import SMTP

from hub.log import configure
from hub.wiring import build
from store.database import Store
from tocsin import sockets
from tocsin.given import settings_of
from tocsin.house import PRODUCTION, House, told_to_stop
from web.app import create_app

MESSAGE = (
    b'{"sid": "SM%032x", "status": "queued", "error_code": null, "error_message": null, "body": "", "to": "",'
    b' "from": "", "num_segments": "1", "account_sid": "", "uri": ""}'
)


class _Taken:
    async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:
        return "250 OK"


async def smtp(port: int) -> None:
    """aiosmtpd with a handler that says 250."""
    logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(_Taken(), loop=loop, enable_SMTPUTF8=True), "127.0.0.1", port
    )
    await told_to_stop().wait()
    server.close()


class _Forgetful:
    """A store that says yes to every message and keeps none; for everything else the real one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def item(self, _many: Callable[..., Sequence[Any]], item: Any, **_how: Any) -> Any:
        return item.minted if hasattr(item, "minted") else (item.id, True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def hooks() -> None:
    """The web process with a store that forgets."""
    configure()
    settings = settings_of()
    hub = build(settings)
    told = told_to_stop()
    async with House(PRODUCTION) as house:
        forgetful = replace(hub, store=cast(Store, _Forgetful(hub.store)))
        await house.open_web(create_app(forgetful), sockets.listen(settings.host, settings.port))
        await told.wait()
    hub.close()


class _Provider(asyncio.Protocol):
    """One kept connection; requests come one at a time."""

    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._heard = b""

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, gap, body = self._heard.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        if not gap or len(body) < length:
            return
        self._heard = body[length:]
        _Provider.count += 1
        made = MESSAGE % _Provider.count
        self._transport.write(
            b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % len(made)
            + made
        )


async def provider(port: int) -> None:
    """A provider that has taken every message before it is asked."""
    server = await asyncio.get_running_loop().create_server(_Provider, "127.0.0.1", port)
    await told_to_stop().wait()
    server.close()


if __name__ == "__main__":
    what = sys.argv[1]
    if what == "hooks":
        uvloop.run(hooks())  # as the hub's own
    else:
        asyncio.run({"smtp": smtp, "provider": provider}[what](int(sys.argv[2])))
