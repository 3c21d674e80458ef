"""Calls of webhooks that are forged, cut, repeated, too long or of two lengths, over real sockets."""

import http.client
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from urllib.parse import urlencode

import pytest

from hub import metrics
from store import tables as t
from tests.corpus.hostile.street import answers, head, hear, say
from tests.walks import houses
from tests.web.api_world import (
    AUTH,
    DLR_URL,
    NUMBER,
    SID,
    SMS_URL,
    World,
    served,
    signature,
    signed,
    sms_form,
)

SMS, DLR = "/hooks/sms/twilio", "/hooks/dlr/twilio"
FORM = "application/x-www-form-urlencoded"
KEPT = (t.inbound, t.shelf, t.receipt, t.report_row)


@pytest.fixture
def port(quick: World) -> Iterator[int]:
    with served(quick.hub) as bound:
        yield bound


def _post(port: int, path: str, body: bytes, **headers: str | bytes) -> tuple[int, bytes, dict[str, str]]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    line.request("POST", path, body, {"Content-Type": FORM, **given})  # type: ignore[arg-type]
    answer = line.getresponse()
    found = answer.status, answer.read(), dict(answer.getheaders())
    line.close()
    return found


def _signed(port: int, form: dict[str, str], path: str = SMS, url: str = SMS_URL) -> int:
    call = signed(url, form)
    return _post(port, path, call["content"], **call["headers"])[0]


def _status_form() -> dict[str, str]:
    return {
        "AccountSid": SID,
        "From": NUMBER,
        "MessageSid": "SM" + "1" * 32,
        "MessageStatus": "sent",
        "To": "+8613800138000",
    }


def _rows(made: World) -> int:
    return sum(made.count(table) for table in KEPT)


# ---- H19


RIGHT = signature(SMS_URL, sms_form())
WRONG: list[tuple[str | bytes, ...]] = [
    (), ("",), ("x",), ("A" * 27 + "=",), ("é".encode() * 28,), ("签名".encode(),), (RIGHT.lower(),), (RIGHT[:-1],),
    (RIGHT + "=",), (f" {RIGHT[:14]} {RIGHT[14:]}",), (RIGHT, RIGHT), (f"{RIGHT},{RIGHT}",), ("sha1=" + RIGHT,),
    (signature(SMS_URL, sms_form(), "other secret"),), (signature(SMS_URL, sms_form(), ""),), (b"\xff" * 28,),
    (signature(DLR_URL, sms_form()),), (signature("https://evil.example" + SMS, sms_form()),), ("A" * 60_000,),
]  # fmt: skip


@pytest.mark.parametrize("given", WRONG, ids=range(len(WRONG)))
def test_h19_without_the_right_signature_nothing_is_kept(
    quick: World, port: int, given: tuple[str | bytes, ...]
) -> None:
    body = urlencode(sms_form()).encode()
    lines = b"".join(
        b"X-Twilio-Signature: " + (g if isinstance(g, bytes) else g.encode()) + b"\r\n" for g in given
    )
    raw = head(SMS, f"Content-Type: {FORM}", f"Content-Length: {len(body)}")[:-2] + lines + b"\r\n" + body
    said = say(port, raw)
    assert answers(said) in ([403], [400] if given == ("A" * 60_000,) else [403])
    assert RIGHT.encode() not in said and AUTH.encode() not in said and _rows(quick) == 0


def test_h19_an_address_that_keeps_trying_hears_429_is_counted_and_the_provider_is_not_held_up(
    quick: World, port: int
) -> None:
    tries = [_post(port, path, b"Body=x") for path in (SMS, DLR) * 11]
    assert [status for status, _, _ in tries] == [403] * 20 + [429] * 2
    assert tries[-1][2]["retry-after"] == "60"
    assert _signed(port, sms_form()) == 200
    assert quick.hub.refused == {"bad_signature": 20, "too_many_tries": 2}
    assert 'tocsin_door_refused{reason="too_many_tries"} 2.0' in metrics.text(quick.hub).decode()
    quick.clock.forward(seconds=61)
    assert _post(port, SMS, b"Body=x")[0] == 403


