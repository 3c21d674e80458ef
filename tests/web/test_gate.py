"""Full doors: who would only wait hears so at once, on a connection that goes on; no other door is closed by it."""

import platform
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from domain.errors import Unavailable
from hub import metrics
from hub.crowd import Crowd
from hub.health import Trouble
from store import journal
from store import tables as t
from templates import pages
from tests.web.api_world import SMS_URL, World, served, signed, sms_form, world
from tests.web.console_browser import enter
from tocsin.watch import Watch
from web.gate import Turnstile, door_of

WAITS = range(2, 9)
ONE = b"Content-Length: 1\r\n"
HEAD = b"POST /hooks/sms/twilio HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"


@pytest.fixture
def hall(sqlite_model: Path, tmp_path: Path, at) -> Iterator[World]:
    with world(tmp_path / "data", at, model=sqlite_model) as made:
        made.hub.crowd.most |= {"sms": 2, "mail": 1}
        yield made


@contextmanager
def standing(hall: World) -> Iterator[None]:
    """The store keeps nothing until the block ends; whoever comes in waits for it."""
    begun, over = threading.Event(), threading.Event()

    def hold(_unit: object) -> None:
        begun.set()
        over.wait(10)

    held = hall.hub.store.submit(hold)
    assert begun.wait(5)
    try:
        yield
    finally:
        over.set()
        held.result(10)


def _post(line: HTTPConnection, n: int) -> None:
    asked = signed(SMS_URL, sms_form(n, sender=f"+861390000{n:04}"))
    line.request(
        "POST", "/hooks/sms/twilio", asked["content"], {"Host": "127.0.0.1:8000", **asked["headers"]}
    )


def _heard(line: HTTPConnection) -> tuple[int, str, str]:
    answer = line.getresponse()
    return answer.status, answer.read().decode(), answer.getheader("Retry-After", "")


def _until_full(hall: World, door: str) -> None:
    end = threading.Event()
    while not hall.hub.crowd.is_full(door):
        end.wait(0.002)


def test_r21_f39_a_full_door_sends_away_at_once_and_its_neighbours_go_on(hall: World) -> None:
    with served(hall.hub) as port:
        lines = [HTTPConnection("127.0.0.1", port, timeout=10) for _ in range(4)]
        with standing(hall):
            for n in (0, 1):
                _post(lines[n], n)
            _until_full(hall, "sms")
            for n in (2, 3, 2):  # a connection that heard it may ask again
                _post(lines[n], n)
                status, body, again = _heard(lines[n])
                assert (status, '"too_busy"' in body) == (503, True)
                assert int(again) in WAITS
            late = lines[2]
            asked = signed(SMS_URL, sms_form(2))
            late.putrequest("POST", "/hooks/sms/twilio", skip_host=True)
            about = {
                "Host": "127.0.0.1:8000",
                "Content-Length": str(len(asked["content"])),
                **asked["headers"],
            }
            for name, value in about.items():
                late.putheader(name, value)
            late.endheaders()  # the head alone: this one has to be read
            late.send(asked["content"])
            assert (_heard(late)[0], hall.hub.crowd.refused["sms"]) == (503, 4)
            other = HTTPConnection("127.0.0.1", port, timeout=10)
            other.request("GET", "/healthz")
            assert other.getresponse().status == 200
            assert not any(hall.hub.crowd.is_full(door) for door in ("api", "citizen", "chat", "bulletins"))
        assert [_heard(lines[n])[0] for n in (0, 1)] == [200, 200]
        _post(lines[3], 3)
        assert _heard(lines[3])[0] == 200  # nobody opens it again: it is open
        assert hall.count(t.inbound) == 3
        assert Trouble.DOOR_FULL in hall.hub.health.look().troubles
        assert "tocsin_door_full" in metrics.text(hall.hub).decode()


def test_f39_who_hangs_up_and_who_is_refused_leave_their_places(hall: World) -> None:
    with served(hall.hub) as port:
        for n in range(5):
            line = HTTPConnection("127.0.0.1", port, timeout=10)
            line.request("POST", "/hooks/sms/twilio", b"From=x", {"Host": "127.0.0.1:8000"})
            assert line.getresponse().status == 403
            with socket.create_connection(("127.0.0.1", port)) as gone:
                gone.sendall(HEAD + b"Content-Length: 6\r\n\r\nFrom=x")
            line = HTTPConnection("127.0.0.1", port, timeout=10)
            _post(line, n)
            assert _heard(line)[0] == 200
        assert not hall.hub.crowd.is_full("sms")


