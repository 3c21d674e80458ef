"""A hub and a simulated Twilio Voice on real sockets: calls ring, recordings are fetched."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from domain.report import Report
from intake.media import Media
from simulators.twilio import TwilioSimConfig
from simulators.twilio import app as twilio_app
from simulators.twilio_state import Simulator
from simulators.voice import Call
from store import media, reports
from store import tables as t
from tests.servers import free_port, wait_for
from tests.web.api_world import AUTH, NUMBER, SID, World, served, signed, world
from tocsin import house, sockets

CALLER = "+8613800138000"


@dataclass
class Exchange:
    """What a test of calls holds."""

    world: World
    simulator: Simulator
    calls: list[Call] = field(default_factory=list)

    def call(self, act: Callable[[Call], Coroutine[Any, Any, None]], number: str = CALLER) -> Call:
        """A call that rings and then acts."""
        made = Call(simulator=self.simulator, number=number)
        self.calls.append(made)

        async def whole() -> None:
            try:
                await made.ring()
                await act(made)
            finally:
                await self.simulator.callbacks.aclose()

        asyncio.run(whole())
        return made

    def settle(self) -> None:
        """Do what the workers would, until nothing is due: pieces wait for their call."""
        for _ in range(4):
            self.world.file_all()
            self.world.clock.forward(seconds=2)
        hub = self.world.hub
        for medium in hub.store.read(lambda unit: media.due(unit, self.world.clock())):
            hub.media.fetch(medium)

    def reports(self) -> list[Report]:
        found = self.world.hub.store.read(lambda unit: unit.rows(t.report_row.select()))
        return [self.world.hub.store.read(lambda unit, i=row.id: reports.get(unit, i)) for row in found]

    def report(self) -> Report:
        (found,) = self.reports()
        return found

    @property
    def fetching(self) -> Media:
        return self.world.hub.media


@contextmanager
def exchange(directory: Path, at: datetime, **more: Any) -> Iterator[Exchange]:
    """The hub answers at a port of its own, the provider at another."""
    hub_port, provider_port = free_port(), free_port()
    site, api = f"http://127.0.0.1:{hub_port}", f"http://127.0.0.1:{provider_port}"
    voice_url = f"{site}/hooks/voice/twilio"
    config = TwilioSimConfig(
        account_sid=SID, auth_token=AUTH, number=NUMBER, inbound_url=f"{site}/hooks/sms/twilio", now=lambda: at,
        voice_url=voice_url, api_url=api,
    )  # fmt: skip
    provider = twilio_app(config)
    with (
        _running(provider, provider_port),
        world(directory, at, twilio_voice_url=voice_url, twilio_base_url=api, **more) as made,
        served(made.hub, port=hub_port),
    ):
        yield Exchange(world=made, simulator=provider.state.simulator)


@contextmanager
def _running(app: Any, port: int) -> Iterator[None]:
    with sockets.listen("127.0.0.1", port) as bound:
        server = house.server(app, house.DEMO)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        wait_for(port)
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(10)


VOICE_URL = "https://hub.example/hooks/voice/twilio"
CALL = f"CA{1:032x}"


def voice_form(*, bare: bool = False, **more: str) -> dict[str, str]:
    """What the provider says at any step; `bare`: as callbacks about recordings and transcripts do."""
    form = {"AccountSid": SID, "ApiVersion": "2010-04-01", "CallSid": CALL}
    if not bare:
        form |= {"CallStatus": "in-progress", "Direction": "inbound", "From": CALLER, "Caller": CALLER, "To": NUMBER,
                 "Called": NUMBER, "FromCountry": "CN", "FromCity": "BEIJING", "CallerCountry": "CN"}  # fmt: skip
    return form | {
        name: value.replace("{}", SID) if name == "RecordingUrl" else value for name, value in more.items()
    }


def posted(made: World, path: str, form: dict[str, str]) -> Any:
    """A genuine call of one step."""
    return made.client.post(f"/hooks/voice/twilio{path}", **signed(f"{VOICE_URL}{path}", form))
