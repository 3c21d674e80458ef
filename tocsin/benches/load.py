"""Clients that cost little themselves: kept connections that say prepared bytes and wait for each answer."""

import asyncio
import base64
import hashlib
import hmac
import itertools
import time
from collections.abc import Sequence
from urllib.parse import urlencode

LINE = b"The river rises; the bridge at the old mill is closed to all traffic since six.\r\n"
_serial = itertools.count()


def mail(size: int) -> bytes:
    """A mail of about `size` bytes that no other one repeats, ready for DATA."""
    head = (
        b"From: a@example.org\r\nTo: report@tocsin.example\r\nSubject: water\r\n"
        b"Message-ID: <bench-%d-%d@example.org>\r\n\r\n" % (time.time_ns(), next(_serial))
    )
    return head + LINE * max((size - len(head)) // len(LINE), 1) + b".\r\n"


def mails_per_second(address: tuple[str, int], mails: Sequence[bytes], connections: int) -> float:
    """Send `mails` over that many kept connections, each mail answered before the next one on it."""
    return asyncio.run(_mails(address, mails, connections))


async def _mails(address: tuple[str, int], mails: Sequence[bytes], connections: int) -> float:
    lines = [await asyncio.open_connection(*address) for _ in range(connections)]
    for reader, writer in lines:
        await reader.readline()
        writer.write(b"EHLO bench\r\n")
        while (await reader.readline())[3:4] == b"-":
            continue

    async def send(line: tuple[asyncio.StreamReader, asyncio.StreamWriter], mine: Sequence[bytes]) -> None:
        reader, writer = line
        for body in mine:
            for words in (
                b"MAIL FROM:<a@example.org>\r\n",
                b"RCPT TO:<report@tocsin.example>\r\n",
                b"DATA\r\n",
                body,
            ):
                writer.write(words)
                answer = await reader.readline()
                if answer[:1] not in b"23":
                    raise ConnectionError(answer.decode("ascii", "replace"))

    begun = time.perf_counter()
    await asyncio.gather(*(send(line, mails[n::connections]) for n, line in enumerate(lines)))
    rate = len(mails) / (time.perf_counter() - begun)
    for _, writer in lines:
        writer.close()
    return rate


def text_form(account_sid: str, number: str) -> dict[str, str]:
    """The form of an incoming SMS as Twilio posts it; each has a SID of its own."""
    sid = f"SM{time.time_ns():016x}{next(_serial):016x}"
    return {"AccountSid": account_sid, "ApiVersion": "2010-04-01", "NumMedia": "0", "Body": "河堤漏水，请快来人",
            "From": "+8613900000001", "To": number, "MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid,
            "NumSegments": "1", "SmsStatus": "received"}  # fmt: skip


def signed_post(url: str, form: dict[str, str], token: str) -> bytes:
    """The request of a webhook, signed as Twilio does: HMAC-SHA1 over the address and the sorted fields."""
    words = url + "".join(name + form[name] for name in sorted(form))
    signature = base64.b64encode(hmac.new(token.encode(), words.encode(), hashlib.sha1).digest())
    host, _, path = url.removeprefix("http://").partition("/")
    body = urlencode(form).encode()
    head = (
        f"POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"X-Twilio-Signature: {signature.decode()}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def bulletin_post(url: str, token: str) -> bytes:
    """The request of a peer that pushes an alert of 2 KB which no other one repeats."""
    name = f"bench-{time.time_ns():016x}-{next(_serial)}"
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">'
        f"<identifier>{name}</identifier><sender>bench.example</sender><sent>2026-11-23T06:05:00+00:00</sent>"
        "<status>Test</status><msgType>Alert</msgType><scope>Public</scope><info><language>zh-CN</language>"
        "<category>Met</category><event>暴雨</event><urgency>Immediate</urgency><severity>Severe</severity>"
        f"<certainty>Likely</certainty><headline>暴雨橙色预警</headline><description>{'预计有大暴雨。' * 60}</description>"
        "<area><areaDesc>甲一区</areaDesc><geocode><valueName>GB/T2260</valueName><value>990101</value></geocode></area>"
        "</info></alert>"
    ).encode()
    host, _, path = url.removeprefix("http://").partition("/")
    head = (
        f"POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/cap+xml\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def posts_per_second(port: int, requests: Sequence[bytes], connections: int) -> float:
    """Send prepared requests over that many kept connections; every one must be answered with a 2xx."""
    return asyncio.run(_posts(port, requests, connections))


async def _posts(port: int, requests: Sequence[bytes], connections: int) -> float:
    lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]

    async def send(line: tuple[asyncio.StreamReader, asyncio.StreamWriter], mine: Sequence[bytes]) -> None:
        for request in mine:
            line[1].write(request)
            status, _ = await answer(line[0])
            if status // 100 != 2:
                raise ConnectionError(f"answered {status}")

    begun = time.perf_counter()
    await asyncio.gather(*(send(line, requests[n::connections]) for n, line in enumerate(lines)))
    rate = len(requests) / (time.perf_counter() - begun)
    for _, writer in lines:
        writer.close()
    return rate


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """(status, body) of one answer of a kept connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = 0
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line[15:])
    return int(head[9:12]), await reader.readexactly(length) if length else b""
