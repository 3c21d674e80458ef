"""How fast this hub is on this machine: each figure beside a ceiling that was measured in the same run."""

import asyncio
import smtplib
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from approval import checks, desk, forms, gather
from domain.errors import Unavailable
from domain.handling import Mode
from domain.parcel import Answer, DeliveryState, Item, Part
from domain.person import Person, Role
from domain.release import Release
from domain.report import Inbound
from hub import birth
from hub.wiring import Hub, SmtpDoor, build, now, smtp_door
from intake import desk as intake_desk
from outbox import deliver, progress, relay
from outbox.pace import Pace
from store import areas, audience, parcels, people, promises
from store.unit import Unit
from templates.library import library
from tocsin import demo_world
from tocsin.given import settings_of

MAIL = (
    b"From: a@example.org\r\nTo: report@tocsin.example\r\nSubject: x\r\nMessage-ID: <%d@x>\r\n\r\n"
    + b"y" * 1900
)
GROUP = 200  # rows in one transaction of the ceiling: as many as the store commits together


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measurement: `rate` and `ceiling` in `unit` a second. The ceiling does the least that could be done."""

    name: str
    rate: float
    ceiling: float
    unit: str
    against: str  # what the ceiling is

    @property
    def ratio(self) -> float:
        """Share of the ceiling that is reached."""
        return self.rate / self.ceiling if self.ceiling else 0.0


class Taker:
    """A wire that takes everything at once: what is left is the outbox itself."""

    name = "bench"
    channel = "sms"
    items_per_call = 1
    window = 32
    reaches_the_world = False

    async def call(self, part: Part) -> Sequence[Answer]:
        """One answer, without any network."""
        (item,) = part.items
        return [
            Answer(delivery_id=item.delivery_id, state=DeliveryState.ACCEPTED, provider_id=item.delivery_id)
        ]

    async def aclose(self) -> None:
        """Nothing to close."""


def run(*, size: int, only: str = "") -> Iterator[Figure]:
    """Each figure as it is ready; `size` is the number of recipients. A temporary hub on SQLite, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as place, _hub(Path(place)) as hub:
        for name, measure in BENCHES.items():
            if only in ("", name):
                yield from measure(hub, Path(place), size)


def kept(hub: Hub, place: Path, size: int) -> Iterator[Figure]:
    """Messages made durable, each under its key, by a door that waits for the commit."""
    count = min(size, 10_000)
    at = now()
    inbound = Inbound(
        channel="api", external_id="", media_type="application/json", received_at=at, raw=b"x" * 400
    )

    def work(n: int) -> Callable[[Unit], object]:
        one, names = replace(inbound, external_id=f"bench-{n}"), intake_desk.mint_names(at)
        return lambda unit: intake_desk.receive(unit, one, names, at=at)

    rate = _rate(count, lambda: wait([hub.store.submit(work(n)) for n in range(count)]))
    yield Figure(name="kept", rate=rate, ceiling=_plain_rows(place, count), unit="messages",
                 against=f"bare rows of 400 bytes in SQLite, {GROUP} a transaction, synchronous=FULL")  # fmt: skip


def mail(hub: Hub, _place: Path, size: int) -> Iterator[Figure]:
    """Mails of 2 KB through the SMTP door on one connection, against the same door that keeps nothing."""
    count = min(size, 1_000)

    async def forget(_inbound: Inbound) -> str:
        return "4F7K-92PX"

    rates = [_mails(door, count) for door in (smtp_door(hub), replace(smtp_door(hub), take=forget))]
    yield Figure(
        name="mail", rate=rates[0], ceiling=rates[1], unit="mails", against="the door without the store"
    )


