"""Floods one door in a process of its own, whatever the hub answers, and writes down what it heard.

    python -m tests.faults.flood ORDER.json     {kind, port, url, sid, number, token, rate, seconds, connections, out, count?}

`rate` requests a second are begun whether or not earlier ones were answered (an open loop), as far as there are free
connections; 0 asks as fast as answers come, which is the ceiling. SMTP asks on every connection as fast as it can.
"""

import asyncio
import json
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from channels.codecs.mail_id import external_id
from tocsin.benches import load

_TICK = 0.005


@dataclass
class Heard:
    """What became of everything that was sent."""

    sent: int = 0
    seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    taken: list[str] = field(default_factory=list)  # names of what was answered as taken
    waits: list[float] = field(default_factory=list)  # seconds to each "taken"
    refusals: list[float] = field(default_factory=list)  # seconds to each "try again"
    without_retry: int = 0  # refusals that do not say when

    def took(self, name: str, status: str, seconds: float, *, is_taken: bool, says_when: bool = True) -> None:
        """One answer."""
        self.statuses[status] += 1
        if is_taken:
            self.taken.append(name)
            self.waits.append(seconds)
        else:
            self.refusals.append(seconds)
            self.without_retry += not says_when


class Caller(asyncio.Protocol):
    """One kept connection of a provider."""

    def __init__(self, heard: Heard, free: "deque[Caller]") -> None:
        self._heard, self._free, self._data = heard, free, b""
        self._name, self._at, self.is_open = "", 0.0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.is_open = True
        self._free.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        if self._name:
            self._heard.statuses["lost"] += 1

    def ask(self, name: str, request: bytes) -> None:
        """Send one; its answer is noted when it comes."""
        self._name, self._at = name, time.perf_counter()
        self._heard.sent += 1
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._data[:end].lower() + b"\r\n"
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)
        if len(self._data) < end + 4 + length:
            return
        self._data, name, self._name = b"", self._name, ""
        status = head[9:12].decode()
        self._heard.took(
            name, status, time.perf_counter() - self._at, is_taken=status[0] == "2",
            says_when=b"\r\nretry-after:" in head,
        )  # fmt: skip
        self._free.append(self)


async def posts(order: dict[str, Any], heard: Heard) -> None:
    """Signed SMS, each with a name of its own."""
    rate, seconds = float(order["rate"]), float(order["seconds"])
    count = int(order.get("count") or (rate or 4_000) * seconds)
    forms = [load.text_form(order["sid"], order["number"]) | {"From": f"+86139{n:08d}"} for n in range(count)]
    asked = deque(
        (form["MessageSid"], load.signed_post(order["url"], form, order["token"])) for form in forms
    )
    free: deque[Caller] = deque()
    loop = asyncio.get_running_loop()
    for _ in range(int(order["connections"])):
        await loop.create_connection(lambda: Caller(heard, free), "127.0.0.1", int(order["port"]))
    begun = time.perf_counter()
    while asked and (gone := time.perf_counter() - begun) < seconds:
        owed = int(gone * rate) - heard.sent if rate else len(free)
        for _ in range(min(owed, len(free), len(asked))):
            caller = free.popleft()
            if caller.is_open:
                caller.ask(*asked.popleft())
        await asyncio.sleep(_TICK if rate else 0)
    heard.seconds = time.perf_counter() - begun
    end = time.perf_counter() + 30
    while (
        len(heard.taken) + len(heard.refusals) + heard.statuses["lost"] < heard.sent
        and time.perf_counter() < end
    ):
        await asyncio.sleep(_TICK)


async def mails(order: dict[str, Any], heard: Heard) -> None:
    """Mails on every connection, the next one at once after each answer."""
    seconds = float(order["seconds"])
    begun = time.perf_counter()

    async def sender() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(order["port"]))
        await reader.readline()
        writer.write(b"EHLO flood\r\n")
        while (await reader.readline())[3:4] == b"-":
            continue
        while time.perf_counter() - begun < seconds:
            body, at = load.mail(2_000), time.perf_counter()
            heard.sent += 1
            name = external_id(body.removesuffix(b".\r\n"))
            for words in (
                b"MAIL FROM:<a@example.org>\r\n",
                b"RCPT TO:<r@tocsin.example>\r\n",
                b"DATA\r\n",
                body,
            ):
                writer.write(words)
                answer = await reader.readline()
                if answer[:1] not in b"23":
                    break
            heard.took(
                name, answer[:3].decode() or "lost", time.perf_counter() - at, is_taken=answer[:3] == b"250"
            )
            if answer[:3] != b"250":
                writer.write(b"RSET\r\n")
                await reader.readline()
        writer.close()

    await asyncio.gather(*(sender() for _ in range(int(order["connections"]))))
    heard.seconds = time.perf_counter() - begun


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    found = Heard()
    uvloop.run({"sms": posts, "mail": mails}[given["kind"]](given, found))
    Path(given["out"]).write_text(json.dumps(vars(found)))
