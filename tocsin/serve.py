"""Starts and stops the processes: everything in one for `up`, or web, worker and smtp apart."""

import asyncio
import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount

from approval import desk as approval_desk
from domain.errors import Refused
from domain.handling import Mode
from duty import addressbook
from hub import anchor, birth
from hub.log import log
from hub.settings import Settings
from hub.wiring import Hub, build, now, smtp_door
from intake.desk import drain
from outbox import publish, sweep
from simulators import demo_page, smtp_controls
from simulators.smtp_sink import Sink, SinkConfig
from simulators.twilio import TwilioSimConfig
from simulators.twilio import app as twilio_app
from store import inbox, migrate
from tocsin import demo, sockets, welcome
from tocsin.house import House, told_to_stop, until_told
from web.app import create_app
from workers.app import Ringer, Workers, broker, start_workers
from workers.timers import Chore, Timers, outbox_chores

STOP_AFTER = timedelta(
    seconds=1.5
)  # for each part: a demo leaves in under 5 s; the next sweep finds what is cut off


def up(settings: Settings, *, is_demo: bool, ready_file: Path | None) -> None:
    """Everything in one process until SIGTERM or Ctrl-C."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(settings.data_dir / "up.lock"):
        web_socket = sockets.listen(settings.host, settings.port)
        provider_socket = sockets.listen("127.0.0.1", 0) if is_demo else None
        relay_socket = sockets.listen("127.0.0.1", 0) if is_demo else None
        settings = settings.model_copy(
            update={
                "port": sockets.port_of(web_socket),
                "smtp_port": settings.smtp_port or sockets.free_port(settings.smtp_host),
            }
        )
        made = None
        if provider_socket is not None and relay_socket is not None:
            made = demo.load_secrets(settings.data_dir)
            settings = _with_simulator(settings, made, sockets.port_of(provider_socket))
            settings = _with_relay(settings, sockets.port_of(relay_socket))
            steps = birth.prepare(settings, Mode.DEMO, now())
        else:
            steps = migrate.upgrade(settings.database, lock_path=settings.write_lock)
        with opened(settings) as hub:
            asyncio.run(_up(hub, web_socket, (provider_socket, relay_socket), made, steps, ready_file))


def web(settings: Settings) -> None:
    """The HTTP process: doors, desk, public pages; it sweeps too."""
    bound = sockets.listen(settings.host, settings.port)
    with opened(settings.model_copy(update={"port": sockets.port_of(bound)})) as hub:
        asyncio.run(_web(hub, bound))


def smtp(settings: Settings) -> None:
    """The SMTP process."""
    with opened(settings) as hub:
        asyncio.run(_smtp(hub))


def worker(settings: Settings) -> None:
    """A worker process; any number of them."""
    with opened(settings) as hub, _running(hub):
        asyncio.run(until_told())


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Hub]:
    """A hub that is closed at the end."""
    hub = build(settings)
    try:
        yield hub
    finally:
        hub.close()


def anchors(settings: Settings) -> dict[int, str]:
    """The roots that left the database."""
    return anchor.read(settings.data_dir)


async def _up(
    hub: Hub, web_socket: Any, outside: tuple[Any, Any], made: demo.Secrets | None, steps: tuple[int, int],
    ready_file: Path | None,
) -> None:  # fmt: skip
    told = told_to_stop()
    with _running(hub):
        async with House() as house:
            app: Any = create_app(hub)
            ready: dict[str, Any] = {}
            if made is not None:
                app = await _open_demo(house, hub, made, outside, app)
            door = smtp_door(hub)
            await house.open_door(door)
            await house.open_web(app, web_socket)
            ready = _ready(hub, made)
            if ready_file is not None:
                demo.write_private(ready_file, json.dumps(ready, indent=1))
            welcome.show(hub, ready, steps)
            await told.wait()
            hub.stopping.set()


async def _open_demo(house: House, hub: Hub, made: demo.Secrets, outside: tuple[Any, Any], app: Any) -> Any:
    """Start the simulated provider and relay, and put phones and mailboxes beside the hub's pages."""
    settings = hub.settings
    provider = twilio_app(
        TwilioSimConfig(
            account_sid=made.account_sid,
            auth_token=made.auth_token,
            number=demo.NUMBER,
            inbound_url=settings.twilio_webhook_url,
            now=now,
        )
    )
    provider_socket, relay_socket = outside
    await house.open_web(provider, provider_socket)
    door = (settings.smtp_host, settings.smtp_port)
    sink = Sink(SinkConfig(door=door, now=now, bound=relay_socket))
    controls = sockets.listen("127.0.0.1", 0)
    await house.open_door(sink)
    await house.open_web(smtp_controls.app(sink), controls)
    where = {"url": settings.twilio_base_url, "mail_url": f"http://127.0.0.1:{sockets.port_of(controls)}"}
    demo.write_private(settings.data_dir / "simulator.json", json.dumps(where))
    return Starlette(routes=[*demo_page.routes(provider.state.simulator, sink), Mount("/", app)])


