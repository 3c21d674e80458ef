"""A simulated SMS centre in a loop of its own, and a hub that is bound to it."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from channels.codecs.smpp_pdu import Short
from simulators.script import parse
from simulators.smsc import USUAL, Smsc, SmscConfig
from tests.web.api_world import World, world
from tocsin import chat_line

PHONE = "+8613800138000"
LOGIN = {"system_id": "tocsin", "password": "pw345678"}


@dataclass
class Centre:
    """The simulator, in a thread of its own."""

    smsc: Smsc
    loop: asyncio.AbstractEventLoop

    @property
    def port(self) -> int:
        return self.smsc.port

    def do(self, work: Any) -> Any:
        """Run a coroutine in its loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def script(self, *rules: dict[str, Any]) -> None:
        self.smsc.script = parse({"seed": 1, "rules": list(rules)}, USUAL)

    def deliver(self, **fields: Any) -> int:
        """A message from PHONE, unless `fields` say otherwise."""
        usual: dict[str, Any] = {"source": PHONE[1:], "source_ton": 1, "source_npi": 1, "dest": "12379"}
        return int(self.do(self.smsc.deliver(Short(**usual | fields))))

    def data(self, **fields: Any) -> int:
        """The same as a data_sm."""
        usual: dict[str, Any] = {"source": PHONE[1:], "source_ton": 1, "source_npi": 1, "dest": "12379"}
        return int(self.do(self.smsc.deliver(Short(**usual | fields), is_data=True)))

    def say(self, text: str, *, sender: str = PHONE, reference: int = 1) -> list[int]:
        return list(self.do(self.smsc.say(sender, text, reference=reference)))


@contextmanager
def centre(**config: Any) -> Iterator[Centre]:
    """An open simulator."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = Centre(Smsc(SmscConfig(**LOGIN, now=lambda: datetime.now(UTC), **config)), loop)
    made.do(made.smsc.start())
    try:
        yield made
    finally:
        made.do(made.smsc.aclose())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


@contextmanager
def bound_world(directory: Path, at: datetime, to: Centre, **more: Any) -> Iterator[World]:
    """A hub whose only SMS provider is that centre, bound to it."""
    usual = {"twilio_account_sid": "", "smpp_host": "127.0.0.1", "smpp_port": to.port, "smpp_from": "12379",
             "smpp_system_id": LOGIN["system_id"], "smpp_password": LOGIN["password"]}  # fmt: skip
    database = more.pop("database", "")
    with world(directory, at, url=database, **usual | more) as made:
        chat_line.start(made.hub, lambda *_: None)
        until(lambda: to.smsc.is_bound)
        yield made


def until(is_so: Callable[[], bool], seconds: float = 10) -> None:
    """Look again and again until it is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.005)
