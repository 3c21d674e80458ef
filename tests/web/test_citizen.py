"""The citizen's form: whatever people and machines send, a report is kept once, or the page says to call."""

import gzip
import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any
from urllib.parse import quote_from_bytes

import pytest

from store import inbox, reports
from store import tables as t
from templates.offline import PAGE, script_name
from tests.web.api_world import SITE, World
from tests.web.citizen_kit import FORM, code_of, filed, jpeg, post, token_of
from tests.web.console_browser import enter


def test_the_form_opens_with_the_numbers_first_and_sets_nothing(quick: World) -> None:
    answer = quick.client.get("/report")
    assert answer.status_code == 200 and "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    page = answer.text
    assert page.index('href="tel:110"') < page.index('href="tel:120"') < page.index("<form")
    assert re.findall(r"<script[^>]*>[^<]*", page) == [f'<script defer src="/report/{script_name(*PAGE)}">']
    assert " required" not in page  # words or a photo: either is enough
    assert quick.count(t.inbound) == 0


def test_what_was_typed_is_a_report_of_the_queue_and_the_receipt_shows_its_code(hall: World) -> None:
    answer = post(hall, {"text": "桥塌了", "place": "江滨路88号", "lat": "30.2741", "lon": "120.1551",
                          "contact": "138 0013 8000"})  # fmt: skip
    code = code_of(answer)
    page = hall.client.get(answer.headers["location"])
    assert page.status_code == 200 and code in page.text and "noindex" in page.headers["x-robots-tag"]
    assert page.headers["referrer-policy"] == "no-referrer"
    report = filed(hall)
    (notice,) = hall.hub.store.read(lambda unit: unit.rows(t.dispatch.select()))
    text = notice.notice_payload.decode()
    assert text.startswith("【演示】") and f"{SITE}/report/s/{code.replace('-', '')}" in text
    assert (report.code, report.channel, report.content.text) == (code, "web", "桥塌了")
    assert report.handling.value == "internal" and report.organisation == ""
    facts = {name: [(f.value, f.origin) for f in found] for name, found in report.content.facts.items()}
    assert facts == {"sender": [("+8613800138000", "citizen")], "place": [("江滨路88号", "citizen")],
                     "position": [("30.2741,120.1551", "citizen")]}  # fmt: skip


def test_a_photo_is_typed_by_content_its_position_is_read_and_the_original_is_kept(quick: World) -> None:
    photo = jpeg()
    files = [("files", ("../../etc/passwd\u202egpj.exe", photo, "application/x-msdownload"))]
    code = code_of(quick.client.post("/report", data={"text": "山体滑坡"}, files=files))
    report = filed(quick)
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
    code_of(quick.client.post("/report", data={"text": "x"}, files=files))
    report = filed(quick)
    assert [a.media_type for a in report.content.attachments] == ["image/svg+xml", "text/html"]
    for a in report.content.attachments:
        answer = quick.get("officer", f"/v1/reports/{report.id}/attachments/{a.sha256}")
        assert answer.headers["content-disposition"].startswith("attachment")


def test_a_sixth_file_and_files_in_other_fields_are_kept_and_marked(quick: World) -> None:
    files = [("files" if n else "photo", (f"{n}.txt", b"x%d" % n, "text/plain")) for n in range(6)]
    code_of(quick.client.post("/report", data={"text": "x"}, files=files))
    report = filed(quick)
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
    code_of(post(quick, {"text": "x", "lat": lat, "lon": lon}))
    (position,) = filed(quick).content.facts["position"]
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
    code_of(quick.client.post("/report", content=raw, headers=FORM))
    found = filed(quick).content.text
    assert found == text if text is not None else found.startswith("a") or found.startswith("í")
    assert "\x00" not in found and not re.search("[\ud800-\udfff]", found)


def test_a_multipart_form_in_gb18030_is_read(quick: World) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n' + "决口，房子被淹".encode("gb18030")
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    code_of(quick.client.post("/report", content=body + b"\r\n--b--\r\n", headers=headers))
    assert filed(quick).content.text == "决口，房子被淹"


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
    page = post(quick, typed).text
    assert "<img" not in page and page.count("<script") == page.count("<script defer src=") == 1
    assert typed["place"] in unescape(page) and typed["contact"] in unescape(page)


def test_h41_the_same_form_sent_twice_is_one_report_and_one_receipt(hall: World) -> None:
    token = token_of(hall.client.get("/report").text)
    answers = [post(hall, {"text": "着火了", "once": token}) for _ in range(4)]
    hall.clock.forward(hours=30)
    answers.append(post(hall, {"text": "着火了", "once": token}))
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert hall.count(t.inbound) == 1 and len(hall.rings) == 1


