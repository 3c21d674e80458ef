"""Media addresses that lead elsewhere: the one function that fetches them, against real TLS on this machine."""

import base64
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from channels import addresses
from channels.closed_list import Place
from channels.egress import Egress
from domain.errors import Never, NotNow
from tests.corpus.hostile.media_house import (
    ACCOUNT,
    API,
    CDN,
    HERE,
    SHOWN,
    TOKEN,
    URL,
    MediaHouse,
    Network,
    certificate,
    media_house,
    moved,
    reply,
)

PNG = (
    b"\x89PNG\r\n\x1a\n"
    + b"\0\0\0\rIHDR"
    + (640).to_bytes(4, "big")
    + (480).to_bytes(4, "big")
    + b"\x08\x02\0\0\0"
)
STORED = "/x/y?Expires=1&Signature=abc~"
INSIDE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "100.100.100.200", "168.63.129.16", "169.254.169.254",
    "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.19.0.1", "224.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::8.8.8.8",
    "64:ff9b:1::a00:1", "100::1", "2001:0:7f00:1::", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "3fff::1",
    "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2606:4700::5efe:a00:1", "5f00::1",
]  # fmt: skip


@pytest.fixture
def host(tmp_path: Path) -> Iterator[tuple[MediaHouse, Network]]:
    with media_house(tmp_path) as made:
        yield made


def _refusal(egress: Egress, url: str = URL) -> str:
    with pytest.raises((Never, NotNow)) as caught:
        egress.get(url)
    return f"{type(caught.value).__name__}:{caught.value.code}"


def test_h24_what_the_provider_names_comes_by_https_with_its_name_and_our_login(host) -> None:
    house, net = host
    house.says[API, SHOWN] = moved(f"https://{CDN}{STORED}")
    house.says[CDN, STORED] = reply(PNG)
    found = net.egress().get(URL)
    assert (found.data, found.declared_type) == (PNG, "image/png")
    (api, sni_api, _, said), (cdn, sni_cdn, _, said_cdn) = house.heard
    assert (api, sni_api, cdn, sni_cdn) == (API, API, CDN, CDN)
    login = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    assert f"Authorization: Basic {login}" in said and "Authorization" not in said_cdn
    assert net.looks == [API, CDN] and net.dialled == [HERE, HERE]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x", "https://127.0.0.1" + SHOWN, "https://[::1]" + SHOWN, "https://2130706433" + SHOWN,
        "https://0x7f.1" + SHOWN, "https://127.1" + SHOWN, "https://[::ffff:169.254.169.254]" + SHOWN,
        "https://[64:ff9b::7f00:1]" + SHOWN, "file:///etc/passwd", "gopher://127.0.0.1:25/_HELO", "ftp://a/b",
        "http://" + API + SHOWN, "https://" + API + ":8443" + SHOWN, "https://evil.example" + SHOWN,
        "https://" + API + "@evil.example" + SHOWN, "https://evil.example\\@" + API + SHOWN,
        "https://" + API + ".evil.example" + SHOWN, "https://" + API + "." + SHOWN, "https://" + API + "#@evil" + SHOWN,
        "https://" + API + "%00.evil.example" + SHOWN, "https://" + API + "/v1/Accounts", " " + URL, URL + "\r\nX: y",
        "https://" + API + "/2010-04-01/Accounts/" + ACCOUNT + "/Messages.json", URL + "/../../../../Messages.json",
        "https://" + API.replace("k", "\u212a").replace("i", "\u0131") + SHOWN, "//" + API + SHOWN, "", "x" * 5000,
        "https://" + CDN + STORED, URL.replace(ACCOUNT, "AC" + "0b" * 16),
    ],
)  # fmt: skip
def test_h24_an_address_that_is_not_the_providers_is_not_even_looked_up(host, url: str) -> None:
    house, net = host
    assert _refusal(net.egress(), url) in ("Never:bad_address", "Never:bad_host")
    assert net.looks == net.dialled == house.heard == []


@pytest.mark.parametrize("address", INSIDE)
def test_h24_a_name_with_an_inner_address_is_not_connected_to(host, address: str) -> None:
    _, net = host
    for answer in ([address], [HERE, address], [address, HERE]):
        net.names[API] = [answer]
        assert _refusal(net.egress()) == "Never:bad_network"
    assert net.dialled == []


def test_h24_what_is_public_is_public_and_what_is_no_address_is_not() -> None:
    public = [
        "8.8.8.8",
        "1.1.1.1",
        HERE,
        "2606:4700:4700::1111",
        "240e:58:c000::1",
        "2400:3200::1",
        "172.32.0.1",
    ]
    assert [a for a in public if not addresses.is_public(a)] == []
    words = [
        "2130706433",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
        "localhost",
        "",
        "8.8.8.8\n",
        "８.8.8.8",
        "1.1.1.1/8",
    ]
    assert [a for a in (*INSIDE, *words) if addresses.is_public(a)] == []


def test_h24_a_certificate_of_somebody_else_is_not_believed(host, tmp_path: Path) -> None:
    house, net = host
    house.says[API, SHOWN] = reply(PNG)
    (tmp_path / "other").mkdir()
    _, house.trust = certificate(tmp_path / "other", API)
    assert _refusal(net.egress()) == "NotNow:no_connection"
    (tmp_path / "evil").mkdir()
    evil = MediaHouse(tmp_path / "evil", "evil.example")
    evil.says[API, SHOWN] = reply(PNG)
    assert _refusal(Network(evil).egress()) == "NotNow:no_connection"
    evil.close()
    assert house.heard == evil.heard == []


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.1/", "https://127.0.0.1/", "https://169.254.169.254/latest/meta-data/", "https://[::1]/",
        f"http://{CDN}{STORED}", f"https://{CDN}:22{STORED}", f"https://evil.example{STORED}", f"//evil.example{STORED}",
        "file:///etc/passwd", "", "x", f"https://{CDN}@evil.example/", "/v1/other", f"https://{CDN}\t/x", "\\\\evil\\x",
    ],
)  # fmt: skip
def test_h25_a_redirect_elsewhere_is_not_followed(host, to: str) -> None:
    house, net = host
    house.says[API, SHOWN] = moved(to)
    assert _refusal(net.egress()) == "Never:bad_redirect"
    assert len(house.heard) == 1 and net.dialled == [HERE]


