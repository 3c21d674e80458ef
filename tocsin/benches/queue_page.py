"""The officer's queue with a million reports behind it."""

import json
import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

from domain.handling import Handling
from domain.report import Content, Inbound, Report, State
from hub.wiring import Hub, now
from intake import desk
from store import inbox, reports
from store.inbox import Arriving
from store.unit import Unit
from tocsin.benches import place as places
from tocsin.benches.figure import Figure, percentile
from tocsin.benches.place import Place

AT_ONCE = 1_000  # reports in a transaction
OPEN_ONES = 200  # of them the duty room still has to do with
ASKED = 100


def queue(place: Place, count: int, step: Callable[[], None]) -> Iterator[Figure]:
    """The first page of the open reports, as an officer's browser asks for it: all in, on a kept session."""
    with place.hub() as hub:
        _fill(hub, OPEN_ONES, State.FILED)
        few = _asked(place, hub)
        for done in range(OPEN_ONES, count, AT_ONCE * 10):
            _fill(hub, min(AT_ONCE * 10, count - done), State.CLOSED)
            step()
        many = _asked(place, hub)
    yield Figure(name="queue_page", store=place.store, value=percentile(many, 95), unit=f"s (p95) at {count:,} reports",
                 ceiling=percentile(few, 95), against=f"the same page at {OPEN_ONES}", reach=0.15, is_ratio=False,
                 is_at_most=True)  # fmt: skip


def _asked(place: Place, hub: Hub) -> list[float]:
    token = places.log_in(hub)
    found = []
    with place.process("tocsin", "web", port=place.settings.port):
        for n in range(ASKED + 5):
            request = urllib.request.Request(f"{place.url}/console", headers={"Cookie": f"tocsin={token}"})  # noqa: S310
            begun = time.perf_counter()
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 (127.0.0.1)
                page = answer.read()
            if n >= 5:  # the first ones make connections and compile the page
                found.append(time.perf_counter() - begun)
            if b"rep_" not in page:
                raise RuntimeError("the queue's page shows no report")
    return found


def _fill(hub: Hub, count: int, state: State) -> None:
    for first in range(0, count, AT_ONCE):
        hub.store.run(partial(_enter, count=min(AT_ONCE, count - first), state=state))


def _enter(unit: Unit, count: int, state: State) -> None:
    """Reports as doors and filing leave them, in one transaction."""
    newest = now() if state is State.FILED else now() - timedelta(days=1)
    arriving = []
    for n in range(count):
        at = newest - timedelta(milliseconds=n)
        inbound = Inbound(channel="api", external_id=os.urandom(12).hex(), media_type="application/json", received_at=at,
                          raw=json.dumps({"text": "青石县三小时雨量 80 毫米"}).encode(), organisation="示例省水利厅")  # fmt: skip
        arriving.append(Arriving(inbound=inbound, minted=desk.mint_names(at), at=at))
    made = []
    for one, names in zip(arriving, desk.receive_many(unit, arriving), strict=True):
        report = Report(
            id=names.report_id, code=names.code, channel="api", organisation="示例省水利厅", handling=Handling.INTERNAL,
            state=state, revision=1, received_at=one.at, filed_at=one.at,
            content=Content(text="青石县三小时雨量 80 毫米", language="zh-CN", facts={}),
        )  # fmt: skip
        made.append((report, names.inbound_id, "door:api"))
    reports.insert_many(unit, made, at=newest)
    inbox.file_all(unit, [one.minted.inbound_id for one in arriving])
