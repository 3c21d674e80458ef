"""A provider that misbehaves to order: Twilio's Messages API in a process of its own, which no kill of a hub ends.

    python -m tests.faults.provider PORT LEDGER ACCOUNT_SID AUTH_TOKEN

``POST /plan`` replaces what it does (tests/faults/plan.py). It shares no code with the hub or its simulator:
HTTP by hand, so that an answer can be cut, trickle or be reset.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
import socket
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.faults.callbacks import Callbacks
from tests.faults.ledger import Call, Ledger
from tests.faults.listing import page, shown
from tests.faults.plan import Act, Listing, Plan, Step, parse

_SLOW_SECONDS = 0.2  # a byte; the body of 400 bytes takes longer than any caller waits


class Provider:
    """The state of a running provider."""

    def __init__(self, ledger: Path, *, account_sid: str, auth_token: str, clock: str = "") -> None:
        """`clock`: the file of seconds that the hub's clock is ahead, '' for none."""
        self._clock = clock
        self.plan = Plan()
        self._ledger = Ledger(ledger)
        self._last_sid = ""
        self._account_sid = account_sid
        login = base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()
        self._login = f"Basic {login}"
        self._callbacks = Callbacks(account_sid=account_sid, auth_token=auth_token, seed=1)
        self._count = self._ledger.count
        self._listed = 0
        self._pen = ThreadPoolExecutor(
            1
        )  # one thread: the lines stand in the order in which they were handed over
        self._senders: dict[str, str] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, as many requests as its client sends."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await self._request(reader, writer):
                pass
        writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False ends the connection."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {k.lower(): v.strip() for k, _, v in (one.partition(":") for one in lines[1:])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if path == "/plan" and method == "POST":
            self.plan = parse(json.loads(body))
            return await _say(writer, 200, "{}")
        if path == "/listed":
            return await _say(writer, 200, str(self._listed))
        if headers.get("authorization") != self._login:
            return await _say(writer, 401, _error(401, 20003))
        where = urlsplit(path)
        if where.path != f"/2010-04-01/Accounts/{self._account_sid}/Messages.json":
            return await _say(writer, 404, _error(404, 20404))
        if method == "GET":
            return await self._list(dict(parse_qsl(where.query)), reader, writer)
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        return await self._create(form, reader, writer)

    async def _create(
        self, form: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        begun = time.clock_gettime(
            time.CLOCK_BOOTTIME
        )  # nothing slow happens in this loop: the pen has its own thread
        self._count += 1
        n = self._count
        step = self.plan.step(n)
        await asyncio.sleep(step.delay_ms / 1000)
        sid = self._last_sid if step.act is Act.SAME_SID and self._last_sid else f"SM{secrets.token_hex(16)}"
        asked = parse_qs(urlsplit(form.get("StatusCallback", "")).query)
        text = form.get("Body", "")
        call = Call(
            n=n, at=time.clock_gettime(time.CLOCK_BOOTTIME), to=form.get("To", ""), body=text,
            sha256=hashlib.sha256(text.encode()).hexdigest(), tag=asked.get("d", [""])[0],
            attempt=asked.get("a", [""])[0], act=step.act.value, is_taken=step.act.takes,
            is_ambiguous=step.act.is_ambiguous, sid=sid, begun=begun, ahead=self._ahead(),
        )  # fmt: skip
        await asyncio.get_running_loop().run_in_executor(self._pen, self._ledger.write, call)
        if step.act.takes:
            self._last_sid, self._senders[sid] = sid, form.get("From", "")
            if step.act is not Act.DROP:
                url = form.get("StatusCallback", "")
                await self._callbacks.tell(url, sid=sid, to=form["To"], step=step)
        return await _end(step, self._resource(sid, form), reader, writer)

    def _ahead(self) -> float:
        return float(Path(self._clock).read_text()) if self._clock else 0.0

    async def _list(
        self, query: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """What it holds, newest first, a page at a time; as blind, silent or broken as the plan says."""
        self._listed += 1
        match self.plan.listing:
            case Listing.ERROR:
                return await _say(writer, 500, "{}")
            case Listing.HANG:
                await reader.read(1)
                return False
        plan = self.plan
        here = shown(self._ledger.path, query, account_sid=self._account_sid, lag=plan.list_lag_seconds,
                     final=plan.listed_as, senders=self._senders)  # fmt: skip
        return await _say(writer, 200, page(here, query, account_sid=self._account_sid))

    def _resource(self, sid: str, form: dict[str, str]) -> str:
        """The Message resource, as far as a client reads it ("Message resource", properties)."""
        uri = f"/2010-04-01/Accounts/{self._account_sid}/Messages/{sid}.json"
        return json.dumps({
            "sid": sid, "status": "queued", "to": form.get("To"), "from": form.get("From"),
            "body": form.get("Body"), "error_code": None, "error_message": None, "uri": uri,
            "account_sid": self._account_sid, "api_version": "2010-04-01", "direction": "outbound-api",
            "num_segments": "1", "num_media": "0", "date_created": "Mon, 23 Nov 2026 06:05:00 +0000",
        })  # fmt: skip


async def _end(step: Step, resource: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """What the caller meets; False when the connection is over."""
    said = {
        **dict.fromkeys((Act.OK, Act.SAME_SID, Act.DROP), (201, resource, "")),
        Act.THROTTLE: (429, _error(429, 20429), f"Retry-After: {step.retry_after}\r\n"),
        Act.REFUSE: (400, _error(400, 21614), ""),
        **dict.fromkeys((Act.ERROR_BEFORE, Act.ERROR_AFTER), (500, "{}", "")),
        Act.REDIRECT: (301, "", "Location: /2010-04-01/elsewhere\r\n"),
        Act.GARBAGE_AFTER: (200, "<html>please log in</html>", ""),
    }.get(step.act)
    if said is not None:
        return await _say(writer, *said)
    whole = _head(201, len(resource.encode())) + resource.encode()
    match step.act:
        case Act.HANG_BEFORE | Act.HANG_AFTER:
            await reader.read(1)  # until the caller goes
        case Act.RESET_BEFORE | Act.RESET_AFTER:
            reset(writer)
        case Act.CUT_AFTER:
            writer.write(whole[: len(whole) // 2])
            await writer.drain()
        case Act.SLOW_AFTER:
            await _trickle(writer, whole)
    return False


async def _say(writer: asyncio.StreamWriter, status: int, body: str, headers: str = "") -> bool:
    writer.write(_head(status, len(body.encode()), headers) + body.encode())
    await writer.drain()
    return True


def _head(status: int, length: int, headers: str = "") -> bytes:
    what = (
        f"HTTP/1.1 {status} .\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n"
    )
    return what.encode()


def _error(status: int, code: int) -> str:
    return json.dumps({"code": code, "message": "refused", "status": status})


async def _trickle(writer: asyncio.StreamWriter, answer: bytes) -> None:
    for byte in answer:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(_SLOW_SECONDS)


def reset(writer: asyncio.StreamWriter) -> None:
    """RST in place of FIN."""
    wire = writer.get_extra_info("socket")
    if wire.fileno() >= 0:  # else it is closed already
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def main(port: str, ledger: str, account_sid: str, auth_token: str, clock: str = "") -> None:
    """Serve until killed."""
    made = Provider(Path(ledger), account_sid=account_sid, auth_token=auth_token, clock=clock)
    server = await asyncio.start_server(made.serve, "127.0.0.1", int(port))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
