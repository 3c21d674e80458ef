"""Approved releases, lists and wires for the tests of outbox and workers."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from channels.contract import Entry, File
from domain.artefact import Artefact, digest
from domain.handling import Handling
from domain.ids import mint
from domain.parcel import Answer, DeliveryState, Part
from domain.person import Person
from domain.release import Audience, Colour, Draft, Kind, Release, State
from outbox import ledger
from outbox.outgoing import Jobs, Outgoing
from outbox.pace import Pace
from outbox.window import Courier
from store import audience, journal, releases
from store.database import Store
from store.people import add as add_person

TEXT = {"zh-CN": "【演示】甲市发布暴雨橙色预警", "en": "[TEST] Orange rainstorm warning"}


class Wire:
    """A provider in memory with a ledger; `say` decides, by address and number of the call."""

    name = "test_wire"
    channel = "sms"
    items_per_call = 1
    window = 8
    reaches_the_world = False

    def __init__(self, say: Callable[[str, int], Exception | Answer | None] | None = None) -> None:
        self.taken: list[str] = []
        self.started: list[tuple[str, float]] = []
        self.payloads: set[bytes] = set()
        self.in_flight = self.most_in_flight = 0
        self.delay = 0.0
        self._say = say or (lambda _address, _n: None)
        self._calls: Counter[str] = Counter()

    async def call(self, part: Part) -> Sequence[Answer]:
        (item,) = part.items
        self._calls[item.address] += 1
        self.started.append((item.address, asyncio.get_running_loop().time()))
        self.in_flight += 1
        self.most_in_flight = max(self.in_flight, self.most_in_flight)
        try:
            await asyncio.sleep(self.delay)
            said = self._say(item.address, self._calls[item.address])
        finally:
            self.in_flight -= 1
        if isinstance(said, Exception):
            raise said
        self.taken.append(item.address)
        self.payloads.add(part.payload)
        if said is not None:
            return [replace(said, delivery_id=item.delivery_id)]
        provider_id = f"SM{item.delivery_id}"
        return [Answer(delivery_id=item.delivery_id, state=DeliveryState.ACCEPTED, provider_id=provider_id)]

    async def aclose(self) -> None:
        return None


class Standing:
    """A clock that stands until somebody steps it."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


class Pages:
    """A publisher: one page for each release, and an index."""

    name = "web_notice"
    channel = "web_notice"

    def build(self, entries: Sequence[Entry], *, public_url: str) -> Sequence[File]:
        pages = [
            File(path=f"alerts/{e.release_id}/index.html", media_type="text/html", about=e.release_id,
                 body=e.state.encode() + b"\n" + b"\n".join(v for _, v in sorted(e.payloads.items())))
            for e in entries
        ]  # fmt: skip
        index = "\n".join(f"{e.release_id} {e.state}" for e in entries).encode()
        return [File(path="index.html", body=index, media_type="text/html", is_index=True), *pages]


def outgoing(
    store: Store, at: datetime, tmp_path: Path, *, wire: Wire | None = None,
    clock: Callable[[], datetime] | None = None, bell: Callable[[str, str], None] | None = None,
    pace: Pace | None = None, courier: Courier | None = None,
) -> Outgoing:  # fmt: skip
    """An Outgoing whose clock stands at `at` unless another is given."""
    return Outgoing(
        store=store, wires={"sms": wire} if wire else {}, publishers={"web_notice": Pages()},
        paces={"sms": pace or Pace(100_000, burst=1000)}, courier=courier or Courier(),
        clock=clock or Standing(at), bell=bell or (lambda _job, _id: None), stop_file=tmp_path / "STOP",
        public_dir=tmp_path / "public", public_url="http://127.0.0.1:9",
    )  # fmt: skip


def jobs_of(out: Outgoing) -> Jobs:
    """The jobs of the outbox; reports are not filed here."""
    from outbox import deliver, publish, relay

    return Jobs(
        file_report=lambda _id: None, relay=lambda i: relay.relay(out, i) and None,
        deliver=lambda i: deliver.deliver(out, i) and None, publish=lambda i: publish.publish(out, i) and None,
    )  # fmt: skip


def phones(count: int, start: int = 0) -> list[str]:
    """Numbers of the range that the demo uses."""
    return [f"+8613900{n:06d}" for n in range(start, start + count)]


