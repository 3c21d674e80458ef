"""Starts and stops the processes: everything in one for `up`, or web, worker and smtp apart."""

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from starlette.applications import Starlette

from approval import desk as approval_desk
from domain.errors import Unavailable
from domain.further import UploadState
from domain.handling import Mode
from duty import addressbook, handovers, webhooks
from duty import clocks as duty_clocks
from hub import anchor, birth, hold
from hub.health import Trouble
from hub.log import log, where
from hub.settings import Settings
from hub.wiring import Hub, build, fax_folder, now, smtp_door
from outbox import publish, sweep
from outbox.window import DEADLINE
from simulators import call_page, demo_page, mailbox_page, smtp_controls, telegram_page
from simulators.smtp_sink import Sink, SinkConfig
from simulators.telegram import TelegramSimConfig
from simulators.telegram import app as telegram_app
from simulators.twilio import TwilioSimConfig
from simulators.twilio import app as twilio_app
from store import arrivals, inbox, media, migrate, peers, scans, sender_checks, sessions, study, uploads
from store.unit import Unit
from tocsin import chat_line, demo, keeper, purging, sockets, spool_line, stream_line, welcome
from tocsin.alone import alone
from tocsin.house import DEMO, PRODUCTION, House, Patience, told_to_stop
from tocsin.leases import LeaseLoop
from tocsin.pulse import Part, Pulse, Ticks
from tocsin.watch import Watch
from web.app import create_app, hosts
from web.gate import Turnstile
from workers.app import Ringer, answers, broker, start_workers
from workers.timers import Chore, Timers, outbox_chores

# A thread that holds the write lock waits as long for the interpreter whenever a busy event loop takes it back.
SWITCH_SECONDS = 0.0002
SWEEP_TURNS = 60  # seconds that one step of the sweep may take: thousands of public pages at a first start