async def _web(hub: Hub, bound: Any) -> None:
    ringer = Ringer(broker(hub.settings.redis_url))
    hub.bell.connect(ringer)
    async with House() as house:
        await house.open_web(create_app(hub), bound)
        log("web.ready", port=sockets.port_of(bound))
        await until_told()
        hub.stopping.set()
    ringer.close()


async def _smtp(hub: Hub) -> None:
    ringer = Ringer(broker(hub.settings.redis_url))
    hub.bell.connect(ringer)
    async with House() as house:
        door = smtp_door(hub)
        await house.open_door(door)
        log("smtp.ready", port=door.address[1])
        await until_told()
    ringer.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    workers: Workers
    timers: Timers
    ringer: Ringer


@contextlib.contextmanager
def _running(hub: Hub) -> Iterator[_Parts]:
    """Actors, sweep and chores of this process."""
    rooms = broker(hub.settings.redis_url)
    ringer = Ringer(rooms)
    hub.bell.connect(ringer)
    workers = start_workers(hub.jobs, rooms, hub.settings.worker_threads)
    timers = Timers(
        store=hub.store, clock=hub.clock, bell=hub.bell, jobs=hub.jobs, chores=_chores(hub),
        sources=[sweep.due, lambda unit, at: [("file_report", i) for i in inbox.due(unit, at)]],
        on_error=lambda what, error: log("chore.failed", chore=what, error=type(error).__name__),
    )  # fmt: skip
    for channel in hub.publishers:
        publish.republish(
            hub.outgoing, channel
        )  # a public site that says "nothing in force" is there from the start
    timers.start()
    try:
        yield _Parts(workers=workers, timers=timers, ringer=ringer)
    finally:
        timers.stop(STOP_AFTER)
        hub.outgoing.courier.close()  # no call begins any more, so a clean stop leaves nothing unsure
        stopping = threading.Thread(target=workers.stop, args=(STOP_AFTER,), daemon=True)
        stopping.start()
        stopping.join(STOP_AFTER.total_seconds() + 0.5)
        ringer.close()


def _chores(hub: Hub) -> list[Chore]:
    def bring_in() -> None:
        for inbound_id in drain(hub.spool, store=hub.store, blobs=hub.blobs, at=hub.clock()):
            hub.bell("file_report", inbound_id)

    def lapse() -> None:
        hub.store.run(lambda unit: approval_desk.lapse_overdue(unit, at=hub.clock()))

    return [
        *outbox_chores(hub.outgoing),
        Chore(name="spool", every=timedelta(seconds=1), run=bring_in),
        Chore(name="lapse", every=timedelta(seconds=20), run=lapse),
        Chore(name="root", every=timedelta(minutes=1), run=lambda: anchor.seal(hub)),
        Chore(
            name="imports", every=timedelta(seconds=30), run=lambda: addressbook.tidy(hub.store, hub.clock())
        ),
    ]


def _with_simulator(settings: Settings, made: demo.Secrets, port: int) -> Settings:
    """The demo's SMS wire leads to the simulator on this machine, whatever the environment says."""
    return type(settings)(
        **{
            **settings.model_dump(),
            "twilio_account_sid": made.account_sid,
            "twilio_auth_token": made.auth_token,
            "twilio_from": demo.NUMBER,
            "twilio_base_url": f"http://127.0.0.1:{port}",
            "twilio_webhook_url": f"{settings.site}/hooks/sms/twilio",
            "twilio_status_url": f"{settings.site}/hooks/dlr/twilio",
        }
    )


def _with_relay(settings: Settings, port: int) -> Settings:
    """The demo's mail wire leads to the relay on this machine, whatever the environment says."""
    relay = {"host": "127.0.0.1", "port": port, "tls": "never", "ca": None, "user": ""}
    return type(settings)(
        **{
            **settings.model_dump(),
            **{f"email_relay_{name}": value for name, value in relay.items()},
            "email_domain": demo.MAIL_DOMAIN,
            "email_from": f"alerts@{demo.MAIL_DOMAIN}",
        }
    )


def _ready(hub: Hub, made: demo.Secrets | None) -> dict[str, Any]:
    """What scripts and tests need to know of a running hub."""
    settings = hub.settings
    ready: dict[str, Any] = {
        "base_url": settings.site,
        "public_url": settings.public_site,
        "smtp": [settings.smtp_host, settings.smtp_port],
        "logins": {},
        "api_keys": {},
        "simulators": {},
    }
    if made is not None:
        persons = demo.seed(hub, made, now())
        ready["logins"] = demo.links(hub, persons, now())
        ready["api_keys"] = {
            "department": made.department, "officer": made.officer, "approver": made.approver
        }  # fmt: skip
        ready["simulators"] = {
            "twilio": {
                "url": settings.twilio_base_url, "account_sid": made.account_sid, "auth_token": made.auth_token
            },
            "smtp": {
                "host": settings.email_relay_host, "port": settings.email_relay_port,
                "url": json.loads((settings.data_dir / "simulator.json").read_text())["mail_url"],
            },
        }  # fmt: skip
    return ready


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One `tocsin up` on a data directory. Raises Refused for the second."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Refused("another `tocsin up` runs on this data directory", code="already_up") from None
    try:
        yield
    finally:
        os.close(descriptor)
