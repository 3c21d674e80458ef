"""The citizen's form under floods, uploads without end and a hub that cannot keep: no word is lost."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import httpx
from starlette.requests import Request

from domain.errors import BadInput
from intake import desk, secret_link
from store import inbox
from store import tables as t
from tests.web.api_world import World, served, world
from tests.web.citizen_kit import FORM, code_of, post, token_of
from web.citizen import Citizen


def test_h40_fifty_posts_in_a_minute_from_one_address_hear_429_and_lose_no_word(quick: World) -> None:
    answers = [post(quick, {"text": f"第{n}次", "place": "镇上"}) for n in range(50)]
    statuses = [answer.status_code for answer in answers]
    assert statuses == [303] * 30 + [429] * 20
    last = answers[-1]
    assert int(last.headers["retry-after"]) <= 10
    assert "tel:110" in last.text and "第49次" in last.text and 'value="镇上"' in last.text
    quick.clock.forward(seconds=5)
    assert post(quick, {"text": "第49次"}).status_code == 303
    assert quick.count(t.inbound) == 31


def test_behind_a_proxy_of_ours_each_citizen_has_his_own_limit(
    sqlite_model: Path, tmp_path: Path, at
) -> None:
    def flood(made: World, told: str) -> int:
        headers = {**FORM, "X-Forwarded-For": told}
        return sum(
            made.client.post("/report", content=b"text=%d" % n, headers=headers).status_code == 429
            for n in range(31)
        )

    with world(tmp_path / "data", at, model=sqlite_model) as made:
        assert flood(made, "198.51.100.1") == 1 and flood(made, "198.51.100.2") == 31, "nobody is believed"
    with world(tmp_path / "more", at, model=sqlite_model, trusted_proxies="testclient, 10.0.0.1") as made:
        assert flood(made, "198.51.100.1, 10.0.0.1") == 1
        assert flood(made, "198.51.100.1, 198.51.100.2") == 1, "what the sender added himself does not count"
        assert flood(made, "2001:db8::1") == 1 and flood(made, "2001:db8::2") == 31, "one /64 is one customer"


def test_with_the_database_down_the_form_is_spooled_and_answered_with_its_code(quick: World) -> None:
    quick.hub.store.close()
    answer = post(quick, {"text": "决堤", "contact": "13800138000"})
    code = code_of(answer)
    assert code in quick.client.get(answer.headers["location"]).text
    ((_, inbound, names),) = list(quick.hub.spool.read())
    assert inbound is not None and names is not None
    assert (names.code, inbound.raw.startswith(b"text=")) == (code, True)
    assert code_of(post(quick, {"text": "决堤", "contact": "13800138000"})) == code
    assert len(quick.hub.spool.waiting()) == 1
    token = secret_link.token(quick.hub.keys.receipt, code)
    for part in quick.hub.settings.data_dir.glob("tocsin.db*"):
        part.rename(part.with_suffix(".gone"))
    later = quick.client.get(f"/report/s/{token}")
    assert later.status_code == 503 and "已经收到" in later.text and "tel:120" in later.text


def test_with_no_place_to_keep_it_the_page_says_to_call_and_keeps_what_was_typed(quick: World) -> None:
    quick.hub.store.close()
    spool = quick.hub.settings.data_dir / "spool"
    spool.rmdir()
    spool.write_text("in the way")
    answer = post(quick, {"text": "决堤了", "once": "b" * 32})
    assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
    assert "请立即打电话" in answer.text and "tel:110" in answer.text
    assert "决堤了" in answer.text and token_of(answer.text) == "b" * 32


def test_what_waited_in_the_spool_is_the_same_report_as_what_was_sent_again(quick: World) -> None:
    inbound = None
    code_of(post(quick, {"text": "同一件事", "once": "c" * 32}))
    (row,) = quick.hub.store.read(lambda unit: unit.rows(t.inbound.select()))
    arrived = quick.hub.store.read(lambda unit: inbox.load(unit, row.id, quick.hub.blobs.get))
    inbound = arrived.inbound
    quick.hub.spool.put(inbound, desk.mint_names(quick.clock()))
    fresh = desk.drain(quick.hub.spool, store=quick.hub.store, blobs=quick.hub.blobs, clock=quick.clock)
    assert fresh == [] and quick.count(t.inbound) == 1


def _typed(text: str) -> bytes:
    return (f'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n{text}\r\n'
            '--b\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n').encode()  # fmt: skip


def _talk(port: int, head: str, *chunks: bytes, hangs_up: bool = True) -> str:
    """Say it over a socket, as far as the server listens; everything that comes back.

    Who hangs up his side has gone, as uvicorn sees it, and may get no answer any more; browsers do not.
    """
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        said = b""
        try:
            s.sendall(
                f"POST /report HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Language: zh\r\n{head}\r\n\r\n".encode()
            )
            for chunk in chunks:
                s.sendall(chunk)
            if hangs_up:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has hung up: the answer is still to be read
        try:
            while more := s.recv(65536):
                said += more
        except OSError:
            pass
    return said.decode("utf-8", "replace")


def test_a_video_that_is_too_large_comes_back_with_what_was_typed(quick: World) -> None:
    head = "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000000"
    with served(quick.hub) as port:
        said = _talk(port, head, _typed("大坝裂缝"), *[b"x" * 65536] * 40)
    assert said.startswith("HTTP/1.1 413") and "大坝裂缝" in said and "tel:119" in said
    assert "附件需要重新选择" in said and quick.count(t.inbound) == 0


def test_chunks_without_end_are_cut_off_with_what_was_typed(sqlite_model: Path, tmp_path: Path, at) -> None:
    head = "Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked"
    piece = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    first = _typed("桥墩倾斜")
    with world(tmp_path / "data", at, model=sqlite_model, max_body_bytes=200_000) as made:
        with served(made.hub) as port:
            said = _talk(port, head, b"%x\r\n%b\r\n" % (len(first), first), *[piece] * 7, hangs_up=False)
        assert said.startswith("HTTP/1.1 413") and "桥墩倾斜" in said
        assert made.count(t.inbound) == 0


def test_a_flooded_upload_is_not_read_to_its_end_and_keeps_what_was_typed(quick: World) -> None:
    for n in range(30):
        post(quick, {"text": f"{n}"})
    body = _typed("水漫过来了") + b"x" * 1_000_000 + b"\r\n--b--\r\n"
    answer = quick.client.post(
        "/report", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code == 429 and "水漫过来了" in answer.text and "附件需要重新选择" in answer.text


def test_a_form_whose_sender_hangs_up_keeps_nothing_and_the_door_stays_open(quick: World) -> None:
    head = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 500"
    with served(quick.hub) as port:
        assert _talk(port, head, b"text=cut") == ""
        assert httpx.get(f"http://127.0.0.1:{port}/report").status_code == 200
    assert quick.count(t.inbound) == 0


def test_programs_share_the_limit_of_their_address(quick: World) -> None:
    for n in range(30):
        assert post(quick, {"text": f"{n}"}).status_code == 303
    answer = quick.client.post("/v1/citizen/reports", json={"text": "x"})
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_tries")
    assert "retry-after" in answer.headers and "110" in answer.json()["detail"]


def test_h40_an_upload_that_takes_too_long_comes_back_with_what_was_typed(quick: World) -> None:
    told = [{"type": "http.request", "body": _typed("堤坝渗水"), "more_body": True}]

    async def receive() -> Any:
        if told:
            return told.pop()
        raise BadInput("the body did not end", code="body_timeout")  # as web/shell.py says it

    scope = {
        "type": "http", "method": "POST", "path": "/report", "query_string": b"lang=zh-CN", "state": {},
        "headers": [(b"content-type", b"multipart/form-data; boundary=b")], "client": ("192.0.2.1", 1),
    }  # fmt: skip
    answer = asyncio.run(Citizen(quick.hub).send(Request(scope, receive)))
    page = bytes(answer.body).decode()
    assert answer.status_code == 408 and "堤坝渗水" in page and "网络太慢" in page and "tel:110" in page
    assert quick.count(t.inbound) == 0
