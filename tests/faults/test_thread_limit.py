"""No thread and no process to be had: some are told to try again, nobody is lost, and the hub lives (F31)."""

import concurrent.futures
import contextlib
import os
import re
import resource
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import walkers
from tests.faults.lines import events
from tests.faults.walkers import DOORS
from tests.walks.houses import House, house, ready, states, until
from tocsin.keeper import Keeper

GROUPS = Path("/sys/fs/cgroup/pids")  # RLIMIT_NPROC does not bind root; the kernel's controller does
AT_ONCE = 40  # more than the threads that the hub has made by then
AREA = "990101"  # 20 recipients


@contextlib.contextmanager
def limited(process: "subprocess.Popen[bytes]") -> Iterator[Callable[[int | None], None]]:
    """Called with a number, process and children get no thread beyond so many; with None they get them again."""
    if os.geteuid() != 0:
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NPROC)

        def by_limit(most: int | None) -> None:
            resource.prlimit(process.pid, resource.RLIMIT_NPROC, (soft if most is None else most, hard))

        yield by_limit
        return
    if not (GROUPS / "cgroup.procs").exists():
        pytest.skip("nothing here limits root's processes: no pids controller of cgroup v1")
    group = GROUPS / f"tocsin-test-{process.pid}"
    group.mkdir()
    (group / "cgroup.procs").write_text(str(process.pid))

    def by_group(most: int | None) -> None:
        (group / "pids.max").write_text("max" if most is None else str(most))

    try:
        yield by_group
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                (GROUPS / "cgroup.procs").write_text(pid)
        until(lambda: group.rmdir() is None, "the group is empty", 10)


def _knock(made: House, marker: str, n: int) -> str:
    """'' when it was taken, else the code that was heard."""
    try:
        DOORS[marker.partition(" ")[0]](made, marker, n)
    except walkers.FAILURES as error:
        found = re.search(r"\b(4|5)\d\d\b", re.sub(r"http://\S+", "", str(error)))
        return found[0] if found else repr(error)
    return ""


def _markers(made: House) -> Counter[str]:
    found: list[str] = []
    cursor = ""
    while True:
        page = made.api("GET", f"/v1/reports?limit=200{cursor}")
        found += walkers.markers([row["text"] for row in page["data"]])
        if not page.get("next_cursor"):
            return Counter(found)
        cursor = f"&cursor={page['next_cursor']}"


def _submitted(made: House) -> tuple[str, str]:
    example = next(t for t in made.api("GET", "/v1/templates")["data"] if t["id"] == "heavy_rain")["example"]
    release = made.api("POST", "/v1/releases", {**example, "areas": [AREA]}, **{"Idempotency-Key": "n"})["id"]
    return release, made.api("POST", f"/v1/releases/{release}/submit", {})["digest"]


def test_f31_without_threads_some_hear_503_nobody_is_lost_and_the_hub_lives(tmp_path) -> None:
    with house(tmp_path / "data", trusted_proxies="127.0.0.1") as made:
        made.start("all", "up")
        ready(made)
        process = made.processes["all"]
        release, digest = _submitted(made)
        work = {f"{door} t-{n}": n for n in range(AT_ONCE) for door in DOORS}
        with limited(process) as limit:
            limit(1)
            made.api("POST", f"/v1/releases/{release}/approve", {"digest": digest}, key="approver")
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as senders:
                codes = Counter(senders.map(lambda one: _knock(made, *one), work.items()))
            assert process.poll() is None
            ready(made)
            limit(None)
        assert codes.keys() <= {"", "503", "451"}, codes
        assert codes["503"] > 0, codes
        assert codes[""] >= AT_ONCE, "the webhook needs no thread, and those that there are go on"
        said: list[str] = []
        for marker, n in work.items():  # whether he was answered or not, everybody sends it again
            door = DOORS[marker.partition(" ")[0]]
            assert walkers.insist(lambda door=door, marker=marker, n=n: door(made, marker, n), said.append), (
                marker,
                said,
            )
        until(lambda: set(work) <= _markers(made).keys(), "all of it is filed", 60)
        assert set(_markers(made).values()) == {1}
        until(
            lambda: made.api("GET", f"/v1/releases/{release}")["state"] == "published", "the warning is out"
        )
        sent = Counter(m["to"] for m in made.provider.ledger() if m["to"] in states(made, release))
        assert len(sent) == 20
        assert set(sent.values()) == {1}
        assert made.api("GET", "/v1/shelf")["data"] == [], "no parser is blamed for what the machine refused"
        assert process.poll() is None


@pytest.mark.faults
def test_f31_a_hub_that_gets_no_thread_at_its_start_is_tried_ever_more_rarely_and_starts_when_it_may(
    tmp_path,
) -> None:
    with house(tmp_path / "data") as made:
        made.start("kept", "keep", "web")
        ready(made)
        with limited(made.processes["kept"]) as limit:
            limit(3)  # the keeper and a child with hardly a thread
            pid = int(events(made, "kept", "keeper.ready")[0]["pid"])
            os.kill(pid, signal.SIGKILL)
            until(lambda: len(events(made, "kept", "keeper.waits")) >= 3, "it is tried again and again", 240)
            waits = [row["ms"] for row in events(made, "kept", "keeper.waits")]
            assert waits[:3] == [200, 1000, 2000]
            assert len(events(made, "kept", "keeper.ready")) == 1
            limit(None)
            until(lambda: len(events(made, "kept", "keeper.ready")) == 2, "it starts when it may", 120)
            ready(made)


def test_f31_the_pause_before_a_start_grows_to_half_a_minute_and_no_further() -> None:
    keeper = Keeper(None, ["/bin/false"])
    assert [keeper._pause().total_seconds() for _ in range(9)] == [0.2, 1, 2, 4, 8, 16, 30, 30, 30]
