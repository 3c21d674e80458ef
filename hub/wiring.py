"""Builds the hub: the only place where rooms meet wires."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from approval.freeze import Place
from channels import email, fax
from channels.broadcast import Broadcast
from channels.cap_feed import CapFeed
from channels.contract import Publisher, Wire
from channels.web_notice import WebNotice
from domain.handling import Mode
from domain.report import Inbound
from duty import thumbnails
from duty.clocks import Setting
from duty.handovers import Post
from duty.thumbnails import Thumbnails
from hub import (
    birth,
    departments,
    keys,
    network,
    peers_in,
    proofs,
    quarantine,
    refusals,
    senders,
    studies,
    wiring_chat,
    words,
)
from hub import clock as clocks
from hub.bell import Bell
from hub.crowd import Crowd
from hub.departments import Departments
from hub.health import Health, Trouble
from hub.jobs import jobs_of, watched
from hub.log import bug_of, log, where
from hub.peers_in import Around
from hub.proofs import Prober
from hub.room import Room
from hub.settings import Settings
from hub.wires import SmsDoor, VoiceDoor, mail_wires, media_host, return_path, sms_door, sms_wires, voice_door
from intake import desk, secret_link
from intake import scan as scanning
from intake.acknowledge import Acknowledger
from intake.entering import Entering
from intake.fax_folder import FaxFolder
from intake.filing import Filing
from intake.media import Media
from intake.poll import Poller
from intake.reading import Locale
from intake.scan import Scanner
from intake.sender_checks import Checker
from intake.spool import Spool
from intake.study import Student
from intake.words import Words
from outbox.outgoing import Jobs, Outgoing
from outbox.pace import Pace
from outbox.window import Courier
from sandbox.pool import Pool
from store import figures, shelf
from store import hub as hub_row
from store.blobs import Blobs
from store.database import Store

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
    words: Words  # what is no message and waits as messages do while the database is down
    filing: Filing
    media: Media
    departments: Departments  # what they send in parts, and how they are told what becomes of it
    prober: Prober
    scanner: Scanner
    student: Student
    peers: Around  # what takes in their bulletins
    post: Post  # how bodies are told of what is handed to them
    reports_up: Setting  # to whom, and by which clock on the wall
    checker: Checker | None  # who looks whether mails are from whom they say; None: no name server is set
    outgoing: Outgoing
    jobs: Jobs
    wires: Mapping[str, Wire]  # channel -> the wire that takes addresses
    publishers: Mapping[str, Publisher]  # channel -> what publishes to everyone
    twilio: SmsDoor
    voice: VoiceDoor
    chat: wiring_chat.ChatDoor
    poller: Poller | None  # who asks the chat's provider for what came in; None without one
    bell: Bell
    room: Room
    health: Health
    clock: Callable[[], datetime]
    zone: ZoneInfo
    refused: Counter[str] = field(
        default_factory=Counter
    )  # calls of webhooks turned away here, by reason, for /metrics
    crowd: Crowd = field(default_factory=Crowd)  # who waits at the doors of this process
    # set when the process leaves: what would never end by itself ends now
    stopping: threading.Event = field(default_factory=threading.Event)

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
    made, store, mode, followed, clock = _founded(settings, clock)
    blobs, spool = Blobs(settings.data_dir / "blobs"), Spool(settings.data_dir / "spool")
    pool, locale = Pool(size=settings.parser_children), _locale(settings)
    bell, room = Bell(), Room(settings.data_dir)
    path, twilio = return_path(settings, made), sms_door(settings)
    intake = wiring_chat.Intake(store=store, blobs=blobs, spool=spool, room=room, bell=bell, clock=clock)
    texts = wiring_chat.lines(settings, mode, intake, sms_wires(settings, mode))
    wires = [*texts, *mail_wires(settings, mode, path, clock)]
    sign = peers_in.signer(made)
    outgoing = _outgoing(settings, mode, wires, store=store, bell=bell, clock=clock, sign=sign)
    checker = senders.checker(settings, mode, store=store, blobs=blobs, clock=clock)
    writer = _acknowledger(settings, mode, channels=set(outgoing.wires), key=made.receipt)
    entering = _entering(settings, writer, looks_at_senders=checker is not None)
    filing = Filing(
        store=store, blobs=blobs, pool=pool, locale=locale, clock=clock, entering=entering, return_path=path, bell=bell,
        on_bug=bug_of("filing"), proof_key=made.proof, lies_in=studies.sorter(settings),
    )  # fmt: skip
    media = _media(settings, mode, store=store, blobs=blobs, pool=pool, clock=clock)
    student = _student(settings, store, bell, clock)
    scanner = _scanner(store, blobs, clock=clock, bell=bell)
    around = peers_in.around(settings, mode, store=store, blobs=blobs, pool=pool, clock=clock, bell=bell, made=made)  # fmt: skip
    health = _health(settings, store=store, clock=clock, room=room, followed=followed, wires=wires)
    return Hub(
        settings=settings,
        mode=mode,
        keys=made,
        store=store,
        blobs=blobs,
        pool=pool,
        thumbnails=_thumbnails(settings, blobs),
        spool=spool,
        words=words.words(settings, twilio),
        filing=filing,
        media=media,
        departments=(theirs := departments.of(settings, mode, store, blobs, pool, clock)),
        prober=proofs.prober(
            settings, made, store, clock=clock, is_live=mode is Mode.LIVE, line=wiring_chat.smpp_of(wires)
        ),
        scanner=scanner,
        student=student,
        peers=around,
        post=_post(settings, mode, channels=set(outgoing.wires), key=made.receipt),
        reports_up=_reports_up(settings),
        checker=checker,
        outgoing=outgoing,
        jobs=_jobs(around, theirs, jobs_of(filing, media, scanner, student, outgoing, checker), store, clock),
        wires=outgoing.wires,
        publishers=outgoing.publishers,
        twilio=twilio,
        voice=voice_door(settings, mode),
        chat=wiring_chat.chat_door(settings),
        poller=wiring_chat.poller(settings, outgoing.wires.get("telegram"), intake, outgoing.courier),
        bell=bell,
        room=room,
        health=health,
        clock=clock,
        zone=ZoneInfo(settings.zone),
    )


def _locale(settings: Settings) -> Locale:
    return Locale(region=settings.region, area_code=settings.area_code)


def _jobs(
    around: peers_in.Around, theirs: Departments, jobs: Jobs, store: Store, clock: Callable[[], datetime]
) -> Jobs:
    return watched(departments.with_departments(peers_in.with_peers(jobs, around), theirs), store, clock)


def _founded(
    settings: Settings, clock: Callable[[], datetime]
) -> tuple[keys.Keys, Store, Mode, clocks.Followed | None, Callable[[], datetime]]:
    """What a hub stands on: keys, database and time that belong to each other."""
    made = keys.load(settings.data_dir / "keys", may_make=False)
    refusals.must_be_sound(settings)
    store = birth.open_store(settings, made)
    mode = store.read(hub_row.mode)
    refusals.must_be_sound(settings, mode)
    keys.must_belong(settings.data_dir / "keys", made, store.read(hub_row.instance))
    followed = clocks.Followed(clock) if clock is now else None  # a test's own time follows nobody
    asked = clock()
    if followed is not None and (at := store.read(figures.clock)):
        followed.follow(at, asked=asked, answered=clock())
    return made, store, mode, followed, clocks.of(mode, followed or clock, settings.clock_file)


def _scanner(store: Store, blobs: Blobs, *, clock: Callable[[], datetime], bell: Bell) -> Scanner:
    pool = Pool(size=1, wall=scanning.WALL, cpu=scanning.CPU)
    return Scanner(store=store, blobs=blobs, pool=pool, clock=clock, bell=bell, on_bug=bug_of("scan"))


def _media(
    settings: Settings, mode: Mode, *, store: Store, blobs: Blobs, pool: Pool, clock: Callable[[], datetime]
) -> Media:
    get = wiring_chat.media_getter(settings, mode, media_host(settings, mode).get)
    return Media(store=store, blobs=blobs, pool=pool, clock=clock, get=get)


def _health(
    settings: Settings, *, store: Store, clock: Callable[[], datetime], room: Room, followed: clocks.Followed | None,
    wires: list[Wire],
) -> Health:  # fmt: skip
    """The look at everything, which asks neighbours that its room may not know."""
    health = Health(store=store, data_dir=settings.data_dir, clock=clock, room=room, followed=followed)
    health.join(Trouble.WEBHOOK_OFF, departments.are_well(store))
    health.join(Trouble.SECRET_HELD, quarantine.is_empty(store))
    health.join(Trouble.PEER_SILENT, peers_in.all_answer(store, clock))
    health.join(Trouble.CHANNEL_SILENT, proofs.all_heard(store, settings, clock))
    heard = wiring_chat.hearing(wires, settings, store, clock)
    health.join(Trouble.DOOR_DEAF, heard.is_good)
    health.join(Trouble.DOOR_LOSS, heard.is_whole)
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


def _entering(settings: Settings, writer: Acknowledger, *, looks_at_senders: bool) -> Entering:
    return Entering(acknowledger=writer, looks_at_senders=looks_at_senders, zone=ZoneInfo(settings.zone))


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
                settings.smpp_from,
                settings.sender_id,
                settings.mail_from,
            )
            if name
        },
        link=link,
    )


def _post(settings: Settings, mode: Mode, *, channels: set[str], key: bytes) -> Post:
    is_reached, site = _is_reached(settings, mode), settings.public_site.rstrip("/")

    def link(handover: str) -> str:
        return f"{site}/handover/{secret_link.row_token(key, handover)}" if is_reached else ""

    return Post(mode=mode, organisation=settings.organisation, region=settings.region, channels=channels, link=link,
                zone=ZoneInfo(settings.zone))  # fmt: skip


def smtp_door(hub: Hub, bound: socket.socket | None = None) -> SmtpDoor:
    """The SMTP door of this hub, not yet open; over a socket that is kept open elsewhere, or its own."""

    gateways = {name.strip().lower() for name in hub.settings.fax_gateways.split(",")} - {""}

    async def take(mail: Inbound) -> str:
        inbound = fax.of_gateway(mail, gateways)
        hub.room.admit(len(inbound.raw))
        with hub.crowd.place("mail"):
            kept = await desk.take(inbound, store=hub.store, blobs=hub.blobs, spool=hub.spool, at=hub.clock())
        if kept.is_fresh:
            hub.bell("file_report", kept.inbound_id)
        return kept.code

    def note(reason: str, who: str) -> None:
        hub.store.submit(lambda unit: shelf.put(unit, "door", reason, origin=who, at=hub.clock()))

    hub.health.join(Trouble.DOOR_FULL, hub.crowd.is_calm)
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
        is_full=lambda: hub.crowd.is_full("mail"),
    )


def fax_folder(hub: Hub) -> FaxFolder | None:
    """Where a fax server drops its files; None when no folder is set."""
    settings = hub.settings
    if settings.fax_dir is None:
        return None
    return FaxFolder(directory=settings.fax_dir, store=hub.store, blobs=hub.blobs, spool=hub.spool, clock=hub.clock,
                     zone=hub.zone, largest=settings.max_body_bytes, admit=hub.room.admit, bell=hub.bell)  # fmt: skip


def _is_reached(settings: Settings, mode: Mode) -> bool:
    """Whether the public reaches the pages of this hub under an address that can be told."""
    return bool(settings.public_url or settings.base_url) or not mode.may_reach_the_world


def _outgoing(
    settings: Settings, mode: Mode, wires: list[Wire], *, store: Store, bell: Bell,
    clock: Callable[[], datetime], sign: Callable[[bytes], str],
) -> Outgoing:  # fmt: skip
    publishers: list[Publisher] = [
        CapFeed(mode=mode, sign=sign),
        WebNotice(mode=mode, zone=ZoneInfo(settings.zone)),
    ]
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
            "smpp_sms": Pace(settings.sms_calls_per_second, burst=settings.sms_calls_per_second / 4),
            "twilio_sms": Pace(settings.sms_calls_per_second, burst=settings.sms_calls_per_second / 4),
            "telegram": Pace(settings.telegram_messages_per_second, burst=1),
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


def _student(settings: Settings, store: Store, bell: Bell, clock: Callable[[], datetime]) -> Student:
    """Whoever studies reports."""
    return studies.student(
        settings,
        store=store,
        clock=clock,
        bell=bell,
        on_bug=bug_of("study"),
        reports_up=_reports_up(settings),
    )


def _reports_up(settings: Settings) -> Setting:
    return Setting(hop=settings.report_hop, zone=ZoneInfo(settings.zone))