def test_h19_the_right_signature_is_found_no_sooner_than_a_wrong_one(quick: World) -> None:
    """Nothing is compared letter by letter: a signature right up to its last letters takes as long as any other."""
    verify, raw = quick.hub.twilio.verify, urlencode(sms_form()).encode()
    almost, far = (
        RIGHT[:-2] + ("A" if RIGHT[-2] != "A" else "B") + "=",
        ("A" if RIGHT[0] != "A" else "B") + RIGHT[1:],
    )

    def took(given: str) -> float:
        best = 1.0
        for _ in range(60):
            began = time.perf_counter()
            with pytest.raises(Exception, match="signature"):
                verify(SMS_URL, raw, given)
            best = min(best, time.perf_counter() - began)
        return best

    assert (
        abs(took(almost) - took(far)) < 0.0005
    )  # of about 0.0001; a network shows differences of 0.02 ms and up


# ---- H20, H21, H22


def _cuts(form: dict[str, str], n: int) -> Iterator[list[tuple[str, str]]]:
    """Other forms of the same signature: the signed characters, sorted by name, cut at other places."""
    pairs = sorted(form.items())
    rolls = random.Random(20)
    for _ in range(n):
        k = rolls.randrange(len(pairs) - 1)
        (name, value), (after, rest) = pairs[k], pairs[k + 1]
        text = name + value + after + rest
        places = sorted(rolls.sample(range(1, len(text)), rolls.choice((1, 2, 3))))
        cut = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
        made = list(zip(cut[::2], [*cut[1::2], ""][: len(cut[::2])], strict=True))
        yield [*pairs[:k], *made, *pairs[k + 2 :]]


def test_h20_one_signature_cut_into_other_parameters_is_shelved_and_never_believed(
    quick: World, port: int
) -> None:
    form = sms_form(body="From+8613900139000MessageSidSM" + "9" * 32)
    right = signature(SMS_URL, form)
    believed = 0
    for pairs in _cuts(form, 150):
        if signature(SMS_URL, dict(pairs)) != right or dict(pairs) == form:
            continue  # sorted by their new names the characters stand elsewhere: not signed
        status, body, _ = _post(port, SMS, urlencode(pairs).encode(), X_Twilio_Signature=right)
        assert status in (200, 400), body
        believed += status == 200
    kept = quick.hub.store.read(lambda unit: unit.rows(t.inbound.select()))
    assert believed == 0 and kept == []
    assert quick.count(t.shelf) == 3  # of one signature; the rest is the same again
    assert {row["reason"] for row in quick.get("officer", "/v1/shelf").json()["data"]} == {"bad_shape"}


@pytest.mark.parametrize("cut", [("From", "Fro", "m"), ("MessageSid", "Message", "Sid"), ("To", "T", "o"), ("Body", "B", "ody"),
                                 ("AccountSid", "Account", "Sid")])  # fmt: skip
def test_h20_a_required_key_that_is_missing_puts_the_form_on_the_shelf(
    quick: World, port: int, cut: tuple[str, str, str]
) -> None:
    form = sms_form()
    right, (name, short, rest) = signature(SMS_URL, form), cut
    form[short] = rest + form.pop(name)
    status, body, _ = _post(port, SMS, urlencode(form).encode(), X_Twilio_Signature=right)
    assert (status, b"bad_shape" in body) == (400, True)
    assert (quick.count(t.inbound), quick.count(t.shelf)) == (0, 1)


def test_h21_the_same_request_600_times_at_once_and_a_year_later_is_one_report(hall: World) -> None:
    call = signed(SMS_URL, sms_form())
    with served(hall.hub) as port, ThreadPoolExecutor(32) as many:
        posts = many.map(lambda _: _post(port, SMS, call["content"], **call["headers"])[0], range(600))
        assert set(posts) == {200}
        hall.file_all()
        assert hall.count(t.inbound) == hall.count(t.report_row) == 1
        hall.clock.forward(days=366)
        assert set(
            many.map(lambda _: _post(port, SMS, call["content"], **call["headers"])[0], range(40))
        ) == {200}
        hall.file_all()
    assert hall.count(t.inbound) == hall.count(t.report_row) == 1


@pytest.mark.parametrize("change", [{"To": ""}, {"AccountSid": "AC" + "0b" * 16}, {"AccountSid": SID.upper()}, {"Body[]": "x"},
                                    {"from": "x"}, {"MessageSid": "SM1"}, {"From": ""}, {"To": "../../x"}])  # fmt: skip
