"""The citizen's form: whatever people and machines send, a report is kept once, or the page says to call."""

import asyncio
import gzip
import io
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

import httpx
import pytest
from PIL import Image
from starlette.requests import Request

from domain.errors import BadInput
from intake import desk, secret_link
from store import inbox, reports
from store import tables as t
from tests.web.api_world import SITE, World, served, world
from tests.web.console_browser import enter, words
from web.citizen import Citizen

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _post(hall: World, fields: dict[str, Any], **more: Any) -> Any:
    return hall.client.post("/report", content=urlencode(fields).encode(), headers=FORM, **more)


def _code(answer: Any) -> str:
    assert answer.status_code == 303, words(answer.text)
    found = re.match(r"/report/r/([0-9A-Z]{8})[A-Za-z0-9_-]{22}\?lang=", answer.headers["location"])
    assert found, answer.headers["location"]
    return f"{found[1][:4]}-{found[1][4:]}"


def _filed(hall: World) -> Any:
    """The one report."""
    hall.file_all()
    (row,) = hall.hub.store.read(lambda unit: unit.rows(t.report_row.select()))
    return hall.hub.store.read(lambda unit: reports.get(unit, row.id))


def _token(page: str) -> str:
    found = re.search(r'name="once" value="([0-9a-f]{32})"', page)
    assert found
    return found[1]


def _jpeg() -> bytes:
    """A photo that knows where it was taken."""
    picture, kept = Image.new("RGB", (8, 8)), io.BytesIO()
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (30.0, 16.0, 26.76), 3: "E", 4: (120.0, 9.0, 18.36)})
    picture.save(kept, "JPEG", exif=exif)
    return kept.getvalue()


def test_the_form_opens_with_the_numbers_first_and_sets_nothing(quick: World) -> None:
    answer = quick.client.get("/report")
    assert answer.status_code == 200 and "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    page = answer.text
    assert page.index('href="tel:110"') < page.index('href="tel:120"') < page.index("<form")
    assert re.findall(r"<(?:textarea|input)[^>]* required", page) == re.findall(
        r"<textarea[^>]* required", page
    )
    assert "<script" not in page and page.count(" required") == 1
    assert quick.count(t.inbound) == 0


def test_what_was_typed_is_a_report_of_the_queue_and_the_receipt_shows_its_code(hall: World) -> None:
    answer = _post(hall, {"text": "桥塌了", "place": "江滨路88号", "lat": "30.2741", "lon": "120.1551",
                          "contact": "138 0013 8000"})  # fmt: skip
    code = _code(answer)
    page = hall.client.get(answer.headers["location"])
    assert page.status_code == 200 and code in page.text and "noindex" in page.headers["x-robots-tag"]
    assert page.headers["referrer-policy"] == "no-referrer"
    report = _filed(hall)
    (notice,) = hall.hub.store.read(lambda unit: unit.rows(t.dispatch.select()))
    text = notice.notice_payload.decode()
    assert text.startswith("【演示】") and f"{SITE}/report/s/{code.replace('-', '')}" in text
    assert (report.code, report.channel, report.content.text) == (code, "web", "桥塌了")
    assert report.handling.value == "internal" and report.organisation == ""
    facts = {name: [(f.value, f.origin) for f in found] for name, found in report.content.facts.items()}
    assert facts == {"sender": [("+8613800138000", "citizen")], "place": [("江滨路88号", "citizen")],
                     "position": [("30.2741,120.1551", "citizen")]}  # fmt: skip


def test_a_photo_is_typed_by_content_its_position_is_read_and_the_original_is_kept(quick: World) -> None:
    photo = _jpeg()
    files = [("files", ("../../etc/passwd\u202egpj.exe", photo, "application/x-msdownload"))]
    code = _code(quick.client.post("/report", data={"text": "山体滑坡"}, files=files))
    report = _filed(quick)
    assert report.code == code
    (kept,) = report.content.attachments
    assert (kept.media_type, kept.declared_type) == ("image/jpeg", "application/x-msdownload")
    assert "/" not in kept.name and "\u202e" not in kept.name
    assert quick.hub.blobs.get(kept.sha256) == photo
    (position,) = report.content.facts["position"]
    assert (position.value, position.origin) == ("30.2741,120.1551", "exif")
    (row,) = quick.hub.store.read(lambda unit: unit.rows(t.inbound.select()))
    raw = quick.hub.store.read(lambda unit: inbox.load(unit, row.id, quick.hub.blobs.get)).inbound.raw
    assert photo in raw