def up(settings: Settings, *, is_demo: bool, ready_file: Path | None) -> None:
    """Everything in one process until SIGTERM or Ctrl-C."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone(settings.data_dir / "up.lock"):
        web_socket = sockets.inherited() or sockets.listen(settings.host, settings.port)
        smtp_socket = _smtp_socket(settings)
        provider_socket = sockets.listen("127.0.0.1", 0) if is_demo else None
        relay_socket = sockets.listen("127.0.0.1", 0) if is_demo else None
        chat_socket = sockets.listen("127.0.0.1", 0) if is_demo else None
        settings = settings.model_copy(
            update={
                "port": sockets.port_of(web_socket),
                "smtp_port": sockets.port_of(smtp_socket),
            }
        )
        made = None
        if provider_socket is not None and relay_socket is not None and chat_socket is not None:
            made = demo.load_secrets(settings.data_dir)
            settings = _with_simulator(settings, made, sockets.port_of(provider_socket))
            settings = _with_relay(settings, sockets.port_of(relay_socket))
            settings = chat_line.with_simulator(settings, made, sockets.port_of(chat_socket))
            steps = birth.prepare(settings, Mode.DEMO, now())
        else:
            steps = migrate.upgrade(settings.database, lock_path=settings.write_lock)
        with opened(settings) as hub:
            outside = (provider_socket, relay_socket, chat_socket)
            uvloop.run(_up(hub, (web_socket, smtp_socket), outside, made, steps, ready_file))


def web(settings: Settings) -> None:
    """The HTTP process: doors, desk, public pages."""
    bound = sockets.inherited() or sockets.listen(settings.host, settings.port)
    with opened(settings.model_copy(update={"port": sockets.port_of(bound)})) as hub:
        uvloop.run(_web(hub, bound))


def smtp(settings: Settings) -> None:
    """The SMTP process."""
    bound = sockets.inherited() or _smtp_socket(settings)
    with opened(settings) as hub:
        uvloop.run(_smtp(hub, bound))


def worker(settings: Settings) -> None:
    """A worker process; any number of them."""
    with opened(settings) as hub, running(hub, "worker") as pulse:
        asyncio.run(_until_told(pulse))


def keep(settings: Settings, kind: str, arguments: Sequence[str]) -> None:
    """Hold the port of `kind` open and keep one process of it running; SIGHUP changes it without a gap."""
    bound = sockets.inherited()
    if bound is None and kind in ("web", "up"):
        bound = sockets.listen(settings.host, settings.port)
    if bound is None and kind == "smtp":
        bound = _smtp_socket(settings)
    keeper.keep(bound, [kind, *arguments], may_overlap=kind != "up")


def _smtp_socket(settings: Settings) -> socket.socket:
    return sockets.listen(settings.smtp_host, settings.smtp_port, "TOCSIN_SMTP_PORT")


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Hub]:
    """A hub that is closed at the end."""
    uvloop.run(_spawn_resolvers())
    hub = build(settings)
    try:
        yield hub
    finally:
        hub.close()


async def _spawn_resolvers() -> None:
    """Start the threads in which uvloop looks names up, while there are threads to be had.

    libuv makes them at its first look, and ends the process by abort(3) when the system refuses them (F31).
    """
    loop = asyncio.get_running_loop()
    with contextlib.suppress(socket.gaierror):  # a name where only numbers are allowed: nobody is asked
        await loop.getaddrinfo("localhost", 0, flags=socket.AI_NUMERICHOST)


def anchors(settings: Settings) -> dict[int, str]:
    """The roots that left the database."""
    return anchor.read(settings.data_dir)


async def _up(
    hub: Hub, inside: tuple[Any, Any], outside: tuple[Any, ...], made: demo.Secrets | None, steps: tuple[int, int],
    ready_file: Path | None,
) -> None:  # fmt: skip
    told = told_to_stop()
    with running(hub, "up") as pulse, _ticking(pulse):
        async with House(_patience(hub)) as house:
            app: Any = create_app(hub)
            ready: dict[str, Any] = {}
            if made is not None:
                app = await _open_demo(house, hub, made, outside, app)
            web_socket, smtp_socket = inside
            await house.open_door(smtp_door(hub, smtp_socket))
            await house.open_web(app, web_socket, Turnstile(hub.crowd))
            ready = _ready(hub, made)
            if ready_file is not None:
                demo.write_private(ready_file, json.dumps(ready, indent=1))
            welcome.show(hub, ready, steps)
            sockets.tell("READY=1")
            await told.wait()
            hub.stopping.set()


async def _open_demo(house: House, hub: Hub, made: demo.Secrets, outside: tuple[Any, ...], app: Any) -> Any:
    """Start the simulated provider and relay, and put phones and mailboxes beside the hub's pages."""
    settings = hub.settings
    provider = twilio_app(
        TwilioSimConfig(
            account_sid=made.account_sid,
            auth_token=made.auth_token,
            number=demo.NUMBER,
            inbound_url=settings.twilio_webhook_url,
            now=now,
            voice_url=settings.twilio_voice_url,
            api_url=settings.twilio_base_url,
        )
    )
    provider_socket, relay_socket, chat_socket = outside
    await house.open_web(provider, provider_socket)
    chats = telegram_app(TelegramSimConfig(token=made.telegram_token, now=now))
    await house.open_web(chats, chat_socket)
    telegram = chats.state.telegram
    door = (settings.smtp_host, settings.smtp_port)
    sink = Sink(SinkConfig(door=door, now=now, bound=relay_socket))
    controls = sockets.listen("127.0.0.1", 0)
    await house.open_door(sink)
    await house.open_web(smtp_controls.app(sink), controls)
    known = {"url": settings.twilio_base_url, "base_url": settings.site, "smtp": list(door),
             "telegram_url": settings.telegram_api_url,
             "mail_url": f"http://127.0.0.1:{sockets.port_of(controls)}"}  # fmt: skip
    demo.write_private(settings.data_dir / "simulator.json", json.dumps(known))
    mail = mailbox_page.section(sink, hub.zone)
    desk_url = f"{settings.site}/hooks/cti/{settings.cti_token.get_secret_value()}"
    booth = call_page.Booth(provider.state.simulator, hosts=hosts(settings), desk_url=desk_url)
    chat = telegram_page.section(telegram, hub.zone)
    said = telegram_page.routes(telegram, hosts(settings))
    phones = demo_page.routes(
        provider.state.simulator,
        hosts=hosts(settings),
        lead=booth.section(),
        sections=[chat, mail],
        zone=hub.zone,
    )
    whole = Starlette(routes=[*phones, *booth.routes(), *mailbox_page.routes(sink), *said])
    whole.router.default = app  # a Mount at "/" leaves out paths with a line end: the hub answers those too
    return whole


