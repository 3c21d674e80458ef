"""No thread and no process to be had: some are told to try again, nobody is lost, and the hub lives (F31)."""

import concurrent.futures
import contextlib
import os
import re
import resource
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import walkers
from tests.faults.walkers import DOORS
from tests.walks.houses import House, house, ready, states, until
from tocsin.keeper import Keeper

GROUPS = Path("/sys/fs/cgroup/pids")  # RLIMIT_NPROC does not bind root; the kernel's controller does
AT_ONCE = 40  # more than the threads that the hub has made by then
AREA = "990101"  # 20 recipients


@contextlib.contextmanager
def limited(process: "subprocess.Popen[bytes]") -> Iterator[Callable[[bool], None]]:
    """Called with True the process gets no further thread and no child, with False it gets them again."""
    if os.geteuid() != 0:
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NPROC)

        def by_limit(is_on: bool) -> None:
            resource.prlimit(process.pid, resource.RLIMIT_NPROC, (1 if is_on else soft, hard))

        yield by_limit
        return
    if not (GROUPS / "cgroup.procs").exists():
        pytest.skip("nothing here limits root's processes: no pids controller of cgroup v1")
    group = GROUPS / f"tocsin-test-{process.pid}"
    group.mkdir()
    (group / "cgroup.procs").write_text(str(process.pid))

    def by_group(is_on: bool) -> None:
        (group / "pids.max").write_text("1" if is_on else "max")

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
            limit(True)
            made.api("POST", f"/v1/releases/{release}/approve", {"digest": digest}, key="approver")
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as senders:
                codes = Counter(senders.map(lambda one: _knock(made, *one), work.items()))
            assert process.poll() is None
            ready(made)
            limit(False)
        assert codes.keys() <= {"", "503", "451"}, codes
        assert codes["503"] > 0, codes
        assert codes[""] >= AT_ONCE, "the webhook needs no thread, and those that there are go on"
        for marker, n in work.items():  # whether he was answered or not, everybody sends it again
            assert walkers.insist(lambda marker=marker, n=n: DOORS[marker.partition(" ")[0]](made, marker, n))
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


def test_f31_the_pause_before_a_start_grows_to_half_a_minute_and_no_further() -> None:
    keeper = Keeper(None, ["/bin/false"])
    assert [keeper._pause().total_seconds() for _ in range(9)] == [0.2, 1, 2, 4, 8, 16, 30, 30, 30]
