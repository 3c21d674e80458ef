"""What strangers write into the form: floods from everywhere, and letters that are not what they seem."""

import unicodedata
from collections import Counter
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from domain.skeleton import skeleton
from store import inbox
from store import tables as t
from tests.web.api_world import World, served, world
from tests.web.citizen_kit import FORM, code_of, filed, post
from tests.web.console_browser import enter
from web.flood import Flood, network_of


def test_h40_a_flood_from_a_network_is_kept_answered_and_waits_on_the_shelf(
    sqlite_model: Path, tmp_path: Path, at: datetime
) -> None:
    """Two hundred addresses of one /24 through our proxy: none is refused, none is lost, the queue is spared."""
    with world(tmp_path / "data", at, model=sqlite_model, trusted_proxies="testclient") as made:
        codes = set()
        for n in range(200):
            headers = {**FORM, "X-Forwarded-For": f"203.0.113.{n}"}
            answer = made.client.post(
                "/report", content=urlencode({"text": f"第{n}次"}).encode(), headers=headers
            )
            codes.add(code_of(answer))
        elsewhere = made.client.post("/report", content=urlencode({"text": "桥塌了"}).encode(),
                                     headers={**FORM, "X-Forwarded-For": "198.51.100.7"})  # fmt: skip
        assert len(codes) == 200 and made.count(t.inbound) == 201
        made.file_all()
        made.file_all()  # a look finds 200 rows that are due
        assert made.count(t.report_row) == 121  # a bucket of 120, and who writes from elsewhere
        shelved = made.get("officer", "/v1/shelf").json()["data"]
        assert Counter(row["reason"] for row in shelved)["bulk"] == len(shelved) > 0
        assert code_of(elsewhere) in {
            f"{row.code[:4]}-{row.code[4:]}" if "-" not in row.code else row.code
            for row in made.hub.store.read(lambda unit: unit.rows(t.report_row.select()))
        }
        officer = enter(made, "officer")
        assert "短时间内大量涌入，待人工抽查" in officer.get("/console/shelf").text
        officer.follow(f"/console/shelf/{shelved[0]['id']}/take_up")
        made.file_all()
        assert made.count(t.report_row) == 122


def test_h40_ten_thousand_addresses_and_one_number_have_their_measure_too(at: datetime) -> None:
    flood = Flood()
    waits = sum(flood.is_bulk(f"10.{n >> 8 & 255}.{n & 255}.9", "", at) for n in range(10_000))
    assert waits == 7_000  # 3,000 a minute go to the queue, whoever sends them
    flood = Flood()
    assert sum(flood.is_bulk(f"10.0.{n}.9", "+8613800138000", at) for n in range(50)) == 40
    assert all(flood.has_room(f"10.1.{n}.9", at) for n in range(50))
    assert network_of("203.0.113.77") == "203.0.113.0/24"
    assert network_of("2001:db8:1:2::/64") == "2001:db8:1::/48"
    assert network_of("unix") == "unix"


ODD = {
    "bidi": ("\u202e开山\u2066西\u2069", "开山西"),
    "NUL and noncharacters": ("水\x00\ufffe\uffff深", "水\ufffd\ufffd\ufffd深"),
    "decomposed": ("cafe\u0301", "café"),
    "Zalgo": ("a" + "\u0335" * 10_000 + "b", "a" + "\u0335" * 8 + "b"),
    "one letter of eighteen": ("\ufdfa", "\ufdfa"),
    "a Cyrillic name": ("\u0430dmin说桥塌了", "\u0430dmin说桥塌了"),
}


@pytest.mark.parametrize("name", list(ODD))
def test_h43_odd_letters_are_normalised_marked_and_kept_as_they_came(quick: World, name: str) -> None:
    sent, wanted = ODD[name]
    answer = post(quick, {"text": sent, "place": sent[:50]})
    code_of(answer)
    report = filed(quick)
    assert report.content.text == wanted
    assert unicodedata.is_normalized("NFC", report.content.text)
    (kept,) = quick.hub.store.read(lambda unit: unit.rows(t.inbound.select()))
    raw = quick.hub.store.read(lambda unit: inbox.load(unit, kept.id, quick.hub.blobs.get)).inbound.raw
    assert raw == urlencode({"text": sent, "place": sent[:50]}).encode()
    page = enter(quick, "officer").get(f"/console/reports/{report.id}").text
    assert wanted in page and not any(c in page for c in "\u202e\u2066\x00\ufffe")
    assert f"<bdi>{wanted[:10]}" in page or 'dir="auto"' in page


def test_h43_a_lone_surrogate_and_broken_utf8_are_marked_and_kept(quick: World) -> None:
    with served(quick.hub) as port:
        for raw in (b"text=%ED%A0%80%E6%B0%B4", b"text=%C0%AF%E6%B0%B4", b"text=%FF%E6%B0%B4"):
            answer = httpx.post(f"http://127.0.0.1:{port}/report", content=raw, headers=FORM)
            assert answer.status_code == 303
    quick.file_all()
    rows = quick.hub.store.read(lambda unit: unit.rows(t.inbound.select()))
    kept = {
        quick.hub.store.read(lambda unit, i=row.id: inbox.load(unit, i, quick.hub.blobs.get)).inbound.raw
        for row in rows
    }
    assert len(kept) == 3 == quick.count(t.report_row)


def test_h43_look_alikes_are_found_by_what_they_look_like(quick: World) -> None:
    post(quick, {"text": "\u0430dmin\u200b说 ＸＩＳＨＡＮ 大桥塌了"})
    report = filed(quick)
    officer = enter(quick, "officer")
    for asked in ("admin", "ADMIN", "\u0430dmin", "xishan", "Ｘishan", "大桥"):
        answer = officer.get(f"/console/find?{urlencode({'q': asked})}")
        assert report.id in answer.text + answer.headers.get("location", ""), asked
    assert skeleton("a" + "\u0335" * 10_000) == "a" and skeleton(skeleton("Ёлка")) == skeleton("Ёлка")