def test_h22_a_signed_form_of_another_account_or_shape_is_refused(
    quick: World, port: int, change: dict[str, str]
) -> None:
    assert _signed(port, sms_form(**change)) == 400
    assert (quick.count(t.inbound), quick.count(t.shelf)) == (0, 1)


def test_h22_a_form_without_its_number_or_with_a_name_twice_is_refused(quick: World, port: int) -> None:
    form = sms_form()
    del form["To"]
    assert _signed(port, form) == 400
    twice = [*sms_form().items(), ("Body", "other")]
    for order in (twice, twice[::-1]):
        texts = sorted(twice)
        for text in (
            "".join(n + v for n, v in texts),
            "".join(n + v for n, v in sorted(dict(twice).items())),
        ):
            made = signature(SMS_URL, {text: ""})
            assert _post(port, SMS, urlencode(order).encode(), X_Twilio_Signature=made)[0] in (400, 403)
    assert quick.count(t.inbound) == 0


def test_h22_the_address_that_is_signed_is_that_of_the_settings(quick: World, port: int) -> None:
    body = urlencode(sms_form()).encode()
    for scheme, name in (("https", "evil.example"), ("http", "hub.example"), ("https", "127.0.0.1")):
        forged = signature(f"{scheme}://{name}{SMS}", sms_form())
        told = {
            "X_Forwarded_Host": name,
            "X_Forwarded_Proto": scheme,
            "Forwarded": f"host={name};proto={scheme}",
        }
        assert _post(port, SMS, body, X_Twilio_Signature=forged, **told)[0] == 403
    assert _post(port, SMS, body, X_Twilio_Signature=RIGHT, Host="evil.example")[0] in (400, 421)
    query = urlencode(sms_form())
    said = say(port, head(f"{SMS}?{query}", f"X-Twilio-Signature: {RIGHT}", method="GET"))
    assert answers(said) == [405]
    assert _rows(quick) == 0
    assert _post(port, SMS, body, X_Twilio_Signature=RIGHT, X_Forwarded_Host="evil.example")[0] == 200


# ---- H23


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[houses.House]:
    """A hub in a process of its own, as `tocsin up` starts it."""
    with houses.house(tmp_path_factory.mktemp("hub") / "data") as made:
        made.start("all", "up")
        houses.ready(made)
        yield made


def _memory(made: houses.House) -> int:
    """MB that the process holds."""
    pages = Path(f"/proc/{made.processes['all'].pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") >> 20


def _settled(made: houses.House) -> int:
    """MB that it holds when what every hub reads after its start, names of places and pages, is read."""
    held = 0
    while (now := _memory(made)) > held + 1:
        held = now
        time.sleep(2)
    return now


CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"
PARAMS = "&".join(f"a{n}=1" for n in range(10_000)).encode()


@pytest.mark.parametrize("path", [SMS, DLR])
def test_h23_what_is_too_long_is_413_at_64_kb_and_costs_no_memory(started: houses.House, path: str) -> None:
    port, before = started.settings.port, _settled(started)
    of_form = f"Content-Type: {FORM}"
    for n, (first, more) in enumerate((
        (head(path, of_form, f"Content-Length: {100 << 20}"), repeat(b"x" * 65536, 1600)),
        (head(path, of_form, f"Content-Length: {100 << 20}"), ()),
        (head(path, of_form, "Content-Length: 65537"), ()),
        (head(path, of_form, "Transfer-Encoding: chunked"), repeat(CHUNK, 1600)),
        (head(path, of_form, "Transfer-Encoding: chunked"), repeat(b"1\r\nx\r\n" * 500, 400)),
        (head(path, of_form, "Content-Length: 999999999999999999"), ()),
        (head(path, of_form, f"Content-Length: {len(PARAMS)}") + PARAMS, ()),
    )):  # fmt: skip
        began = time.monotonic()
        assert answers(say(port, first, more))[:1] == [413], n
        assert time.monotonic() - began < 4, n
    assert _memory(started) - before < 24


