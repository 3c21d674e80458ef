"""Builds the hub: the only place where rooms meet wires."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from approval.freeze import Place
from channels import email, twilio_media, twilio_sms, twilio_voice
from channels.broadcast import Broadcast
from channels.cap_feed import CapFeed
from channels.codecs.mail_wrap import Letterhead
from channels.codecs.return_path import DOMAIN_MAX, ReturnPath
from channels.codecs.smtp_relay import Relay, Tls
from channels.codecs.stop_word import is_stop
from channels.contract import Publisher, Wire
from channels.egress import Egress
from channels.web_notice import WebNotice
from domain.call import Step, Turn
from domain.errors import NotAllowed, Refused
from domain.handling import Mode
from domain.parcel import Receipt
from domain.report import Inbound
from duty import thumbnails
from duty.thumbnails import Thumbnails
from hub import birth, keys, network, peers_in, refusals, senders
from hub import clock as clocks
from hub.bell import Bell
from hub.health import Health, Trouble
from hub.jobs import jobs_of
from hub.log import log, where
from hub.peers_in import Around
from hub.refusals import is_this_machine
from hub.room import Room
from hub.settings import Settings
from intake import desk, secret_link
from intake import scan as scanning
from intake.acknowledge import Acknowledger
from intake.conversation import Line
from intake.filing import Filing
from intake.media import Media
from intake.reading import Locale
from intake.scan import Scanner
from intake.sender_checks import Checker
from intake.spool import Spool
from intake.study import Student
from outbox.outgoing import Jobs, Outgoing
from outbox.pace import Pace
from outbox.window import Courier
from sandbox.pool import Pool
from store import figures, shelf
from store import hub as hub_row
from store.blobs import Blobs
from store.database import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsDoor:
    """What the web room needs of the SMS wires, without knowing which they are."""

    verify: Callable[
        [str, bytes, str | None], str
    ]  # url, raw body, signature -> who signed; raises NotAllowed
    parse_message: Callable[[bytes, str, datetime], Inbound]  # raw body, who signed
    parse_status: Callable[[bytes, str, str, datetime], Receipt]  # raw body, query, who signed
    is_stop: Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceDoor:
    """What the web room needs of the telephone wire; who calls is verified by the SMS door, of the same account."""

    parse: Callable[
        [Step, bytes, str, str, datetime], tuple[Inbound, Inbound | None]
    ]  # raw, query, who signed
    state: Callable[[str], tuple[str, int]]  # query -> language, how often a question was asked
    answer: Callable[[Turn, str], str]  # what is said, address of the door -> TwiML
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """An account at a provider of SMS."""

    name: str  # of its wire
    sid: str
    token: str
    sender: str
    url: str


SmtpDoor = email.Door  # its name for those who open it and may not name a wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """What a door, a desk or a worker needs. A process has one."""

    settings: Settings
    mode: Mode
    keys: keys.Keys
    store: Store
    blobs: Blobs
    pool: Pool
    thumbnails: Thumbnails
    spool: Spool
    filing: Filing
    media: Media
    scanner: Scanner
    student: Student
    peers: Around  # what takes in their bulletins
    checker: Checker | None  # who looks whether mails are from whom they say; None: no name server is set
    outgoing: Outgoing
    jobs: Jobs
    wires: Mapping[str, Wire]  # channel -> the wire that takes addresses
    publishers: Mapping[str, Publisher]  # channel -> what publishes to everyone
    twilio: SmsDoor
    voice: VoiceDoor
    bell: Bell
    room: Room
    health: Health
    clock: Callable[[], datetime]
    zone: ZoneInfo
    refused: Counter[str]  # calls of webhooks that this process turned away, by reason, for /metrics
    stopping: threading.Event  # set when the process leaves: what would never end by itself ends now

    @property
    def lanes(self) -> frozenset[str]:
        """The channels that this hub can send by."""
        return frozenset(self.wires) | frozenset(self.publishers)

    @property
    def place(self) -> Place:
        """Where and as whom this hub publishes."""
        settings = self.settings
        numbers = frozenset(settings.public_numbers.split(",")) - {""}
        return Place(zone=self.zone, sender_id=settings.sender_id, public_url=settings.public_site,
                     lanes=self.lanes, numbers=numbers, issuers_en=settings.issuers_en)  # fmt: skip

    def authority(self, language: str) -> str:
        """The authority this hub belongs to, by its name in that language where it has one."""
        return self.place.issuer(self.settings.organisation, language)

    def close(self) -> None:
        """Finish the calls in flight, end the children, let the store finish."""
        self.outgoing.courier.close()
        self.pool.close()
        self.thumbnails.close()
        self.scanner.pool.close()
        if self.checker:
            self.checker.pool.close()
        self.store.close()


def now() -> datetime:
    """The clock of production; every room below gets its time as an argument."""
    return datetime.now(UTC)


def build(settings: Settings, *, clock: Callable[[], datetime] = now) -> Hub:
    """A hub over an initialised database. Raises Unavailable or Refused with what to mend."""
    made = keys.load(settings.data_dir / "keys", may_make=False)
    refusals.must_be_sound(settings)
    store = birth.open_store(settings, made)
    mode = store.read(hub_row.mode)
    refusals.must_be_sound(settings, mode)
    keys.must_belong(settings.data_dir / "keys", made, store.read(hub_row.instance))
    followed = clocks.Followed(clock) if clock is now else None  # a test's own time follows nobody
    if followed is not None and (at := store.read(figures.clock)):
        followed.follow(at)
    clock = clocks.of(mode, followed or clock, settings.clock_file)
    blobs = Blobs(settings.data_dir / "blobs")
    pool = Pool(size=settings.parser_children)
    locale = Locale(region=settings.region, area_code=settings.area_code)
    bell, room = Bell(), Room(settings.data_dir)
    path = _return_path(settings, made)
    wires = [*_wires(settings, mode), *_mail_wires(settings, mode, path, clock)]
    outgoing = _outgoing(settings, mode, wires, store=store, bell=bell, clock=clock)
    checker = senders.checker(settings, mode, store=store, blobs=blobs, clock=clock)
    filing = Filing(
        store=store, blobs=blobs, pool=pool, locale=locale, clock=clock, return_path=path, bell=bell,
        looks_at_senders=checker is not None,
        acknowledger=_acknowledger(settings, mode, channels=set(outgoing.wires), key=made.receipt),
    )  # fmt: skip
    media = Media(store=store, blobs=blobs, pool=pool, clock=clock, get=_media_host(settings, mode).get)
    student = Student(store=store, clock=clock, steps=(), bell=bell, on_bug=_bug("study"))
    scanner = _scanner(store, blobs, clock=clock, bell=bell)
    around = peers_in.around(settings, mode, store=store, blobs=blobs, pool=pool, clock=clock, bell=bell)
    health = _health(settings, store=store, clock=clock, room=room, followed=followed, wires=wires)
    return Hub(
        settings=settings,
        mode=mode,
        keys=made,
        store=store,
        blobs=blobs,
        pool=pool,
        thumbnails=_thumbnails(settings, blobs),
        spool=Spool(settings.data_dir / "spool"),
        filing=filing,
        media=media,
        scanner=scanner,
        student=student,
        peers=around,
        checker=checker,
        outgoing=outgoing,
        jobs=peers_in.with_peers(jobs_of(filing, media, scanner, student, outgoing, checker), around),
        wires=outgoing.wires,
        publishers=outgoing.publishers,
        twilio=_sms_door(settings),
        voice=_voice_door(settings, mode),
        bell=bell,
        room=room,
        health=health,
        clock=clock,
        zone=ZoneInfo(settings.zone),
        refused=Counter(),
        stopping=threading.Event(),
    )


def _scanner(store: Store, blobs: Blobs, *, clock: Callable[[], datetime], bell: Bell) -> Scanner:
    pool = Pool(size=1, wall=scanning.WALL, cpu=scanning.CPU)
    return Scanner(store=store, blobs=blobs, pool=pool, clock=clock, bell=bell)


def _health(
    settings: Settings, *, store: Store, clock: Callable[[], datetime], room: Room, followed: clocks.Followed | None,
    wires: list[Wire],
) -> Health:  # fmt: skip
    """The look at everything, which asks neighbours that its room may not know."""
    health = Health(store=store, data_dir=settings.data_dir, clock=clock, room=room, followed=followed)
    health.join(Trouble.PEER_SILENT, peers_in.all_answer(store, clock))
    if any(wire.reaches_the_world for wire in wires):
        health.join(Trouble.NETWORK_OUT, network.is_there)
    return health


def _thumbnails(settings: Settings, blobs: Blobs) -> Thumbnails:
    pool = Pool(size=1, wall=thumbnails.WALL, cpu=thumbnails.CPU)
    return Thumbnails(settings.data_dir / "thumbs", blobs=blobs, pool=pool)


def rewired(hub: Hub, wire: Wire, pace: Pace) -> Hub:
    """The same hub whose one addressed channel goes by `wire`: for measuring what is left when a provider costs nothing."""
    outgoing = replace(hub.outgoing, wires={wire.channel: wire}, paces={wire.channel: pace})
    jobs = jobs_of(hub.filing, hub.media, hub.scanner, hub.student, outgoing, None)
    jobs = peers_in.with_peers(jobs, hub.peers)
    return replace(hub, outgoing=outgoing, jobs=jobs, wires=outgoing.wires)


def _acknowledger(settings: Settings, mode: Mode, *, channels: set[str], key: bytes) -> Acknowledger:
    """Who tells reporters that their report has arrived."""
    is_reached = _is_reached(settings, mode)

    def link(code: str) -> str:
        return (
            f"{settings.public_site.rstrip('/')}/report/s/{secret_link.token(key, code)}"
            if is_reached
            else ""
        )

    return Acknowledger(
        mode=mode,
        organisation=settings.organisation,
        organisation_en=settings.issuers_en.get(settings.organisation, ""),
        region=settings.region,
        channels=channels,
        ourselves={
            name.lower()
            for name in (
                settings.twilio_from,
                settings.sms_spare_from,
                settings.sender_id,
                settings.mail_from,
            )
            if name
        },
        link=link,
    )


def smtp_door(hub: Hub, bound: socket.socket | None = None) -> SmtpDoor:
    """The SMTP door of this hub, not yet open; over a socket that is kept open elsewhere, or its own."""

    async def take(inbound: Inbound) -> str:
        hub.room.admit(len(inbound.raw))
        kept = await desk.take(inbound, store=hub.store, blobs=hub.blobs, spool=hub.spool, at=hub.clock())
        if kept.is_fresh:
            hub.bell("file_report", kept.inbound_id)
        return kept.code

    def note(reason: str, who: str) -> None:
        hub.store.submit(lambda unit: shelf.put(unit, "door", reason, origin=who, at=hub.clock()))

    settings = hub.settings
    tls = None
    if settings.smtp_certificate and settings.smtp_key:
        tls = email.tls_context(certificate=settings.smtp_certificate, key=settings.smtp_key)
    return email.Door(
        host=settings.smtp_host,
        port=settings.smtp_port,
        take=take,
        log=log,
        now=hub.clock,
        elsewhere=f"{settings.public_site.rstrip('/')}/report" if _is_reached(settings, hub.mode) else "",
        note=note,
        tls=tls,
        bound=bound,
        is_open=lambda: hub.room.is_open,
    )


def _is_reached(settings: Settings, mode: Mode) -> bool:
    """Whether the public reaches the pages of this hub under an address that can be told."""
    return bool(settings.public_url or settings.base_url) or not mode.may_reach_the_world


def _outgoing(
    settings: Settings, mode: Mode, wires: list[Wire], *, store: Store, bell: Bell,
    clock: Callable[[], datetime],
) -> Outgoing:  # fmt: skip
    publishers: list[Publisher] = [CapFeed(mode=mode), WebNotice(mode=mode, zone=ZoneInfo(settings.zone))]
    publishers.append(Broadcast(mode=mode, zone=ZoneInfo(settings.zone)))
    channels = [wire.channel for wire in wires]
    return Outgoing(
        store=store,
        wires={wire.channel: wire for wire in reversed(wires)},
        spares={wire.channel: wire for n, wire in enumerate(wires) if wire.channel in channels[:n]},
        publishers={publisher.channel: publisher for publisher in publishers},
        paces={
            "sms": Pace(settings.sms_calls_per_second, burst=settings.sms_calls_per_second / 4),
            "twilio_sms_spare": Pace(settings.sms_calls_per_second, burst=settings.sms_calls_per_second / 4),
            "email": Pace(settings.emails_per_second, burst=settings.emails_per_second / 4),
        },
        courier=Courier(lambda error: log("outbox.bug", kind=type(error).__name__, where=where(error))),
        clock=clock,
        bell=bell,
        stop_file=settings.data_dir / "STOP",
        public_dir=settings.data_dir / "public",
        public_url=settings.public_site,
        zone=ZoneInfo(settings.zone),
    )


def _bug(where_from: str) -> Callable[[str, Exception], object]:
    """Says in the log which part broke, and where; never what it worked on."""
    return lambda part, error: log(
        f"{where_from}.bug", part=part, kind=type(error).__name__, where=where(error)
    )


def _wires(settings: Settings, mode: Mode) -> list[Wire]:
    """The SMS wire and its spare, when set. Only a live hub holds one that leaves this machine (law 10)."""
    return [_sms_wire(account, settings, mode) for account in _sms_accounts(settings)]


def _sms_wire(account: _Account, settings: Settings, mode: Mode) -> Wire:
    reaches_the_world = not _is_loopback(account.url)
    if reaches_the_world and not mode.may_reach_the_world:
        raise Refused(
            f"a {mode.value} hub may not hold a wire to {urlsplit(account.url).hostname}",
            code="mode_forbids_wire",
        )
    return twilio_sms.TwilioSms(
        name=account.name,
        account_sid=account.sid,
        auth_token=account.token,
        sender=account.sender,
        base_url=account.url,
        status_callback_url=settings.twilio_status_url or f"{settings.site}/hooks/dlr/twilio",
        reaches_the_world=reaches_the_world,
        window=settings.sms_calls_in_flight,
    )


def _sms_accounts(settings: Settings) -> list[_Account]:
    """The accounts that SMS go by, the first one first. Raises Refused for a spare that is no other."""
    if not settings.twilio_account_sid:
        return []
    own = _Account(
        name="twilio_sms", sid=settings.twilio_account_sid, url=settings.twilio_base_url,
        token=settings.twilio_auth_token.get_secret_value(), sender=settings.twilio_from,
    )  # fmt: skip
    if not settings.sms_spare_account_sid:
        return [own]
    spare = _Account(
        name="twilio_sms_spare", sid=settings.sms_spare_account_sid, url=settings.sms_spare_base_url,
        token=settings.sms_spare_auth_token.get_secret_value(), sender=settings.sms_spare_from,
    )  # fmt: skip
    if spare.sid == own.sid:
        raise Refused("TOCSIN_SMS_SPARE_ACCOUNT_SID is the account it would stand in for", code="spare")
    if not (spare.token and spare.sender):
        raise Refused("a second SMS provider needs TOCSIN_SMS_SPARE_AUTH_TOKEN and _FROM", code="spare")
    return [own, spare]


def _media_host(settings: Settings, mode: Mode) -> Egress:
    """Where the media of an MMS may be fetched: at the provider, or at its simulator on this machine."""
    hosts = [host.strip().lower() for host in settings.twilio_media_hosts.split(",") if host.strip()]
    places = [
        place
        for account in _sms_accounts(settings)
        for place in twilio_media.places(
            account.url, account_sid=account.sid, auth_token=account.token, hosts=hosts,
            is_simulator=_is_loopback(account.url) and not mode.may_reach_the_world,
        )
    ]  # fmt: skip
    return Egress(list(dict.fromkeys(places)))


def _return_path(settings: Settings, made: keys.Keys) -> ReturnPath | None:
    """None without a domain. Raises Refused for one that is too long for what a delivery keeps."""
    domain = settings.mail_domain
    if len(domain) > DOMAIN_MAX:
        raise Refused(
            f"TOCSIN_EMAIL_DOMAIN may have {DOMAIN_MAX} letters: set a shorter one", code="mail_domain"
        )
    return ReturnPath(key=made.return_path, domain=domain) if domain else None


def _mail_wires(
    settings: Settings, mode: Mode, path: ReturnPath | None, clock: Callable[[], datetime]
) -> list[Wire]:
    """The mail wire, when a relay is set; like `_wires`, and no password is said where others can listen."""
    host, tls = settings.email_relay_host, Tls(settings.email_relay_tls)
    if not host:
        return []
    if path is None:
        raise Refused("a mail relay needs TOCSIN_EMAIL_DOMAIN or TOCSIN_EMAIL_FROM", code="mail_domain")
    reaches_the_world = not is_this_machine(host)
    if reaches_the_world and not mode.may_reach_the_world:
        raise Refused(f"a {mode.value} hub may not hold a wire to {host}", code="mode_forbids_wire")
    if settings.email_relay_user and reaches_the_world and not tls.is_sure:
        raise Refused(
            "a login at the relay needs TOCSIN_EMAIL_RELAY_TLS=starttls or implicit", code="mail_login"
        )
    relay = Relay(
        host=host, port=settings.email_relay_port, tls=tls, authority=str(settings.email_relay_ca or ""),
        user=settings.email_relay_user, password=settings.email_relay_password.get_secret_value(), helo=path.domain,
    )  # fmt: skip
    head = Letterhead(name=settings.organisation, address=settings.mail_from, path=path)
    return [email.Email(relay=relay, head=head, now=clock, reaches_the_world=reaches_the_world)]


def _sms_door(settings: Settings) -> SmsDoor:
    accounts = [account for account in _sms_accounts(settings) if account.token]

    def verify(url: str, raw: bytes, signature: str | None) -> str:
        if not accounts:
            raise Refused("no SMS wire is configured", code="no_such_door")
        for account in accounts[:-1]:
            with suppress(NotAllowed):
                twilio_sms.verify(url, raw, signature, account.token)
                return account.sid
        twilio_sms.verify(url, raw, signature, accounts[-1].token)
        return accounts[-1].sid

    def parse_message(raw: bytes, signer: str, at: datetime) -> Inbound:
        return twilio_sms.parse_message(raw, account_sid=signer, at=at)

    def parse_status(raw: bytes, query: str, signer: str, at: datetime) -> Receipt:
        return twilio_sms.parse_status(raw, query, account_sid=signer, at=at)

    return SmsDoor(verify=verify, parse_message=parse_message, parse_status=parse_status, is_stop=is_stop)


def _voice_door(settings: Settings, mode: Mode) -> VoiceDoor:
    def parse(
        step: Step, raw: bytes, query: str, signer: str, at: datetime
    ) -> tuple[Inbound, Inbound | None]:
        return twilio_voice.parse(step, raw, query, account_sid=signer, at=at)

    line = Line(mode=mode, organisation=settings.organisation)
    return VoiceDoor(parse=parse, state=twilio_voice.state, answer=twilio_voice.answer, line=line)


def _is_loopback(url: str) -> bool:
    return is_this_machine(urlsplit(url).hostname or "")
