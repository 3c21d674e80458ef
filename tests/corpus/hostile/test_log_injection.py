"""Words of strangers that would be lines, colours or pages in a log."""

import contextlib
import io
import json
import logging
import socket
from contextlib import redirect_stderr

import pytest

from hub.log import LINE_BYTES, configure, log
from tests.corpus.hostile.canaries import CANARIES
from tests.web.api_world import World, served
from tests.web.console_browser import call, stranger

FORGED = '\r\n{"event":"approved","level":"info"}\n'
NASTY = [
    FORGED,
    "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "x" * (1 << 20),
    "\u2028\u2029\x85\u202e\0",
    "\ud800",
    "警" * 5000,
]


@pytest.fixture(autouse=True)
def quiet_afterwards():
    yield
    with redirect_stderr(io.StringIO()):
        configure()


def _written(run) -> list[dict]:
    out = io.StringIO()
    with redirect_stderr(out):
        configure()
        run()
    text = out.getvalue()
    assert text.isascii() and "\x1b" not in text and "\r" not in text
    lines = text.split("\n")[:-1]
    assert max(map(len, lines)) <= LINE_BYTES
    found = [json.loads(line) for line in lines]
    assert not any(line["event"] == "approved" for line in found)
    return found


@pytest.mark.parametrize("text", NASTY, ids=["line", "colours", "1 MB", "separators", "surrogate", "Chinese"])
def test_h92_a_value_is_one_escaped_line_of_at_most_2_kb(text: str) -> None:
    def run() -> None:
        log("test.line", value=text, **{f"more{n}": text for n in range(20)})
        log(text, value=1)
        log("test.line", **{text: 1})
        log("test.line", many=[text] * 1000, deep={text: {text: text}})
        log("test.line", whole=10**5000, bytes=text.encode("utf-8", "surrogatepass"))
        logging.getLogger(text).warning(text)
        logging.getLogger("x").error("%s", text, extra={"more": text})

    found = _written(run)
    assert len(found) == 7 and all({"event", "level", "timestamp"} <= set(line) for line in found)


def test_h92_a_usual_line_is_not_cut() -> None:
    (line,) = _written(
        lambda: log("web.request", method="GET", route="/v1/reports/{report_id}", status=200, ms=3)
    )
    assert (line["status"], line["ms"], line["route"]) == (200, 3, "/v1/reports/{report_id}")


def test_h92_requests_full_of_forged_lines_leave_our_own_words_only(quick: World) -> None:
    forged = FORGED.encode().replace(b"\r\n", b"%0d%0a")
    heads = [
        b"GET /v1/reports?q=" + forged + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /" + forged + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /\x1b[31m HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"\x1b[31m" + forged + b" / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /v1/me HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \x1b[31m\r\nX-Request-Id: " + forged + b"\r\n\r\n",
        b"POST /hooks/sms/twilio HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Twilio-Signature: \x1b[31m\r\nContent-Length: 0\r\n\r\n",
        b'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {"event":"approved"}\x1b[2J\r\n\r\n',
        b"GET /" + b"x" * 60_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ]  # fmt: skip

    def run() -> None:
        with served(quick.hub) as port:
            for head in heads:
                with socket.create_connection(("127.0.0.1", port), 10) as s:
                    s.sendall(head)
                    s.settimeout(10)
                    with contextlib.suppress(OSError):
                        s.recv(65536)

    found = _written(run)
    assert {line["event"] for line in found} <= {"web.request", "door.refused", "library"}
    assert sum(line["event"] == "web.request" for line in found) >= 4
    assert "x" * 100 not in json.dumps(found)


def test_h36_no_word_of_a_stranger_stands_in_a_log_line(quick: World) -> None:
    def run() -> None:
        for n, canary in enumerate(CANARIES):
            quick.client.post("/report", data={"text": canary, "contact": canary, "place": canary})
            quick.client.get(f"/{canary}", headers={"User-Agent": canary, "Referer": canary})
            call(quick, str(n), text=canary, caller=canary)
            stranger(quick).post("/login", {"login": canary, "password": canary})

    found = _written(run)
    said = json.dumps(found)
    assert {"web.request"} <= {line["event"] for line in found} <= {"web.request", "library"}
    assert not any(part in said for part in ("boom", "onerror", "7*7", "<!--", "</title>"))