def test_svg_and_html_are_kept_as_what_they_are_and_never_served_inline(quick: World) -> None:
    files = [("files", ("a.png", b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "image/png")),
             ("files", ("b.png", b"<!doctype html><script>1</script>", "image/png"))]  # fmt: skip
    _code(quick.client.post("/report", data={"text": "x"}, files=files))
    report = _filed(quick)
    assert [a.media_type for a in report.content.attachments] == ["image/svg+xml", "text/html"]
    for a in report.content.attachments:
        answer = quick.get("officer", f"/v1/reports/{report.id}/attachments/{a.sha256}")
        assert answer.headers["content-disposition"].startswith("attachment")


def test_a_sixth_file_and_files_in_other_fields_are_kept_and_marked(quick: World) -> None:
    files = [("files" if n else "photo", (f"{n}.txt", b"x%d" % n, "text/plain")) for n in range(6)]
    _code(quick.client.post("/report", data={"text": "x"}, files=files))
    report = _filed(quick)
    assert len(report.content.attachments) == 6 and "many_files" in report.content.findings


@pytest.mark.parametrize(
    ("lat", "lon", "kept", "note"),
    [
        ("30.5", "120", "30.5,120.0", ""),
        ("NaN", "120", "NaN,120", "not a position"),
        ("30°15′", "120°9′", "30°15′,120°9′", "not a position"),
        ("120.1", "30.2", "120.1,30.2", "not a position"),
        ("0", "0", "0,0", "not a position"),
        ("", "120", ",120", "not a position"),
        ("1e400", "1", "1e400,1", "not a position"),
    ],
)
def test_a_position_that_is_none_stays_as_it_was_written(
    quick: World, lat: str, lon: str, kept: str, note: str
) -> None:
    _code(_post(quick, {"text": "x", "lat": lat, "lon": lon}))
    (position,) = _filed(quick).content.facts["position"]
    assert (position.value, position.note) == (kept, note)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"text=" + quote_from_bytes("水库要垮了，快来人".encode("gb18030")).encode(), "水库要垮了，快来人"),
        (b"text=" + "桥塌了".encode(), "桥塌了"),
        (b"text=a%ED%A0%80b%00c", None),
        (b"text=one&text=two", "one\ntwo"),
        (b"text=&text=late", "late"),
        (b"text=x%0D%0Ay&nonsense=1&&=&%ff=%fe", "x\ny"),
        (b"text=" + quote_from_bytes("a\u202eb\u2066c".encode()).encode(), "abc"),
    ],
)
def test_forms_of_old_and_odd_programs_are_read(quick: World, raw: bytes, text: str | None) -> None:
    _code(quick.client.post("/report", content=raw, headers=FORM))
    found = _filed(quick).content.text
    assert found == text if text is not None else found.startswith("a") or found.startswith("í")
    assert "\x00" not in found and not re.search("[\ud800-\udfff]", found)


def test_a_multipart_form_in_gb18030_is_read(quick: World) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n' + "决口，房子被淹".encode("gb18030")
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    _code(quick.client.post("/report", content=body + b"\r\n--b--\r\n", headers=headers))
    assert _filed(quick).content.text == "决口，房子被淹"