@pytest.mark.parametrize(
    "data",
    [HEAD + ONE + ONE + b"\r\nx", HEAD + b"Transfer-Encoding: chunked\r\n" + ONE + b"\r\nx", HEAD + b"Content-Length: 2\r\n\r\nx",
     HEAD + ONE + b"\r\nxPOST / HTTP/1.1\r\n", HEAD + b"Content-Length: +1\r\n\r\nx",
     HEAD + ONE + b"Expect: 100-continue\r\n\r\nx", HEAD + ONE, HEAD.replace(b"POST", b"GET") + ONE + b"\r\nx",
     b"POST /v1/releases/x/stop HTTP/1.1\r\n" + ONE + b"\r\nx", b"POST /hooks/voice/twilio HTTP/1.1\r\n" + ONE + b"\r\nx"],
    ids=["two lengths", "chunked", "short", "more behind it", "signed length", "expect", "half a head", "get", "recall", "voice"],
)  # fmt: skip
def test_f39_what_could_be_read_in_two_ways_and_what_must_not_wait_is_read_properly(data: bytes) -> None:
    assert Turnstile(Crowd()).door(HEAD + ONE + b"\r\nx") == "sms"
    assert Turnstile(Crowd()).door(data) == ""


def test_f39_every_way_in_but_the_urgent_ones_is_counted() -> None:
    counted = {
        "/hooks/sms/twilio": "sms", "/hooks/dlr/twilio": "receipts", "/hooks/telegram": "chat", "/report": "citizen",
        "/v1/citizen/reports": "citizen", "/v1/reports": "api", "/v1/reports:import": "api", "/v1/bulletins": "bulletins",
        "/v1/reports/rep_1/follow-ups": "api", "/v1/uploads/upl_1": "uploads",
    }  # fmt: skip
    assert {path: door_of("POST", path) for path in counted} == counted
    free = (
        "/hooks/voice/twilio/said",
        "/hooks/cti/x",
        "/v1/releases",
        "/v1/calls",
        "/console/calls",
        "/v1/reports/rep_1/claim",
    )
    assert [door_of("POST", path) for path in free] == [""] * len(free)
    assert door_of("GET", "/v1/reports") == ""


def test_r22_a_full_door_is_a_banner_for_a_minute(hall: World) -> None:
    now = [0.0]
    crowd = Crowd({"a": 0}, clock=lambda: now[0])
    hall.hub.health.join(Trouble.DOOR_FULL, crowd.is_calm)
    assert Trouble.DOOR_FULL not in hall.hub.health.look().troubles
    crowd.turn_away("a")
    now[0] = 59.0
    assert Trouble.DOOR_FULL in hall.hub.health.look().troubles
    for language, said in (("zh-CN", "来报过多"), ("en", "More comes in")):
        assert said in pages.word("trouble", Trouble.DOOR_FULL, language)
    now[0] = 61.0
    assert Trouble.DOOR_FULL not in hall.hub.health.look().troubles


def test_r22_a_full_door_stands_on_the_desk_and_in_the_journal(hall: World) -> None:
    crowd = Crowd({"a": 0}, clock=lambda: 0.0)
    hall.hub.health.join(Trouble.DOOR_FULL, crowd.is_calm)
    crowd.turn_away("a")
    Watch(hall.hub, "web").look()
    last = hall.hub.store.read(
        lambda unit: journal.last(unit, "trouble", f"door_full@{platform.node()[:30]}")
    )
    assert last is not None and last.act == "begin"
    officer = enter(hall, "officer")
    assert 'data-trouble="door_full"' in officer.get("/console").text


def test_f39_a_crowd_lets_in_as_many_as_it_may_and_the_next_when_one_goes() -> None:
    crowd = Crowd({"a": 1, "b": 1})
    with crowd.place("a"):
        with pytest.raises(Unavailable):
            crowd.enter("a")
        with crowd.place("b"):
            assert crowd.is_full("b")
    assert not crowd.is_full("a") and not crowd.is_full("b")
    with crowd.place("a"):
        assert crowd.is_full("a")
    assert crowd.refused == {"a": 1}