def test_a_photo_without_words_is_a_report(quick: World) -> None:
    files = [("files", ("a.jpg", jpeg(), "image/jpeg"))]
    assert "required" not in quick.client.get("/report").text
    code_of(quick.client.post("/report", data={"text": " ", "place": "镇上"}, files=files))
    report = filed(quick)
    assert (report.content.text.strip(), len(report.content.attachments)) == ("", 1)
    assert "no_readable_text" in report.content.findings
    answer = quick.client.post("/v1/citizen/reports", files=[("files", ("b.jpg", jpeg(), "image/jpeg"))])
    assert answer.status_code == 201
    assert quick.client.post("/v1/citizen/reports", json={"place": "镇上"}).status_code == 400
    assert quick.count(t.inbound) == 2


def test_the_same_photos_sent_again_with_another_boundary_are_one_report(quick: World) -> None:
    for _ in range(2):
        files = [("files", ("a.jpg", jpeg(), "image/jpeg"))]
        quick.client.post("/report", data={"text": "x", "once": "a" * 32}, files=files)
    assert quick.count(t.inbound) == 1


def test_a_token_from_a_cached_page_never_swallows_what_somebody_else_writes(quick: World) -> None:
    token = token_of(quick.client.get("/report").text)
    first, second = (
        code_of(post(quick, {"text": words, "once": token})) for words in ("甲家着火", "乙家着火")
    )
    assert first != second and quick.count(t.inbound) == 2


def test_without_a_token_a_reload_is_one_report_and_the_same_words_later_are_another(quick: World) -> None:
    for _ in range(3):
        code_of(post(quick, {"text": "路上有树"}))
    assert quick.count(t.inbound) == 1
    quick.clock.forward(minutes=11)
    code_of(post(quick, {"text": "路上有树"}))
    assert quick.count(t.inbound) == 2


def test_h41_an_idempotency_key_is_honoured_and_a_bad_one_refuses_nobody(quick: World) -> None:
    def send(key: str) -> Any:
        headers = {**FORM, "Idempotency-Key": key}
        return quick.client.post("/report", content=b"text=x", headers=headers)

    codes = {code_of(send("k1")) for _ in range(3)}
    quick.clock.forward(hours=3)
    assert {code_of(send("k1"))} == codes and quick.count(t.inbound) == 1
    code_of(send("k" * 4000))
    assert quick.count(t.inbound) == 2


def test_a_filled_trap_is_answered_as_if_taken_and_waits_on_the_shelf(quick: World) -> None:
    answer = post(quick, {"text": "buy pills", "subject": "hello"})
    code = code_of(answer)
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
    post(quick, {"text": "桥塌了，快来", "subject": "filled in by a browser"})
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


def test_every_page_carries_the_mark_of_the_demo(quick: World) -> None:
    answer = post(quick, {"text": "x"})
    for path in ("/report", "/report/state", answer.headers["location"]):
        assert "【演示】" in quick.client.get(path, headers={"Accept-Language": "zh"}).text


def test_no_page_weighs_more_than_10_kb(quick: World) -> None:
    location = post(quick, {"text": "x"}).headers["location"]
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
    report = filed(hall)
    assert (report.content.text, report.content.first("position")) == ("河堤渗水", "30.27,120.15")
    again = hall.client.post("/v1/citizen/reports", json=body)
    assert (again.json(), again.headers["idempotent-replayed"]) == (made, "true")


def test_programs_send_files_and_hear_what_does_not_fit(quick: World) -> None:
    files = [("files", (f"{n}.jpg", jpeg(), "image/jpeg")) for n in range(5)]
    ok = quick.client.post("/v1/citizen/reports", data={"text": "x", "lat": "30°"}, files=files)
    assert ok.status_code == 201
    report = filed(quick)
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


def test_the_contact_is_kept_as_written_and_only_a_real_address_is_the_sender(quick: World) -> None:
    given = ["a@b.cn\r\nBcc: x@y.cn", "13800138000 或 13900139000", "微信 abc", "'; drop table", "x" * 5000]
    for contact in given:
        code_of(post(quick, {"text": contact[:20], "contact": contact}))
    rows = quick.hub.store.read(lambda unit: unit.rows(t.inbound.select()))
    loaded = [
        quick.hub.store.read(lambda unit, i=row.id: inbox.load(unit, i, quick.hub.blobs.get)) for row in rows
    ]
    assert sorted(one.inbound.sender for one in loaded) == ["", "", "", "+8613800138000", "a@b.cn"]
    quick.file_all()
    (mail,) = [one for one in loaded if one.inbound.sender == "a@b.cn"]
    report = quick.hub.store.read(lambda unit: reports.get(unit, mail.report_id))
    assert report.content.first("sender") == "a@b.cn Bcc: x@y.cn"


def test_h41_a_double_click_side_by_side_is_one_report_with_one_code(hall: World) -> None:
    with ThreadPoolExecutor(8) as clicks:
        answers = list(clicks.map(lambda _: post(hall, {"text": "山洪", "once": "d" * 32}), range(16)))
    assert len({code_of(answer) for answer in answers}) == 1
    assert hall.count(t.inbound) == 1
    hall.file_all()
    assert hall.count(t.report_row) == 1