@pytest.mark.parametrize(
    ("content_type", "raw", "status"),
    [
        ("application/x-www-form-urlencoded", b"", 400),
        ("application/x-www-form-urlencoded", b"text=%20%0A&place=here", 400),
        ("application/x-www-form-urlencoded", "&".join(f"a{n}=1" for n in range(10_000)).encode(), 400),
        ("application/json", b'{"text": "x"}', 415),
        ("text/plain", b"text=x", 415),
        ("", b"text=x", 415),
        ("multipart/form-data", b"--b", 400),
        ("multipart/form-data; boundary=" + "b" * 100, b"--b", 400),
        ("multipart/form-data; boundary=b", b"no form at all", 400),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\ncut',
            400,
        ),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n", 400),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"X: y\r\n" * 10_000 + b"\r\nx\r\n--b--\r\n", 400),
    ],
)
def test_what_holds_no_text_comes_back_with_the_reason_and_the_numbers(
    quick: World, content_type: str, raw: bytes, status: int
) -> None:
    answer = quick.client.post("/report", content=raw, headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert 'role="alert"' in answer.text and "tel:119" in answer.text and "<form" in answer.text
    assert quick.count(t.inbound) == 0


def test_a_page_that_comes_back_keeps_what_was_typed_as_text(quick: World) -> None:
    typed = {"text": " ", "place": '"><img src=x onerror=alert(1)>{{7*7}}', "contact": "</textarea><script>"}
    page = _post(quick, typed).text
    assert "<img" not in page and "<script" not in page
    assert typed["place"] in unescape(page) and typed["contact"] in unescape(page)


def test_the_same_form_sent_twice_is_one_report_and_one_receipt(hall: World) -> None:
    token = _token(hall.client.get("/report").text)
    answers = [_post(hall, {"text": "着火了", "once": token}) for _ in range(4)]
    hall.clock.forward(hours=30)
    answers.append(_post(hall, {"text": "着火了", "once": token}))
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert hall.count(t.inbound) == 1 and len(hall.rings) == 1


def test_the_same_photos_sent_again_with_another_boundary_are_one_report(quick: World) -> None:
    for _ in range(2):
        files = [("files", ("a.jpg", _jpeg(), "image/jpeg"))]
        quick.client.post("/report", data={"text": "x", "once": "a" * 32}, files=files)
    assert quick.count(t.inbound) == 1


def test_a_token_from_a_cached_page_never_swallows_what_somebody_else_writes(quick: World) -> None:
    token = _token(quick.client.get("/report").text)
    first, second = (
        _code(_post(quick, {"text": words, "once": token})) for words in ("甲家着火", "乙家着火")
    )
    assert first != second and quick.count(t.inbound) == 2


def test_without_a_token_a_reload_is_one_report_and_the_same_words_later_are_another(quick: World) -> None:
    for _ in range(3):
        _code(_post(quick, {"text": "路上有树"}))
    assert quick.count(t.inbound) == 1
    quick.clock.forward(minutes=11)
    _code(_post(quick, {"text": "路上有树"}))
    assert quick.count(t.inbound) == 2


def test_an_idempotency_key_is_honoured_and_a_bad_one_refuses_nobody(quick: World) -> None:
    def send(key: str) -> Any:
        headers = {**FORM, "Idempotency-Key": key}
        return quick.client.post("/report", content=b"text=x", headers=headers)

    codes = {_code(send("k1")) for _ in range(3)}
    quick.clock.forward(hours=3)
    assert {_code(send("k1"))} == codes and quick.count(t.inbound) == 1
    _code(send("k" * 4000))
    assert quick.count(t.inbound) == 2


def test_a_filled_trap_is_answered_as_if_taken_and_waits_on_the_shelf(quick: World) -> None:
    answer = _post(quick, {"text": "buy pills", "subject": "hello"})
    code = _code(answer)
    assert code in quick.client.get(answer.headers["location"]).text
    quick.file_all()
    assert quick.count(t.report_row) == 0
    (row,) = quick.get("officer", "/v1/shelf").json()["data"]
    assert (row["kind"], row["reason"]) == ("inbound", "honeypot")
    (kept,) = quick.hub.store.read(lambda unit: unit.rows(t.inbound.select()))
    arrived = quick.hub.store.read(lambda unit: inbox.load(unit, kept.id, quick.hub.blobs.get))
    assert (arrived.state.value, arrived.inbound.raw) == ("shelved", b"text=buy+pills&subject=hello")
    assert quick.hub.store.run(lambda unit: inbox.move(unit, arrived, "reprocess"))
    assert quick.hub.filing.file(kept.id) == kept.report, "what a person takes off the shelf is not put back"


def test_an_officer_puts_a_trapped_report_into_the_queue_and_nobody_twice(quick: World) -> None:
    _post(quick, {"text": "桥塌了，快来", "subject": "filled in by a browser"})
    quick.file_all()
    browser = enter(quick, "officer")
    (row,) = quick.get("officer", "/v1/shelf").json()["data"]
    assert f"/console/shelf/{row['id']}/take_up" in browser.get("/console/shelf").text
    browser.follow(f"/console/shelf/{row['id']}/take_up")
    quick.file_all()
    (report,) = quick.hub.store.read(lambda unit: unit.rows(t.report_row.select()))
    assert "桥塌了，快来" in browser.get(f"/console/reports/{report.id}").text
    assert quick.get("officer", "/v1/shelf").json() == {"data": []}
    assert browser.post(f"/console/shelf/{row['id']}/take_up").status_code == 409
    assert browser.post("/console/shelf/shf_x/take_up").status_code == 409
    quick.file_all()
    assert quick.count(t.report_row) == 1


def test_fifty_posts_in_a_minute_from_one_address_hear_429_and_lose_no_word(quick: World) -> None:
    answers = [_post(quick, {"text": f"第{n}次", "place": "镇上"}) for n in range(50)]
    statuses = [answer.status_code for answer in answers]
    assert statuses == [303] * 30 + [429] * 20
    last = answers[-1]
    assert int(last.headers["retry-after"]) <= 10
    assert "tel:110" in last.text and "第49次" in last.text and 'value="镇上"' in last.text
    quick.clock.forward(seconds=5)
    assert _post(quick, {"text": "第49次"}).status_code == 303
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
    answer = _post(quick, {"text": "决堤", "contact": "13800138000"})
    code = _code(answer)
    assert code in quick.client.get(answer.headers["location"]).text
    ((_, inbound, names),) = list(quick.hub.spool.read())
    assert inbound is not None and names is not None
    assert (names.code, inbound.raw.startswith(b"text=")) == (code, True)
    assert _code(_post(quick, {"text": "决堤", "contact": "13800138000"})) == code
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
    answer = _post(quick, {"text": "决堤了", "once": "b" * 32})
    assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
    assert "请立即打电话" in answer.text and "tel:110" in answer.text
    assert "决堤了" in answer.text and _token(answer.text) == "b" * 32


def test_what_waited_in_the_spool_is_the_same_report_as_what_was_sent_again(quick: World) -> None:
    inbound = None
    _code(_post(quick, {"text": "同一件事", "once": "c" * 32}))
    (row,) = quick.hub.store.read(lambda unit: unit.rows(t.inbound.select()))
    arrived = quick.hub.store.read(lambda unit: inbox.load(unit, row.id, quick.hub.blobs.get))
    inbound = arrived.inbound
    quick.hub.spool.put(inbound, desk.mint_names(quick.clock()))
    fresh = desk.drain(quick.hub.spool, store=quick.hub.store, blobs=quick.hub.blobs, at=quick.clock())
    assert fresh == [] and quick.count(t.inbound) == 1


@pytest.mark.parametrize(
    ("language", "said"), [("zh-CN,zh;q=0.9", "发生了什么"), ("en-GB,en", "What has happened")]
)
def test_the_page_speaks_the_readers_language_and_a_link_changes_it(
    quick: World, language: str, said: str
) -> None:
    answer = quick.client.get("/report", headers={"Accept-Language": language})
    assert said in answer.text and f'lang="{answer.headers["content-language"]}"' in answer.text
    other = re.search(r'href="(/report\?lang=[a-zA-Z-]+)" hreflang', answer.text)
    assert other
    assert said not in quick.client.get(other[1], headers={"Accept-Language": language}).text
    for odd in ("xx", "../../en", "en%00"):
        assert quick.client.get(f"/report?lang={odd}").status_code == 200


def _typed(text: str) -> bytes:
    return (f'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n{text}\r\n'
            '--b\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n').encode()  # fmt: skip


def _talk(port: int, head: str, *chunks: bytes) -> str:
    """Say it over a socket, as far as the server listens; everything that comes back."""
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        said = b""
        try:
            s.sendall(
                f"POST /report HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Language: zh\r\n{head}\r\n\r\n".encode()
            )
            for chunk in chunks:
                s.sendall(chunk)
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
            said = _talk(port, head, b"%x\r\n%b\r\n" % (len(first), first), *[piece] * 7)
        assert said.startswith("HTTP/1.1 413") and "桥墩倾斜" in said
        assert made.count(t.inbound) == 0


def test_a_flooded_upload_is_not_read_to_its_end_and_keeps_what_was_typed(quick: World) -> None:
    for n in range(30):
        _post(quick, {"text": f"{n}"})
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


def test_every_page_carries_the_mark_of_the_demo(quick: World) -> None:
    answer = _post(quick, {"text": "x"})
    for path in ("/report", "/report/state", answer.headers["location"]):
        assert "【演示】" in quick.client.get(path, headers={"Accept-Language": "zh"}).text


def test_no_page_weighs_more_than_10_kb(quick: World) -> None:
    location = _post(quick, {"text": "x"}).headers["location"]
    for path in ("/report", "/report?lang=en", "/report/state", location, location.replace("/r/", "/s/")):
        answer = quick.client.get(path)
        style = re.search(r'href="(/report/style-[0-9a-f]{12}\.css)"', answer.text)
        assert style
        sheet = quick.client.get(style[1])
        assert sheet.status_code == 200 and "immutable" in sheet.headers["cache-control"]
        assert len(gzip.compress(answer.content)) + len(gzip.compress(sheet.content)) < 10 * 1024


def test_programs_report_without_a_key_and_look_their_report_up(hall: World) -> None:
    body = {"text": "河堤渗水", "lat": 30.27, "lon": 120.15, "contact": "13800138000"}
    answer = hall.client.post("/v1/citizen/reports", json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert made["links"]["page"].endswith(f"/report/s/{made['key']}")
    assert answer.headers["location"] == f"/v1/citizen/reports/{made['code']}"
    place = answer.headers["location"]
    assert hall.client.get(place, params={"key": made["key"]}).json()["state"] == "received"
    assert hall.client.get(place, params={"phone": "8000"}).json()["code"] == made["code"]
    report = _filed(hall)
    assert (report.content.text, report.content.first("position")) == ("河堤渗水", "30.27,120.15")
    again = hall.client.post("/v1/citizen/reports", json=body)
    assert (again.json(), again.headers["idempotent-replayed"]) == (made, "true")


def test_programs_send_files_and_hear_what_does_not_fit(quick: World) -> None:
    files = [("files", (f"{n}.jpg", _jpeg(), "image/jpeg")) for n in range(5)]
    ok = quick.client.post("/v1/citizen/reports", data={"text": "x", "lat": "30°"}, files=files)
    assert ok.status_code == 201
    report = _filed(quick)
    assert (
        len(report.content.attachments) == 5 and report.content.facts["position"][0].note == "not a position"
    )
    six = [*files, ("files", ("6.jpg", b"x", "image/jpeg"))]
    answer = quick.client.post("/v1/citizen/reports", data={"text": "x"}, files=six)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/files")
    for body, pointer in (({"text": " "}, "/text"), ({}, "/text"), ({"text": "x", "grade": 1}, "/grade")):
        answer = quick.client.post("/v1/citizen/reports", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer)
    for headers, status in (({"Idempotency-Key": ""}, 400), ({"Content-Type": "text/plain"}, 415)):
        assert quick.client.post("/v1/citizen/reports", content=b"{}", headers=headers).status_code == status


def test_programs_share_the_limit_of_their_address(quick: World) -> None:
    for n in range(30):
        assert _post(quick, {"text": f"{n}"}).status_code == 303
    answer = quick.client.post("/v1/citizen/reports", json={"text": "x"})
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_tries")
    assert "retry-after" in answer.headers and "110" in answer.json()["detail"]


def test_the_contact_is_kept_as_written_and_only_a_real_address_is_the_sender(quick: World) -> None:
    given = ["a@b.cn\r\nBcc: x@y.cn", "13800138000 或 13900139000", "微信 abc", "'; drop table", "x" * 5000]
    for contact in given:
        _code(_post(quick, {"text": contact[:20], "contact": contact}))
    rows = quick.hub.store.read(lambda unit: unit.rows(t.inbound.select()))
    loaded = [
        quick.hub.store.read(lambda unit, i=row.id: inbox.load(unit, i, quick.hub.blobs.get)) for row in rows
    ]
    assert sorted(one.inbound.sender for one in loaded) == ["", "", "", "+8613800138000", "a@b.cn"]
    quick.file_all()
    (mail,) = [one for one in loaded if one.inbound.sender == "a@b.cn"]
    report = quick.hub.store.read(lambda unit: reports.get(unit, mail.report_id))
    assert report.content.first("sender") == "a@b.cn Bcc: x@y.cn"


def test_a_double_click_side_by_side_is_one_report_with_one_code(hall: World) -> None:
    with ThreadPoolExecutor(8) as clicks:
        answers = list(clicks.map(lambda _: _post(hall, {"text": "山洪", "once": "d" * 32}), range(16)))
    assert len({_code(answer) for answer in answers}) == 1
    assert hall.count(t.inbound) == 1
    hall.file_all()
    assert hall.count(t.report_row) == 1


def test_an_upload_that_takes_too_long_comes_back_with_what_was_typed(quick: World) -> None:
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