def test_h23_ten_thousand_short_parameters_are_no_form_that_anybody_signed(quick: World, port: int) -> None:
    form = {f"A{n}": "" for n in range(10_000)}
    body = urlencode(form).encode()[:65_000]
    began = time.monotonic()
    assert _post(port, SMS, body, X_Twilio_Signature=RIGHT)[0] == 403
    assert time.monotonic() - began < 1 and _rows(quick) == 0


def test_h23_a_packed_body_is_not_unpacked(started: houses.House) -> None:
    for packing in ("gzip", "deflate", "br", "identity, gzip", "x-gzip"):
        lines = (f"Content-Encoding: {packing}", f"Content-Type: {FORM}", "Content-Length: 2")
        assert answers(say(started.settings.port, head(SMS, *lines) + b"\x1f\x8b"))[0] in (413, 415)


SECOND = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
SMUGGLED = [
    ("Content-Length: 6", "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked", "Content-Length: 6"),
    ("Content-Length: 4", "Content-Length: 6"), ("Content-Length: 4, 6",), ("Content-Length: +6",),
    ("Content-Length: -6",), ("Content-Length: 0x6",), ("Content-Length: 6 6",), ("Content-Length:",),
    ("Content-Length: ６",), ("Transfer-Encoding: xchunked",), ("Transfer-Encoding: chunked, identity",),
    ("Transfer-Encoding: identity",), ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    ("Transfer-Encoding : chunked", "Content-Length: 6"), ("Transfer-Encoding:\x0bchunked", "Content-Length: 6"),
    ("Transfer-Encoding: gzip, chunked",),
    ("X: y\r\n Transfer-Encoding: chunked", "Content-Length: 6", "Transfer-Encoding: chunked"),
    ("Content-Length: 6\r\nTransfer-Encoding: chunked",), ("Content_Length: 900", "Transfer-Encoding: x"),
]  # fmt: skip


@pytest.mark.parametrize("lines", SMUGGLED, ids=range(len(SMUGGLED)))
def test_h23_two_lengths_of_one_body_are_400_and_no_second_request_hides_in_it(
    started: houses.House, lines: tuple[str, ...]
) -> None:
    raw = "\r\n".join([f"POST {SMS} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {FORM}", *lines, "", ""])
    said = say(started.settings.port, raw.encode() + b"0\r\n\r\nG" + SECOND)
    assert set(answers(said)) <= {400, 501} and b"ok" not in said.partition(b"\r\n\r\n")[2][:40]


@pytest.mark.parametrize("body", [b"zz\r\nx\r\n", b"-1\r\nx\r\n", b"1" * 30 + b"\r\n", b"5;" + b"x" * 70_000 + b"\r\n",
                                  b"0x5\r\nhello\r\n", b"5\nhello\n0\n\n", b" 5\r\nhello\r\n"])  # fmt: skip
def test_h23_chunks_that_are_none_are_refused(started: houses.House, body: bytes) -> None:
    lines = (f"Content-Type: {FORM}", "Transfer-Encoding: chunked")
    said = say(started.settings.port, head(SMS, *lines) + body + SECOND)
    assert answers(said)[:1] in ([400], [413], []), said[:200]
    assert len(answers(said)) <= 1


def test_h23_lengths_that_lie_hold_nobody_up_and_keep_nothing(quick: World, port: int) -> None:
    call = signed(SMS_URL, sms_form())
    lines = [f"{name}: {value}" for name, value in call["headers"].items()]
    longer = head(SMS, *lines, f"Content-Length: {len(call['content']) + 500}") + call["content"]
    held = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(50)]
    for s in held:
        s.sendall(longer)
    began = time.monotonic()
    assert answers(say(port, head("/healthz", method="GET"))) == [200]
    assert time.monotonic() - began < 2
    assert _rows(quick) == 0
    for s in held:
        s.close()
    shorter = head(SMS, *lines, "Content-Length: 10") + call["content"]
    assert answers(say(port, shorter))[0] == 403
    assert quick.count(t.inbound) == 0


def test_h23_after_all_that_the_hub_still_takes_a_message(started: houses.House) -> None:
    assert threading.active_count() < 200
    assert started.provider.text("+8613800138000", "桥下积水")["status"] == 200
    with socket.create_connection(("127.0.0.1", started.settings.port), 10) as s:
        s.sendall(head("/healthz", method="GET") * 2)
        assert answers(hear(s)) == [200, 200]
