"""Whether reports of one event are found, and how long that takes with many open ones stored."""

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from domain.handling import Handling
from domain.report import Content, Fact, Inbound, Report, State
from hub.wiring import Hub, now
from intake import desk
from intake.same.blocks import stored
from intake.same.score import likely, likeness
from intake.same.sketch import sketch
from intake.same.step import Sameness
from store import reports, sketches
from store.inbox import Arriving
from store.unit import Unit
from tocsin.benches import labelled
from tocsin.benches.figure import Figure, percentile
from tocsin.benches.labelled import Labelled
from tocsin.benches.place import Place

AT_ONCE = 1_000  # reports in a transaction
ASKED = 300
WITHIN = timedelta(days=3)  # the stored ones came within it: all of them are in the window of every search
COUNTIES = 100
_FIRST = "大小上下东西南北青白黄红金银石木清龙凤马牛罗李张王何陈杨柳双三"
_SECOND = "坪湾塘溪桥林山岭沟河岗田营庄寨湖坝峰泉井"
_EVENTS = (
    "{v}村滑坡了，埋了{n}家", "{v}村三组房子塌了，压着{n}个人", "{v}街上进水了，水到膝盖", "{v}小区{n}栋着火，烟很大",
    "{v}路两车相撞，有{n}人受伤",
    "{v}水库有人落水", "{v}化工厂冒黄烟，很呛", "{v}镇停电了，电线杆倒了{n}根",
    "{v}小学有{n}个学生呕吐", "{v}桥被冲垮了",
    "landslide at {v} village, {n} people trapped", "{v}山起火了，火往山顶烧", "{v}村被淹，{n}个老人出不来",
)  # fmt: skip


def dedupe(place: Place, count: int, step: Callable[[], None]) -> Iterator[Figure]:
    """Recall and precision over the sets that no weight was fitted to; and the time that one report takes."""
    score = scored(labelled.HELD)
    for what, value, reach in (("recall", score.recall, 0.9), ("precision", score.precision, 0.95)):
        yield Figure(name=f"dedupe_{what}", store=place.store, value=value, ceiling=1.0, reach=reach,
                     unit=f"of {score.questions if what == 'recall' else score.proposed}",
                     against="all, of sets the weights never saw", is_ratio=False)  # fmt: skip
    step()
    with place.hub() as hub:
        rand = random.Random(7)  # noqa: S311 (texts of a bench)
        for done in range(0, count, AT_ONCE * 10):
            _fill(hub, min(AT_ONCE * 10, count - done), rand)
            step()
        waited, worked = _asked(hub, rand)
    yield Figure(name="dedupe_time", store=place.store, value=percentile(waited, 95) * 1000,
                 unit=f"ms (p95) at {count:,} open reports", ceiling=percentile(worked, 95) * 1000,
                 against="what this process works of it", reach=20, is_ratio=False, is_at_most=True)  # fmt: skip


def scored(parts: Sequence[str]) -> labelled.Score:
    """Recall and precision over some parts of the labelled set, every earlier report compared."""
    scores = [labelled.score(part, _propose(part)) for part in map(labelled.read, parts)]
    return sum(scores[1:], scores[0])


def _propose(part: Sequence[Labelled]) -> Callable[[Labelled, Sequence[Labelled]], list[Labelled]]:
    """Every earlier one is compared: the search by keys is the tests' matter."""
    made = {one.report.id: sketch(one.report, labelled.ZONE) for one in part}

    def propose(one: Labelled, earlier: Sequence[Labelled]) -> list[Labelled]:
        scored = [(other, likeness(made[one.report.id], made[other.report.id])) for other in earlier]
        return [other for other, _ in likely(scored)]

    return propose


def _asked(hub: Hub, rand: random.Random) -> tuple[list[float], list[float]]:
    """Seconds, and those of the processor, of looking and writing down with its COMMIT, one new report after the other."""
    step, waited, worked = Sameness(zone=hub.zone), [], []
    for _ in range(ASKED):
        report = hub.store.run(partial(_enter, hub=hub, count=1, rand=rand, is_sketched=False))[0]
        begun, cpu = time.perf_counter(), time.process_time()
        found = step.look(hub.store, report)
        hub.store.run(partial(step.write, report=report, found=found, at=now()))
        waited.append(time.perf_counter() - begun)
        worked.append(time.process_time() - cpu)
    return waited, worked


def _fill(hub: Hub, count: int, rand: random.Random) -> None:
    for first in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - first)
        hub.store.run(partial(_enter, hub=hub, count=size, rand=rand, is_sketched=True))


def _enter(unit: Unit, *, hub: Hub, count: int, rand: random.Random, is_sketched: bool) -> list[Report]:
    """Open reports as doors, filing and study leave them, in one transaction."""
    arriving = []
    for _ in range(count):
        at = now() - (rand.random() * WITHIN if is_sketched else timedelta())
        raw = json.dumps({"n": os.urandom(6).hex()}).encode()
        inbound = Inbound(channel="sms", external_id=os.urandom(12).hex(), media_type="application/json",
                          received_at=at, raw=raw)  # fmt: skip
        arriving.append(Arriving(inbound=inbound, minted=desk.mint_names(at), at=at))
    made = []
    for one, names in zip(arriving, desk.receive_many(unit, arriving), strict=True):
        made.append((_report(names.report_id, names.code, one.at, rand), names.inbound_id, "door:sms"))
    reports.insert_many(unit, made, at=now())
    if is_sketched:
        for report, _, _ in made:
            of = sketch(report, hub.zone, sketches.sender(unit, report))
            sketches.enter(unit, report.id, of.to_json(), stored(of), minute=of.at, at=report.received_at)
    return [report for report, _, _ in made]


def _report(name: str, code: str, at: datetime, rand: random.Random) -> Report:
    village = rand.choice(_FIRST) + rand.choice(_SECOND)
    text = rand.choice(_EVENTS).format(v=village, n=rand.randrange(2, 40))
    county = f"99{rand.randrange(COUNTIES):04d}000000" if rand.random() < 0.5 else ""
    facts = {"sender": (Fact(value=f"+86139{rand.randrange(10**8):08d}", origin="envelope"),)}
    if rand.random() < 0.2:
        position = f"{30 + rand.random() * 4:.5f},{110 + rand.random() * 4:.5f}"
        facts["position"] = (Fact(value=position, origin="citizen"),)
    return Report(id=name, code=code, channel="sms", organisation="", handling=Handling.INTERNAL, state=State.FILED,
                  revision=1, received_at=at, filed_at=at, area=county,
                  content=Content(text=text, language="zh", facts=facts))  # fmt: skip
