"""A process that is silent is ended and replaced; one that is deaf ends by itself; one that cannot live is no load."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.lines import events, seconds
from tests.walks.houses import ROOT, House, get, house, until
from tocsin.pulse import EXIT_DEAF, Part, Pulse, Ticks

RESTART_SECONDS = 3.0
USER = 60_123


def _kept(made: House, *command: str) -> int:
    """Start under a keeper; the pid of the process it keeps."""
    made.start("kept", "keep", *command)
    until(lambda: len(events(made, "kept", "keeper.ready")) == 1, "the first process")
    return int(events(made, "kept", "keeper.ready")[0]["pid"])


@pytest.mark.parametrize("kind", ["worker", pytest.param("up", marks=pytest.mark.faults)])
def test_finding_13_a_stopped_process_is_ended_after_10_s_and_replaced_within_3_s(tmp_path, kind) -> None:
    with house(tmp_path / "data") as made:
        pid = _kept(made, kind)
        began = time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        until(lambda: bool(events(made, "kept", "keeper.silent")), "its silence is noticed", 30)
        assert 8.5 < time.monotonic() - began < 14  # the last word may be a second old
        until(lambda: len(events(made, "kept", "keeper.ready")) == 2, "a second process", 60)
        silent, waits = (events(made, "kept", name)[0] for name in ("keeper.silent", "keeper.waits"))
        assert seconds(silent, waits) + waits["ms"] / 1000 < RESTART_SECONDS
        assert not Path(f"/proc/{pid}").exists()
        if kind == "up":
            assert get(f"{made.url}/healthz") == {"status": "alive"}


@pytest.mark.faults
def test_a_process_that_was_stopped_for_less_goes_on_as_it_was(tmp_path) -> None:
    with house(tmp_path / "data") as made:
        pid = _kept(made, "worker")
        os.kill(pid, signal.SIGSTOP)
        time.sleep(4)  # the length of the pause is what is tried
        os.kill(pid, signal.SIGCONT)
        time.sleep(3)
        assert events(made, "kept", "keeper.silent") == events(made, "kept", "process.deaf") == []
        assert Path(f"/proc/{pid}").exists()


def _keeper(log: Path, script: str, then: str = "") -> subprocess.Popen[bytes]:
    """`then`: more code, run when everything is loaded: another user may not read this program."""
    code = (
        "import sys; from datetime import timedelta; from hub.log import configure; from tocsin.keeper import Keeper;"
        f" configure(); {then or 'pass'}; Keeper(None, ['/bin/sh', '-c', {script!r}]).run()"
    )
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=log.open("ab"))


def test_f31_a_process_that_dies_of_its_start_is_tried_ever_more_rarely(tmp_path) -> None:
    log = tmp_path / "log"
    keeper = _keeper(log, "exit 1")
    try:
        waits = '"keeper.waits"'
        until(lambda: log.read_text().count(waits) >= 4, "four starts", 40)
    finally:
        keeper.send_signal(signal.SIGTERM)
        assert keeper.wait(20) == 0
    found = [
        int(line.split('"ms": ')[1].split(",")[0]) for line in log.read_text().splitlines() if waits in line
    ]
    assert found[:4] == [200, 1000, 2000, 4000]


def test_f31_a_keeper_that_may_not_fork_waits_and_starts_the_process_when_it_may() -> None:
    if os.geteuid() != 0:
        pytest.skip("the limit is put on another user, whom nobody else uses")
    place = Path(tempfile.mkdtemp(prefix="tocsin-nproc-"))  # pytest's own directories are closed to others
    os.chmod(place, 0o777)
    log, lives = place / "log", place / "lives"
    log.touch()
    other = subprocess.Popen(["/bin/sleep", "600"], user=USER, group=USER)  # the only other place there is
    limit = f"r.setrlimit(r.RLIMIT_NPROC, (2, 2)); os.setgid({USER}); os.setuid({USER})"
    keeper = _keeper(log, f"echo lives >> {lives}; exec /bin/sleep 600", f"import os, resource as r; {limit}")
    try:
        until(lambda: log.read_text().count("keeper.not_started") >= 3, "three refusals", 30)
        assert keeper.poll() is None
        assert not lives.exists()
        other.kill()
        other.wait(10)
        until(lives.exists, "it starts when it may", 30)
    finally:
        for pid in _of(USER):  # nobody else is this user
            os.kill(pid, signal.SIGKILL)
        keeper.wait(10)
        shutil.rmtree(place)


def _of(user: int) -> list[int]:
    return [int(p.name) for p in Path("/proc").glob("[0-9]*") if p.exists() and p.stat().st_uid == user]


def test_r38_a_part_that_has_stopped_ends_the_process_and_one_that_turns_does_not() -> None:
    left: list[int] = []
    gone = threading.Event()

    def leave(code: int) -> None:
        left.append(code)
        gone.set()

    turning, stuck = Ticks(), Ticks()
    pulse = Pulse(leave=leave, turn=timedelta(milliseconds=10))
    pulse.join(Part(name="turning", count=lambda: turning.tick() or turning.n))
    pulse.start()
    assert not gone.wait(0.5)
    pulse.join(Part(name="stuck", count=stuck))
    assert gone.wait(10)
    assert left == [EXIT_DEAF]
