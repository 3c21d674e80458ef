"""No descriptor to be had: who comes waits or hears 503, who is there goes on, and it ends by itself (F29)."""

import contextlib
import resource
import secrets
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest

from store import people
from tests.faults import walkers
from tests.faults.columns import Desk
from tests.faults.walkers import DOORS
from tests.walks.houses import House, get, house, ready, until
from web.live import AT_ONCE, PER_SESSION

pytestmark = pytest.mark.faults
CLIENTS = 1_000
TIGHT = 10  # descriptors that a process gets beyond those that it has


@contextlib.contextmanager
def tight(pid: int, more: int = TIGHT) -> Iterator[int]:
    """No process of that id opens more than `more` files beyond those that it has open; the limit."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    limit = len(list(Path(f"/proc/{pid}/fd").iterdir())) + more
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield limit
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def _sessions(desk: Desk, count: int) -> list[str]:
    tokens = [secrets.token_urlsafe(32) for _ in range(count)]
    at = datetime.now(UTC)

    def work(unit: object) -> None:
        person = people.by_login(unit, "officer")[0]  # type: ignore[arg-type]
        for token in tokens:
            people.open_session(
                unit, token, person.id, secrets.token_urlsafe(32), at=at, lasts=timedelta(hours=1)
            )  # type: ignore[arg-type]

    with desk.store() as store:
        store.run(work)
    return tokens


def _listen(port: int, token: str) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), timeout=30)
    line.sendall(
        b"GET /console/stream HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nCookie: tocsin=%s\r\n\r\n"
        % (port, token.encode())
    )
    return line


def _statuses(lines: list[socket.socket], seconds: float = 120) -> Counter[str]:
    """The first words of every answer."""
    found: dict[int, bytes] = {}
    eyes = selectors.DefaultSelector()
    for line in lines:
        eyes.register(line, selectors.EVENT_READ)
    end = time.monotonic() + seconds
    while len(found) < len(lines) and time.monotonic() < end:
        for key, _ in eyes.select(1):
            with contextlib.suppress(OSError):
                found[key.fd] = key.fileobj.recv(200)  # type: ignore[union-attr]
            eyes.unregister(key.fileobj)
    eyes.close()
    return Counter(said[9:12].decode("ascii", "replace") for said in found.values())


def _takes_everything(made: House, stamp: str) -> None:
    for n, door in enumerate(DOORS):
        begun = time.monotonic()
        DOORS[door](made, f"{door} {stamp}-{n}", n)
        assert time.monotonic() - begun < 10, door


def test_f29_of_a_thousand_streams_two_hundred_are_heard_and_every_door_goes_on(tmp_path) -> None:
    with house(tmp_path / "data", trusted_proxies="127.0.0.1") as made:
        made.start("all", "up")
        ready(made)
        port, tokens = made.settings.port, _sessions(Desk(made), CLIENTS // PER_SESSION)
        lines = [_listen(port, tokens[n // PER_SESSION]) for n in range(CLIENTS)]
        assert _statuses(lines) == {"200": AT_ONCE, "503": CLIENTS - AT_ONCE}
        _takes_everything(made, "many")
        until(
            lambda: sum(b"event: inbound" in _rest(line) for line in lines[:AT_ONCE]) > 0,
            "they hear of it",
            20,
        )
        for line in lines:
            line.close()
        until(lambda: _statuses([again := _listen(port, tokens[0])], 5) == {"200": 1} and again is not None,
              "there is room again", 30)  # fmt: skip
        assert made.processes["all"].poll() is None


def _rest(line: socket.socket) -> bytes:
    line.settimeout(0.01)
    with contextlib.suppress(OSError):
        return line.recv(65_536)
    return b""


def test_f29_who_is_connected_goes_on_while_nobody_else_gets_a_descriptor(tmp_path) -> None:
    """The web door: a kept connection is served, the others wait or hear 503, and all is well when they go."""
    with house(tmp_path / "data", trusted_proxies="127.0.0.1") as made:
        for name, command in (("web", "web"), ("smtp", "smtp"), ("worker", "worker")):
            made.start(name, command)
        _is_at_work(made)
        port = made.settings.port
        kept = HTTPConnection("127.0.0.1", port, timeout=20)
        kept.request("GET", "/healthz")
        kept.getresponse().read()
        with tight(made.processes["web"].pid):
            idle = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(200)]
            for n in range(3):
                kept.request("GET", "/healthz")
                answer = kept.getresponse()
                assert (answer.status, bool(answer.read())) == (200, True), n
            DOORS["mail"](made, "mail other-0", 0)  # another process, another door
            for line in idle:
                line.close()
            assert walkers.insist(lambda: get(f"{made.url}/healthz"))
            _takes_everything(made, "again")  # in the same few descriptors
        assert made.processes["web"].poll() is None
        _filed(made, "again")


@pytest.mark.parametrize("name", ["smtp", "worker"])
def test_f29_a_mail_door_and_a_worker_without_descriptors_live_and_go_on_by_themselves(
    name, tmp_path
) -> None:
    with house(tmp_path / "data", trusted_proxies="127.0.0.1") as made:
        for process in ("web", "smtp", "worker"):
            made.start(process, process)
        _is_at_work(made)
        with tight(made.processes[name].pid, 0 if name == "worker" else TIGHT):
            settings = made.settings
            address = (settings.smtp_host, settings.smtp_port)
            idle = (
                [socket.create_connection(address, timeout=20) for _ in range(60)] if name == "smtp" else []
            )
            for n, door in enumerate(door for door in DOORS if door != "mail" or name == "worker"):
                DOORS[door](made, f"{door} tight-{n}", n)
            for line in idle:
                line.close()
            if name == "smtp":  # in the same few descriptors
                assert walkers.insist(lambda: DOORS["mail"](made, "mail tight-9", 9))
        _filed(made, "tight")
        assert made.processes[name].poll() is None


def _is_at_work(made: House) -> None:
    """All its processes have come up."""
    ready(made)
    for n, door in enumerate(DOORS):
        assert walkers.insist(lambda door=door, n=n: DOORS[door](made, f"{door} begin-{n}", n))  # type: ignore[misc]
    _filed(made, "begin")


def _filed(made: House, stamp: str) -> None:
    """All of it is in the queue, once."""

    def found() -> list[str]:
        page = made.api("GET", "/v1/reports?limit=200")["data"]
        return [marker for marker in walkers.markers([row["text"] for row in page]) if f" {stamp}-" in marker]

    until(lambda: len(found()) == len(DOORS), "all of it is filed", 90)
    assert max(Counter(found()).values()) == 1