def subscribe(
    store: Store, at: datetime, addresses: Sequence[str], *, area: str = "990101", language: str = "zh-CN",
    group: str = "subscriber",
) -> int:  # fmt: skip
    """Put addresses on the list of the sms channel."""
    rows = [
        {"channel": "sms", "address": a, "area": area, "language": language, "group": group}
        for a in addresses
    ]
    return store.run(lambda unit: audience.add(unit, rows, at))


def approve(
    store: Store, at: datetime, *, channels: Sequence[str] = ("sms",), languages: Sequence[str] = ("zh-CN",),
    areas: Sequence[str] = ("990100000000",), lasts: timedelta = timedelta(hours=6),
    wanted: Audience | None = None, handling: Handling = Handling.PUBLIC, colour: Colour | None = Colour.ORANGE,
    texts: Mapping[str, str] = TEXT, supersedes: str = "", author: str = "per_author",
    repeat_unsure: bool = False,
) -> tuple[str, list[str]]:  # fmt: skip
    """An approved release with its promises, as the approving transaction leaves it: (id, dispatch ids)."""
    draft = Draft(
        kind=Kind.WARNING, issuer="甲市气象台", organisation="示例省应急管理厅", handling=handling,
        template="heavy_rain" if colour else "utility_outage", template_version=1, event_code="11B03",
        areas=tuple(areas), fields={},
        channels=tuple(channels), languages=tuple(languages), audience=wanted or Audience(),
        expires=at + lasts, colour=colour, supersedes=supersedes, repeat_unsure=repeat_unsure,
    )  # fmt: skip
    artefacts = [
        Artefact(id=mint("art", at), channel=channel, language=language, media_type="text/plain",
                 body=texts[language].encode())
        for channel in channels for language in languages
    ]  # fmt: skip

    def work(unit):
        writer = Person(id=author, name="a", organisation="o")
        add_person(unit, writer, login=author, password_hash="", at=at)
        whom = draft.audience
        version, reach = audience.count(
            unit, channel="sms", areas=whom.areas or draft.areas, groups=whom.groups, languages=whom.languages
        )
        chosen = {"repeat_unsure": True} if repeat_unsure else {}
        release = Release(
            id=mint("rel", at), draft=draft, state=State.APPROVED, revision=1, author=author,
            created_at=at, sent=at, identifier=mint("cap", at), digest=digest(artefacts, chosen),
            list_version=version, reach=reach if "sms" in channels else 0, approved_at=at,
        )  # fmt: skip
        releases.insert(unit, release)
        releases.put_artefacts(unit, release.id, release.digest, [(a, "暴雨橙色预警") for a in artefacts])
        releases.put_manifest(unit, release.id, release.digest, chosen)
        journal.append(unit, "release", release.id, "approve", by=author, at=at, is_first=True)
        return release.id, ledger.put(unit, release=release, artefacts=artefacts, at=at)

    return store.run(work)


def write_past_guards(store: Store, table: sa.Table, **values: Any) -> None:
    """What somebody does who has the database in his hands."""

    def work(unit):
        name = table.name
        say = unit.connection.exec_driver_sql
        say(
            f"ALTER TABLE {name} DISABLE TRIGGER USER"
            if unit.is_postgres
            else f"DROP TRIGGER {name}_no_update"
        )
        unit.execute(table.update().values(**values))

    store.run(work)


def run_all(out: Outgoing, rounds: int = 500) -> None:
    """What sweeps and workers do, in one thread, until nothing is due."""
    from outbox import sweep

    jobs = jobs_of(out)
    for _ in range(rounds):
        rows = out.store.read(lambda unit: sweep.due(unit, out.clock()))
        if not rows:
            if not _comes_round(out):
                return
            continue
        for job, row_id in rows:
            getattr(jobs, job)(row_id)
    raise AssertionError("there is always something due")


def _comes_round(out: Outgoing) -> bool:
    """Step a standing clock to what a guard held back for a second, as it does on a machine that stumbles."""
    from outbox import sweep

    soon = out.clock() + timedelta(seconds=1)
    if not isinstance(out.clock, Standing) or not out.store.read(lambda unit: sweep.due(unit, soon)):
        return False
    out.clock.at = soon
    return True


def states(store: Store, release_id: str) -> dict[str, int]:
    """delivery state -> count of the sms channel."""
    from outbox import progress

    found = store.read(lambda unit: progress.summary(unit, release_id))
    assert found["adds_up"], found
    return found["channels"]["sms"]["states"]
