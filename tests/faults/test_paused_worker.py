"""A worker that is stopped with a parcel in hand, and goes on when another has taken it over (F10, R9)."""

import fcntl
import os
import signal
import time
from pathlib import Path

import pytest

from outbox.deliver import SLICE
from outbox.window import DEADLINE
from store import tables as t
from tests.faults import oracle, walkers
from tests.faults.kill import warm_hub
from tests.faults.plan import Plan, Step, Told
from tests.faults.settle import settle
from tests.walks.houses import House, until

SLOW = Plan(script=[Step(told=Told.NEVER, delay_ms=400)] * 40, told={Told.NEVER: 1.0})
PAUSED_SECONDS = 60.0


def approved(made) -> str:
    """A release on its way to 240 phones."""
    example = next(t for t in made.api("GET", "/v1/templates")["data"] if t["id"] == "heavy_rain")["example"]
    key = {"Idempotency-Key": str(time.monotonic())}
    release = made.api("POST", "/v1/releases", {**example, "areas": ["990000"]}, **key)["id"]
    digest = made.api("POST", f"/v1/releases/{release}/submit", {})["digest"]
    made.api("POST", f"/v1/releases/{release}/approve", {"digest": digest}, key="approver")
    return str(release)


def stands(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def stop_outside_a_write(made: House, name: str) -> None:
    """SIGSTOP at a moment when it holds no lock of files, SQLite's or the publisher's: that is the supervisor's case
    (finding 13)."""
    path = made.settings.write_lock
    paths = [made.settings.data_dir / "public" / ".lock", *((path, f"{path}.next") if path else ())]
    locks = [os.open(one, os.O_RDWR | os.O_CREAT, 0o600) for one in paths]
    while True:
        made.processes[name].send_signal(signal.SIGSTOP)
        until(lambda: stands(made.processes[name].pid), "it stands")
        try:
            for lock in locks:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            for lock in locks:
                fcntl.flock(lock, fcntl.LOCK_UN)
            made.processes[name].send_signal(signal.SIGCONT)
            time.sleep(0.02)  # it goes on meanwhile: stopped again at once, it never let go of that lock
        else:
            for lock in locks:
                os.close(lock)
            return


def is_kept(tmp_path, forge, server: str, *, is_recalled: bool, pause: float) -> None:
    with warm_hub(tmp_path / "hub", forge, postgres_url=server) as (made, provider, _, store):
        provider.obey(SLOW)
        made.start("web", "web")
        made.start("first", "worker")
        walkers.insist(lambda: made.api("GET", "/v1/templates"))
        until(lambda: store.read(oracle.is_quiet), "the morning's reports are filed")
        before = len(provider.calls())
        provider.obey(SLOW)
        release = approved(made)
        until(lambda: len(provider.calls()) > before + 3, "the first worker is calling")
        stop_outside_a_write(made, "first")
        made.start("second", "worker")
        if is_recalled:
            made.api("POST", f"/v1/releases/{release}/stop", {"reason": "wrong"})
        time.sleep(pause)  # what the machine sleeps; the clock steps over the lease beside it
        assert settle(made, store, still=2.0) == []
        taken = len(provider.calls())
        made.kill("second")
        made.processes["first"].send_signal(signal.SIGCONT)
        provider.obey(Plan(told={Told.NEVER: 1.0}))
        after = approved(made)  # only the first one is there to carry it

        def is_published() -> bool:
            if made.processes["first"].poll() is not None:  # its clock has jumped: it left, and is replaced
                made.start_again("first")
            return bool(made.api("GET", f"/v1/releases/{after}")["state"] == "published")

        until(is_published, "the first worker, or who comes in its place, is at work")
        parcels = {row.id: row.release for row in store.read(lambda unit: unit.rows(t.parcel_row.select()))}
        of_release = [c for c in provider.calls() if parcels.get(c.tag.rpartition("-")[0]) == release]
        late = [c for c in provider.calls()[taken:] if c in of_release]
        # What was in a socket when it stopped may go on where it was, until the deadline of a call is over.
        begun = 0 if pause > DEADLINE.total_seconds() else SLICE
        assert len(late) <= begun, "who slept through his lease calls nobody"
        assert len({c.to for c in of_release}) == len(of_release), "nobody is called twice"
        states = made.api("GET", f"/v1/releases/{release}/summary")
        assert states["adds_up"]
        if is_recalled:
            assert len(of_release) < 240


@pytest.mark.parametrize("is_recalled", [False, True])
def test_r9_f10_a_stopped_worker_calls_nobody_when_it_goes_on(tmp_path, forge, server, is_recalled) -> None:
    is_kept(tmp_path, forge, server, is_recalled=is_recalled, pause=0.0)


@pytest.mark.faults
@pytest.mark.parametrize("is_recalled", [False, True])
def test_r9_f10_a_worker_stopped_for_a_minute(tmp_path, forge, server, is_recalled) -> None:
    is_kept(tmp_path, forge, server, is_recalled=is_recalled, pause=PAUSED_SECONDS)