def out(hub: Hub, _place: Path, size: int) -> Iterator[Figure]:
    """An audience becomes parcels; parcels are carried by a wire that takes all; an ending finds them again."""
    release = _approved(hub, size)
    outgoing = replace(
        hub.outgoing, wires={"sms": Taker()}, paces={"sms": Pace(1e9, burst=1e9)}, bell=lambda _job, _id: None
    )
    (dispatch,) = hub.store.read(lambda unit: promises.of_release(unit, release.id))
    bare = _bare_insert(size)
    yield Figure(name="expand", rate=_rate(size, lambda: relay.relay(outgoing, dispatch.id)), ceiling=bare,
                 unit="addresses", against="one bare INSERT ... SELECT in memory")  # fmt: skip
    carried = min(size, 10_000)
    names = hub.store.read(lambda unit: parcels.due(unit, now(), carried // 500))
    rate = _rate(carried, lambda: [deliver.deliver(outgoing, name) for name in names])
    yield Figure(name="deliver", rate=rate, ceiling=_calls(carried), unit="messages",
                 against="the same wire called in a loop, nothing written down")  # fmt: skip
    _must_be(hub, release, "channels", carried)  # a figure of work that was not done is no figure
    officer = _person(hub, "officer")
    hub.store.run(lambda unit: desk.correct(unit, release.id, reason="bench", by=officer, at=now()))
    told = next(
        d for d in hub.store.read(lambda u: promises.of_release(u, release.id)) if d.purpose != "main"
    )
    rate = _rate(carried, lambda: relay.relay(outgoing, told.id))
    _must_be(hub, release, "endings", carried)
    yield Figure(name="ending", rate=rate, ceiling=bare, unit="addresses", against="as expand")


def _must_be(hub: Hub, release: Release, part: str, count: int) -> None:
    found = hub.store.read(lambda unit: progress.summary(unit, release.id))[part]
    states = (found["correction"] if part == "endings" else found)["sms"]["states"]
    if states.get("queued" if part == "endings" else "accepted", 0) != count:
        raise Unavailable(f"{count} were to be done, and {states} stand there", code="bench")


BENCHES: dict[str, Callable[[Hub, Path, int], Iterator[Figure]]] = {"kept": kept, "mail": mail, "out": out}


def _rate(count: int, work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return count / (time.perf_counter() - begun)


@contextmanager
def _hub(place: Path) -> Iterator[Hub]:
    settings = settings_of(place / "data", smtp_port=0, database_url="", redis_url="")
    birth.prepare(settings, Mode.DEMO, now())
    hub = build(settings)
    try:
        for login, role in (("officer", Role.OFFICER), ("approver", Role.APPROVER)):
            made = Person(id=f"per_{login}", name=login, organisation="o", roles=frozenset({role}))
            hub.store.run(partial(people.add, person=made, login=login, password_hash="", at=now()))
        hub.store.run(lambda unit: areas.put(unit, demo_world.areas()))
        yield hub
    finally:
        hub.close()


def _person(hub: Hub, login: str) -> Person:
    return hub.store.read(lambda unit: people.get(unit, f"per_{login}"))


def _approved(hub: Hub, size: int) -> Release:
    """A release by SMS to `size` made-up numbers of one county, promised and not begun."""
    at, author = now(), _person(hub, "officer")
    rows = [
        {
            "channel": "sms",
            "address": f"+8619{n:09d}",
            "area": "990101",
            "language": "zh-CN",
            "group": "subscriber",
        }
        for n in range(size)
    ]
    for start in range(0, size, 5_000):
        hub.store.run(partial(audience.add, rows=rows[start : start + 5_000], at=at))
    body = forms.example(library()["heavy_rain"], at, zone=hub.zone, codes=["990101"], lanes=["sms"])
    body |= {"channels": ["sms"], "languages": ["zh-CN"]}
    draft = hub.store.read(lambda unit: forms.draft_from_body(unit, body, by=author, at=at))
    made = hub.store.run(lambda unit: desk.create(unit, draft, by=author, at=at))
    inputs = hub.store.read(lambda unit: gather.prepare_stored(unit, made.id, zone=hub.zone))
    place = replace(hub.place, lanes=None)
    frozen = checks.freeze(inputs, place, at=at)
    sent = hub.store.run(lambda unit: desk.submit(unit, made.id, frozen, by=author, at=at))
    approver = _person(hub, "approver")
    return hub.store.run(lambda unit: desk.approve(unit, made.id, digest=sent.digest, by=approver, at=at))


def _plain_rows(place: Path, count: int) -> float:
    base = sqlite3.connect(place / "ceiling.db", isolation_level=None)
    base.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE x (k TEXT PRIMARY KEY, v BLOB)"
    )

    def work() -> None:
        for start in range(0, count, GROUP):
            base.execute("BEGIN IMMEDIATE")
            rows = ((f"k{n}", b"x" * 400) for n in range(start, min(start + GROUP, count)))
            base.executemany("INSERT INTO x VALUES (?, ?)", rows)
            base.execute("COMMIT")

    rate = _rate(count, work)
    base.close()
    return rate


def _bare_insert(count: int) -> float:
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE r (id TEXT PRIMARY KEY, address TEXT)")
    base.execute(
        "CREATE TABLE d (parcel TEXT, seq INTEGER, id TEXT, address TEXT, PRIMARY KEY (parcel, seq))"
    )
    base.executemany("INSERT INTO r VALUES (?, ?)", ((f"r{n:09d}", f"+8619{n:09d}") for n in range(count)))
    number = "row_number() OVER (ORDER BY id) - 1"
    query = f"INSERT INTO d SELECT 'p' || (({number}) / 500), ({number}) % 500, id, address FROM r"  # noqa: S608 (our own words)
    rate = _rate(count, lambda: base.execute(query))
    base.close()
    return rate


def _calls(count: int) -> float:
    from_wire = Taker()

    async def work() -> None:
        for n in range(count):
            await from_wire.call(_part(n))

    return _rate(count, lambda: asyncio.run(work()))


def _part(n: int) -> Part:
    item = Item(delivery_id=f"d-{n}", address=f"+8619{n:09d}")
    return Part(channel="sms", payload=b"x", sha256="0" * 64, language="zh-CN", items=(item,))


def _mails(door: SmtpDoor, count: int) -> float:
    """Mails a second on one connection to `door`, which runs in a thread meanwhile."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(door.start(), loop).result(10)
    try:
        with smtplib.SMTP(*door.address, timeout=30) as session:
            session.ehlo()

            def work() -> None:
                for n in range(count):
                    session.sendmail("a@example.org", ["report@tocsin.example"], MAIL % n)

            return _rate(count, work)
    finally:
        asyncio.run_coroutine_threadsafe(door.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
