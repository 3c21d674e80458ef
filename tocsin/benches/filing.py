"""From raw bytes to a filed report: how many mails one core reads, seals and enters."""

import email
import os
import resource
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from domain.report import Inbound
from hub.wiring import Hub, now
from intake import desk
from intake.filing import AT_ONCE
from store.inbox import Arriving
from tocsin.benches import load
from tocsin.benches.figure import Figure, in_turn
from tocsin.benches.place import Place


def filing(place: Place, count: int, pairs: int, step: Callable[[], None]) -> Iterator[Figure]:
    """Mails of 2 KB that are kept already; the seconds are those of all processes, parsing children included."""
    with place.hub() as hub:
        seconds: list[float] = []

        def ours() -> float:
            names = _keep(hub, count)
            begun = _cpu()
            for first in range(0, count, AT_ONCE):  # as many as a worker that is behind takes
                if None in hub.filing.file_all(names[first : first + AT_ONCE]):
                    raise RuntimeError("a mail of the bench was not filed")
            seconds.append(_cpu() - begun)
            return count / seconds[-1]

        def ceiling() -> float:
            raws = [load.mail(2_048)[:-3] for _ in range(count)]
            begun = time.process_time()
            for raw in raws:
                email.message_from_bytes(raw)
            return count / (time.process_time() - begun)

        ours()  # the children are warm from here on
        value, bare, runs = in_turn(ours, ceiling, pairs, step)
    yield Figure(name="filing", store=place.store, value=value, unit="mails/s of one core", ceiling=bare, runs=runs,
                 against="email.message_from_bytes alone (compat32)", reach=300, is_ratio=False)  # fmt: skip


def _keep(hub: Hub, count: int) -> list[str]:
    at = now()
    arriving = []
    for _ in range(count):
        raw = load.mail(2_048)[:-3]
        inbound = Inbound(channel="email", external_id=str(time.time_ns()), media_type="message/rfc822",
                          received_at=at, sender="a@example.org", raw=raw,
                          meta={"rcpt_to": ["report@tocsin.example"]})  # fmt: skip
        arriving.append(Arriving(inbound=inbound, minted=desk.mint_names(at), at=at))
    hub.store.run(partial(_receive, arriving))
    return [one.minted.inbound_id for one in arriving]


def _receive(arriving: list[Arriving], unit: object) -> object:
    return desk.receive_many(unit, arriving)  # type: ignore[arg-type]  # partial() hides the unit's type


def _cpu() -> float:
    """Seconds of this process, of its children at work, and of those that ended."""
    own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    found = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in children.read_text().split():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            found += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # proc(5): utime, stime
    return found