def test_h25_a_redirect_is_a_new_look_at_the_name(host) -> None:
    house, net = host
    house.says[API, SHOWN] = moved(f"https://{CDN}{STORED}")
    house.says[CDN, STORED] = reply(PNG)
    net.names[CDN] = [["10.0.0.1"]]
    assert _refusal(net.egress()) == "Never:bad_network"
    assert net.dialled == [HERE]


def test_h25_an_answer_that_changes_between_look_and_call_changes_nothing(host) -> None:
    house, net = host
    house.says[API, SHOWN] = reply(PNG)
    net.names[API] = [[HERE], ["127.0.0.1"]]
    assert net.egress().get(URL).data == PNG
    assert (net.looks, net.dialled) == ([API], [HERE])
    assert _refusal(net.egress()) == "Never:bad_network"  # the next fetch looks again, and sees it
    assert net.dialled == [HERE]


def test_h25_redirects_end_after_two(host) -> None:
    house, net = host
    house.says[API, SHOWN] = moved(f"https://{CDN}/1")
    house.says[CDN, "/1"] = moved("/2")
    house.says[CDN, "/2"] = reply(PNG)
    assert net.egress().get(URL).data == PNG
    house.says[CDN, "/2"] = moved("/1")
    house.heard.clear()
    assert _refusal(net.egress()) == "Never:too_many_redirects"
    assert [path for _, _, path, _ in house.heard] == [SHOWN, "/1", "/2"]


def _drip(data: bytes, pause: float):
    def say(wire: socket.socket) -> None:
        for n in range(len(data)):
            wire.sendall(data[n : n + 1])
            time.sleep(pause)  # what is tried is a slow sender

    return say


def _endless(head: bytes, chunk: bytes):
    def say(wire: socket.socket) -> None:
        wire.sendall(head)
        while True:  # until the other side has enough
            wire.sendall(chunk)

    return say


def test_h26_a_body_without_end_is_cut_off_at_the_bound(host) -> None:
    house, net = host
    chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
    for say in (
        _endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk),
        _endless(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65536)),
        _endless(b"HTTP/1.1 200 OK\r\nContent-Length: 5368709120\r\n\r\n", bytes(65536)),
    ):
        house.says[API, SHOWN] = say
        assert _refusal(net.egress(largest=1 << 20)) == "Never:too_large"


def test_h26_5_gb_that_say_they_are_1_kb_are_1_kb(host) -> None:
    house, net = host
    house.says[API, SHOWN] = _endless(b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n", bytes(65536))
    assert len(net.egress().get(URL).data) == 1024


@pytest.mark.parametrize(
    "slow",
    [
        _drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + bytes(100), 0.05),
        _drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100, 0.05),
        _drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.01),
        _drip(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1000), 0.02),
        _drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 200, 0.02),
    ],
    ids=["body", "head", "continue", "until the end", "chunks"],
)
def test_h26_a_sender_of_one_byte_at_a_time_is_left_at_the_deadline(host, slow) -> None:
    house, net = host
    house.says[API, SHOWN] = slow
    began = time.monotonic()
    assert _refusal(net.egress(lasts=0.5)) == "NotNow:too_slow"
    assert time.monotonic() - began < 2


def test_h26_a_host_that_never_speaks_and_a_resolver_that_hangs_end_at_the_deadline(host) -> None:
    house, net = host
    house.says[API, SHOWN] = lambda _wire: house.is_leaving.wait(30) and None
    assert _refusal(net.egress(lasts=0.3)) == "NotNow:too_slow"
    stuck = Egress(
        [Place(host=API)],
        lasts=timedelta(seconds=0.3),
        resolve=lambda _host, _port: [HERE] if house.is_leaving.wait(30) else [],
    )
    assert _refusal(stuck) == "NotNow:no_name"


@pytest.mark.parametrize(
    ("say", "verdict"),
    [
        (reply(PNG, content_encoding="gzip"), "Never:encoded"),
        (reply(b"", status="404 Not Found"), "Never:http_404"),
        (reply(b"", status="206 Partial Content"), "Never:http_206"),
        (reply(b"", status="429 Too Many Requests"), "NotNow:http_429"),
        (reply(b"", status="503 Unavailable"), "NotNow:http_503"),
        (reply(b"", status="401 Unauthorized"), "NotNow:http_401"),
        (lambda wire: wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ncut"), "NotNow:cut"),
        (lambda wire: wire.sendall(b"SSH-2.0-OpenSSH\r\n"), "NotNow:cut"),
        (lambda wire: wire.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000), "NotNow:cut"),
        (lambda wire: wire.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n"), "NotNow:cut"),
        (lambda wire: wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), None),
        (lambda _wire: None, "NotNow:cut"),
    ],
)  # fmt: skip
def test_h26_an_answer_that_is_none_is_refused_or_tried_again(host, say, verdict: str | None) -> None:
    house, net = host
    house.says[API, SHOWN] = say
    if verdict is None:
        assert net.egress().get(URL).data == b""
    else:
        assert _refusal(net.egress()) == verdict