async def _web(hub: Hub, bound: Any) -> None:
    told = told_to_stop()
    with _tended(hub, "web") as pulse, _ticking(pulse):
        async with House(_patience(hub)) as house:
            await house.open_web(create_app(hub), bound, Turnstile(hub.crowd))
            log("web.ready", port=sockets.port_of(bound))
            sockets.tell("READY=1")
            await told.wait()
            hub.stopping.set()


async def _smtp(hub: Hub, bound: Any) -> None:
    told = told_to_stop()
    with _tended(hub, "smtp") as pulse, _ticking(pulse):
        async with House(_patience(hub)) as house:
            door = smtp_door(hub, bound)
            await house.open_door(door)
            log("smtp.ready", port=door.address[1])
            sockets.tell("READY=1")
            await told.wait()


async def _until_told(pulse: Pulse) -> None:
    told = told_to_stop()
    with _ticking(pulse):
        sockets.tell("READY=1")
        await told.wait()


@contextlib.contextmanager
def _ticking(pulse: Pulse) -> Iterator[None]:
    """The event loop says that it turns; a handler that never gives it back ends the process."""
    ticks = Ticks()

    async def tick() -> None:
        while True:
            ticks.tick()
            await asyncio.sleep(0.5)

    task = asyncio.get_running_loop().create_task(tick())
    pulse.join(Part(name="loop", count=ticks))
    try:
        yield
    finally:
        pulse.stop()
        task.cancel()


def _patience(hub: Hub) -> Patience:
    return PRODUCTION if hub.mode is Mode.LIVE else DEMO


@contextlib.contextmanager
def _tended(hub: Hub, kind: str) -> Iterator[Pulse]:
    """A door's process: it rings, says that it lives, and brings its own spool in; workers do the rest."""
    sys.setswitchinterval(SWITCH_SECONDS)
    ringer = None
    if hub.settings.redis_url:  # without it nobody hears a bell of this process: workers find the rows
        rooms = broker(hub.settings.redis_url)
        ringer = Ringer(rooms)
        hub.bell.connect(ringer)
        hub.health.join(Trouble.BROKER_DOWN, lambda: answers(rooms))
    timers = Timers(
        store=hub.store, clock=hub.clock, bell=hub.bell, jobs=hub.jobs, chores=spool_line.chores(hub), sources=[],
        on_error=_failed,
    )  # fmt: skip
    timers.start()
    pulse = Pulse()
    pulse.join(Part(name="timers", count=lambda: timers.turns, patience=SWEEP_TURNS))
    try:
        with Watch(hub, kind):
            pulse.start()
            yield pulse
    finally:
        pulse.stop()
        timers.stop(_patience(hub).part)
        if ringer:
            ringer.close()


@contextlib.contextmanager
def running(hub: Hub, kind: str) -> Iterator[Pulse]:
    """Actors, sweep and chores of this process."""
    sys.setswitchinterval(SWITCH_SECONDS)
    rooms = broker(hub.settings.redis_url)
    ringer = Ringer(rooms)
    hub.bell.connect(ringer)
    hub.health.join(Trouble.BROKER_DOWN, lambda: answers(rooms))
    refresh = _refreshing(hub)
    workers = start_workers(hub.jobs, rooms, hub.settings.worker_threads)
    timers = Timers(
        store=hub.store, clock=hub.clock, bell=hub.bell, jobs=hub.jobs, chores=_chores(hub, refresh),
        sources=[
            sweep.due,
            _arrivals_due,
            lambda unit, at: [("check_sender", i) for i in sender_checks.due(unit, at)] if hub.checker else [],
        ],
        on_error=_failed,
    )  # fmt: skip
    try:
        refresh()
    except (
        Unavailable
    ) as error:  # another process writes them, or stands still while it does: the chore tries again
        _failed("refresh", error)
    timers.start()
    leaving = chat_line.start(hub, _failed)
    part = _patience(hub).part
    pulse = Pulse(leave=partial(_leave, hub))
    pulse.join(Part(name="timers", count=lambda: timers.turns, patience=SWEEP_TURNS))
    leases = LeaseLoop(hub.store)
    if kind == "worker":  # where a door lives in the same process, it goes on with the spool instead
        pulse.join(leases.part)
        leases.start()
    try:
        with Watch(hub, kind):
            pulse.start()
            yield pulse
    finally:
        leaving.set()
        pulse.stop()
        leases.stop()
        timers.stop(part)
        hub.outgoing.courier.close()  # no call begins any more, so a clean stop leaves nothing unsure
        stopping = threading.Thread(target=workers.stop, args=(part,), daemon=True)
        stopping.start()
        stopping.join(part.total_seconds() + 0.5)
        ringer.close()


