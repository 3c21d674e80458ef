"""A simulated relay in its own event loop, and mails to hand over to it."""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from channels.codecs.mail_wrap import Letterhead
from channels.codecs.return_path import ReturnPath
from channels.codecs.smtp_relay import Relay, Tls
from channels.email import Email
from domain.parcel import Answer, Item, Part
from simulators.mail_script import USUAL
from simulators.script import parse
from simulators.smtp_sink import Sink, SinkConfig

AT = datetime(2026, 11, 23, 6, 5, tzinfo=UTC)
PATH = ReturnPath(key=b"k" * 32, domain="yj.example.org")
HEAD = Letterhead(name="示例省应急管理厅", address="alerts@yj.example.org", path=PATH)
DELIVERY = "dsp_01JDZ3K5V8W9XYZABCDEFGHJKM-12-499"
CHINESE = "暴雨红色预警 第12号\n\n请立即转移到高处。\n.\n点号开头的行\nFrom 开头的行\n"


class RunningSink:
    """A sink whose loop is not the test's: the wire and the relay do not wait for each other."""

    def __init__(self, *, door: tuple[str, int] = ("127.0.0.1", 9), **config: Any) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.sink = Sink(SinkConfig(door=door, now=lambda: AT, **config))
        self.host, self.port = self.run(self.sink.start())

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def script(self, *rules: dict[str, Any]) -> None:
        self.sink.script = parse({"rules": list(rules)}, USUAL)

    def relay(self, **more: Any) -> Relay:
        return Relay(
            **{"host": self.host, "port": self.port, "tls": Tls.NEVER, "helo": "hub.example", **more}
        )

    def close(self) -> None:
        self.run(self.sink.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)


def wire(relay: Relay, *, now: Callable[[], datetime] = lambda: AT) -> Email:
    return Email(relay=relay, head=HEAD, now=now, reaches_the_world=False)


def part(
    text: str | bytes = CHINESE, *, to: str = "a@mail.example", delivery: str = DELIVERY, **more: Any
) -> Part:
    payload = text if isinstance(text, bytes) else text.encode()
    return Part(
        channel="email", payload=payload, sha256=hashlib.sha256(payload).hexdigest(),
        language=more.pop("language", "zh-CN"), items=(Item(delivery_id=delivery, address=to, attempt=1),), **more,
    )  # fmt: skip


def send(relay: Relay, *parts: Part) -> list[Sequence[Answer] | Exception]:
    """What each call answered or raised, over one wire, one after the other."""

    async def all_of_them() -> list[Sequence[Answer] | Exception]:
        made, said = wire(relay), []
        try:
            for one in parts:
                try:
                    said.append(await made.call(one))
                except Exception as error:
                    said.append(error)
        finally:
            await made.aclose()
            await made.aclose()
        return said

    return asyncio.run(all_of_them())
