"""Builds the wires that hold a line open: Telegram, and SMS by SMPP; the other half of `hub.wiring`."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

from channels import smpp, telegram
from channels.codecs.smpp_session import Where
from channels.contract import Wire
from channels.egress import Egress, Fetched
from domain.errors import NotAllowed, Refused, Unavailable
from domain.handling import Mode
from domain.parcel import Receipt
from domain.report import Inbound
from hub.bell import Bell
from hub.refusals import is_this_machine
from hub.room import Room
from hub.settings import Settings
from intake import desk
from intake.poll import KEPT, Poller
from intake.spool import Spool
from outbox import receipts
from outbox.window import Courier
from store import inbox, polls, shelf
from store.blobs import Blobs
from store.database import Store

DEAF = timedelta(minutes=3)  # PROMISES R36: a silent door is red within it
_RENEWS = timedelta(hours=1)  # of the webhook's address: whoever changed it at the provider is put right


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Where what comes in is kept."""

    store: Store
    blobs: Blobs
    spool: Spool
    room: Room
    bell: Bell
    clock: Callable[[], datetime]

    async def take(self, inbound: Inbound) -> None:
        """Durable when it returns. Raises Unavailable."""
        self.room.admit(len(inbound.raw))
        kept = await desk.take(inbound, store=self.store, blobs=self.blobs, spool=self.spool, at=self.clock())
        if kept.is_fresh:
            self.bell("file_report", kept.inbound_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatDoor:
    """What the web room needs of the chat wire, without knowing which it is."""

    verify: Callable[[Sequence[str]], None]  # values of the secret header; raises NotAllowed
    parse: Callable[[bytes, datetime], Inbound]


def chat_door(settings: Settings) -> ChatDoor:
    """The webhook of the bot; without one nobody is let in."""
    secret = settings.telegram_webhook_secret.get_secret_value()
    bot = telegram.bot_of(settings.telegram_token.get_secret_value())

    def verify(given: Sequence[str]) -> None:
        if not bot:
            raise NotAllowed("no bot", code="bad_signature")
        telegram.verify(given, secret)

    return ChatDoor(verify=verify, parse=lambda raw, at: telegram.parse(raw, bot=bot, at=at))


def telegram_wire(settings: Settings, mode: Mode) -> telegram.Telegram | None:
    """None without a token. Raises Refused for one that is none, or that leads out of a hub that may not."""
    token = settings.telegram_token.get_secret_value()
    if not token:
        return None
    if not telegram.bot_of(token):
        raise Refused("TOCSIN_TELEGRAM_TOKEN is no token of a bot", code="telegram_token")
    secret = settings.telegram_webhook_secret.get_secret_value()
    if secret and not telegram.is_secret(secret):
        raise Refused(
            "TOCSIN_TELEGRAM_WEBHOOK_SECRET has letters that Telegram refuses", code="telegram_secret"
        )
    url = urlsplit(settings.telegram_api_url)
    reaches_the_world = not is_this_machine(url.hostname or "")
    if reaches_the_world and not mode.may_reach_the_world:
        raise Refused(f"a {mode.value} hub may not hold a wire to {url.hostname}", code="mode_forbids_wire")
    if reaches_the_world and url.scheme != "https":
        raise Refused("TOCSIN_TELEGRAM_API_URL holds a token, and needs https", code="telegram_url")
    return telegram.Telegram(
        token=token, base_url=settings.telegram_api_url, reaches_the_world=reaches_the_world
    )


def media_getter(
    settings: Settings, mode: Mode, others: Callable[[str], Fetched]
) -> Callable[[str], Fetched]:
    """Fetches what a message names: a file of the bot's, or what `others` fetch."""
    token, base_url = settings.telegram_token.get_secret_value(), settings.telegram_api_url
    if not token:
        return others
    is_simulator = is_this_machine(urlsplit(base_url).hostname or "") and not mode.may_reach_the_world
    egress = Egress(
        telegram.places(base_url, token=token, is_simulator=is_simulator), largest=telegram.LARGEST
    )

    def get(name: str) -> Fetched:
        if not name.startswith(telegram.SCHEME):
            return others(name)
        return telegram.fetch(egress, name, base_url=base_url, token=token)

    return get


def lines(settings: Settings, mode: Mode, to: Intake, texts: Sequence[Wire]) -> list[Wire]:
    """`texts`, the wires of SMS, with SMPP as the first or the spare of them; and the chat."""
    found = list(texts)
    if smpp := smpp_wire(settings, mode, to):
        found.insert(0 if settings.smpp_role == "first" else len(found), smpp)
    if len(found) > 2:
        raise Refused("an SMS provider has one spare: SMPP, or the second account", code="spare")
    chat = telegram_wire(settings, mode)
    return [*found, *([chat] if chat else [])]


def poller(settings: Settings, wire: Wire | None, to: Intake, courier: Courier) -> Poller | None:
    """Who asks Telegram for updates, or where it posts them to; None without a bot."""
    if not isinstance(wire, telegram.Telegram):
        return None
    bot = telegram.bot_of(settings.telegram_token.get_secret_value())
    secret = settings.telegram_webhook_secret.get_secret_value()
    url = settings.telegram_webhook_url or f"{settings.site}/hooks/telegram"
    is_asking = False

    def ask(offset: int) -> Sequence[dict[str, object]]:
        nonlocal is_asking
        courier.know(wire)
        if not is_asking:
            courier.ask(wire.listen_at(url if secret else "", secret))
            is_asking = True
        return courier.ask(wire.updates(offset))

    def listen(_offset: int) -> Sequence[dict[str, object]]:
        courier.know(wire)
        courier.ask(wire.listen_at(url, secret))
        return ()

    made = Poller(
        source=f"telegram:{bot}", ask=listen if secret else ask, store=to.store, blobs=to.blobs, spool=to.spool,
        read=lambda update, at: telegram.polled(update, bot=bot, at=at), clock=to.clock, bell=to.bell,
        number=lambda update: int(update["update_id"]), admit=to.room.admit,
    )  # fmt: skip
    made.idles = _RENEWS if secret else timedelta(0)
    return made


def smpp_of(wires: Sequence[Wire]) -> smpp.SmppSms | None:
    """The line to an SMS centre among these."""
    return next((wire for wire in wires if isinstance(wire, smpp.SmppSms)), None)


def smpp_wire(settings: Settings, mode: Mode, to: Intake) -> smpp.SmppSms | None:
    """None without a host. Raises Refused like the others, and for a name that is said where others can listen."""
    host = settings.smpp_host
    if not host:
        return None
    reaches_the_world = not is_this_machine(host)
    if reaches_the_world and not mode.may_reach_the_world:
        raise Refused(f"a {mode.value} hub may not hold a wire to {host}", code="mode_forbids_wire")
    password = settings.smpp_password.get_secret_value()
    if not (settings.smpp_system_id and password and settings.smpp_from):
        raise Refused("SMPP needs TOCSIN_SMPP_SYSTEM_ID, _PASSWORD and _FROM", code="smpp")
    if len(settings.smpp_system_id) > 15 or len(password) > 8:
        raise Refused("SMPP 3.4 has 15 letters for a system id and 8 for a password", code="smpp")
    tls = (
        ssl.create_default_context(cafile=str(settings.smpp_ca or "") or None) if settings.smpp_tls else None
    )
    where = Where(host=host, port=settings.smpp_port, system_id=settings.smpp_system_id, password=password,
                  system_type=settings.smpp_system_type, tls=tls)  # fmt: skip
    return smpp.SmppSms(
        where, _smpp_desk(to), sender=settings.smpp_from, reaches_the_world=reaches_the_world,
        window=settings.sms_calls_in_flight, long=settings.smpp_long, ids=settings.smpp_message_ids,
        alphabet=settings.smpp_alphabet,
    )  # fmt: skip


def _smpp_desk(to: Intake) -> smpp.Desk:
    async def report(receipt: Receipt) -> None:
        at = to.clock()
        await asyncio.wrap_future(to.store.submit(lambda unit: receipts.take(unit, receipt, at)))

    async def shelve(raw: bytes, reason: str) -> None:
        at = to.clock()
        put = to.store.submit(lambda unit: shelf.put(unit, "receipt", reason, at=at, origin="smpp", raw=raw))
        await asyncio.wrap_future(put)

    async def kept_at(name: str) -> datetime | None:
        try:
            return await asyncio.to_thread(to.store.read, lambda unit: inbox.kept_at(unit, "sms", name))
        except Unavailable:
            return None

    return smpp.Desk(take=to.take, receipt=report, shelve=shelve, kept_at=kept_at, now=to.clock)


def open_lines(wires: Sequence[Wire], courier: Courier) -> None:
    """Let those that must hold a line open it now; in the loop where their sessions live."""
    for wire in wires:
        if isinstance(wire, smpp.SmppSms):
            courier.know(wire)
            courier.ask(wire.open())


def note_lines(wires: Sequence[Wire], store: Store, at: datetime) -> None:
    """Write down which lines stand."""
    for wire in wires:
        if isinstance(wire, smpp.SmppSms) and wire.is_bound:
            store.run(partial(polls.answered, source=wire.name, at=at))


def hearing(
    wires: Sequence[Wire], settings: Settings, store: Store, clock: Callable[[], datetime]
) -> "Hearing":
    """What is heard of the doors that have to ask."""
    sources = [wire.name for wire in wires if isinstance(wire, smpp.SmppSms)]
    if bot := telegram.bot_of(settings.telegram_token.get_secret_value()):
        sources.append(f"telegram:{bot}")
    quiet = timedelta(hours=2) if settings.telegram_webhook_secret.get_secret_value() else DEAF
    return Hearing(sources=tuple(sources), quiet=quiet, store=store, clock=clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """Whether doors that have to ask are answered."""

    sources: tuple[str, ...]
    quiet: timedelta
    store: Store
    clock: Callable[[], datetime]

    def is_good(self) -> bool:
        """False while one is refused, or silent for longer than it may be."""
        at = self.clock()
        return not any(
            one.code in ("config", "other_poller") or at - one.answered_at > max(self.quiet, DEAF)
            for one in self._look()
        )

    def is_whole(self) -> bool:
        """False while a provider has been silent for so long that it throws away what it kept for us."""
        at = self.clock()
        return not any(at - one.answered_at > KEPT for one in self._look() if ":" in one.source)

    def _look(self) -> list[polls.Poll]:
        return self.store.read(lambda unit: polls.look(unit, self.sources)) if self.sources else []