def _arrivals_due(unit: Unit, at: datetime) -> list[tuple[str, str]]:
    """What came in and waits to be filed, to be fetched, or to be studied."""
    filings = [("file_report", row_id) for row_id in inbox.due(unit, at)]
    studies = [("study_report", row_id) for row_id in study.due(unit, at)]
    files = [("scan_file", row_id) for row_id in scans.due(unit, at)]
    files += webhooks.due(unit, at)
    files += [("attach_upload", row_id) for row_id in uploads.due(unit, UploadState.WHOLE, at)]
    told = [("read_bulletin", row_id) for row_id in arrivals.due(unit, at)]
    told += [("pull_peer", row_id) for row_id in peers.due(unit, at)]
    return filings + [("fetch_media", row_id) for row_id in media.due(unit, at)] + studies + files + told


def _leave(hub: Hub, code: int) -> None:
    """End a worker whose parts have stopped: calls in flight get their time, none begins (PROMISES §3.3)."""
    closing = threading.Thread(target=hub.outgoing.courier.close, daemon=True)
    closing.start()
    closing.join(DEADLINE.total_seconds() + 1)
    os._exit(code)


def _failed(what: str, error: Exception) -> None:
    log("chore.failed", chore=what, error=type(error).__name__, where=where(error))


def _fax_chores(hub: Hub) -> list[Chore]:
    folder = fax_folder(hub)
    return [Chore(name="fax", every=timedelta(seconds=2), run=folder.look)] if folder else []


def _refreshing(hub: Hub) -> Callable[[], None]:
    """Keeps the public files up to date: all of them at first, so that a site is there from the start.

    A restored hub leaves them alone until its hold is released: its database is older than they are.
    """
    is_fresh = False

    def refresh() -> None:
        nonlocal is_fresh
        if hold.is_restored(hub.settings.data_dir):
            return
        if is_fresh:
            publish.refresh(hub.outgoing)
            return
        for channel in hub.publishers:
            publish.republish(hub.outgoing, channel)
        is_fresh = True

    return refresh


def _chores(hub: Hub, refresh: Callable[[], None]) -> list[Chore]:
    def lapse() -> None:
        hub.store.run(lambda unit: approval_desk.lapse_overdue(unit, at=hub.clock()))

    def end_idle_sessions() -> None:
        if hub.store.read(sessions.holding):
            hub.store.run(lambda unit: sessions.end_idle(unit, hub.clock()))

    def clocks() -> None:
        hub.store.run(lambda unit: duty_clocks.tick(unit, hub.reports_up, hub.clock()))

    return [
        Chore(
            name="handovers", every=timedelta(seconds=2), run=lambda: handovers.tick(hub.store, hub.clock())
        ),
        Chore(name="clocks", every=timedelta(seconds=1), run=clocks),
        *(chore for chore in outbox_chores(hub.outgoing) if chore.name != "refresh"),
        Chore(name="refresh", every=timedelta(seconds=2), run=refresh),
        *spool_line.chores(hub),
        chat_line.chore(hub),
        *_fax_chores(hub),
        Chore(name="lapse", every=timedelta(seconds=20), run=lapse),
        Chore(name="sessions", every=timedelta(seconds=1), run=end_idle_sessions),
        Chore(name="proofs", every=timedelta(seconds=5), run=hub.prober.begin),
        Chore(name="root", every=timedelta(minutes=1), run=lambda: anchor.seal(hub)),
        Chore(name="webhooks", every=timedelta(seconds=1), run=hub.departments.teller.collect),
        *stream_line.chores(hub),
        purging.chore(hub),
        Chore(name="uploads", every=timedelta(minutes=1), run=hub.departments.uploads.tidy),
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
            "proof_minutes": settings.proof_minutes if "proof_minutes" in settings.model_fields_set else 5,
            "cti_token": hashlib.sha256(f"cti {made.auth_token}".encode()).hexdigest(),
            "twilio_voice_url": f"{settings.site}/hooks/voice/twilio",
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
            "telegram": {"url": settings.telegram_api_url},
            "smtp": {
                "host": settings.email_relay_host, "port": settings.email_relay_port,
                "url": json.loads((settings.data_dir / "simulator.json").read_text())["mail_url"],
            },
        }  # fmt: skip
    return ready
