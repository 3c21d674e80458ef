"""Words on their way out: what leads elsewhere, and what hides the half of a text from who approves it."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from store import releases
from store import tables as t
from tests.web.api_world import World
from tests.web.console_browser import enter, rain, words
from web.console import bytes_shown

LEADS = {
    "a foreign short link": ("places_zh", "西山镇，详见 https://bit.ly/3xYz"),
    "a link without its scheme": ("places_zh", "西山镇，详见 t.cn/A6x"),
    "a homoglyph link": ("places_en", "see http://127.0.0.1\u043e.example/alerts"),
    "a Cyrillic letter": ("places_en", "\u0430dmin of Xishan"),
    "a full-width link": ("places_zh", "详见ｂｉｔ．ｌｙ／３ｘ"),
    "a Chinese full stop as a dot": ("places_zh", "详见bit。ly/3x"),
    "our name as a beginning": ("places_zh", "http://127.0.0.1.evil.example/"),
    "our name as a login": ("places_zh", "http://127.0.0.1@evil.example/"),
    "another scheme": ("places_zh", "tocsin://evil/x"),
    "a foreign mailbox": ("places_zh", "写信到 help@evil.example"),
    "a mobile number": ("places_zh", "西山镇，请致电13800138000"),
    "a number with separators": ("places_zh", "西山镇 (0571) 8705-1234"),
    "a foreign number": ("places_en", "Xishan, call +44 20 7946 0000"),
    "a short number that is not ours": ("places_zh", "西山镇，拨打95123"),
    "a hotline that is not in the book": ("hotline", "96000"),
    "a number in full-width digits": ("places_zh", "西山镇１３８００１３８０００"),
    "a zero-width character": ("places_zh", "西\u200b山镇"),
    "a turned direction": ("places_zh", "\u202e镇山西"),
    "a link in the issuer": ("issuer", "示例省气象台 bit.ly/x"),
}


def body_of(hall: World) -> dict[str, Any]:
    found = {t["id"]: t for t in hall.get("officer", "/v1/templates").json()["data"]}
    example = dict(found["heavy_rain"]["example"])
    return example | {"areas": ["990101000000"], "fields": dict(example["fields"])}


@pytest.mark.parametrize("name", list(LEADS))
def test_h105_what_leads_elsewhere_is_refused_at_the_freeze(quick: World, name: str) -> None:
    field, value = LEADS[name]
    body = body_of(quick)
    pointer = f"/{field}" if field == "issuer" else f"/fields/{field}"
    if field == "issuer":
        body["issuer"] = value
    else:
        body["fields"][field] = value
    made = quick.post("officer", "/v1/releases", body)
    assert made.status_code == 201, made.text
    answer = quick.post("officer", f"/v1/releases/{made.json()['id']}/submit")
    assert answer.status_code == 422 and pointer in {e["pointer"] for e in answer.json()["errors"]}
    assert quick.count(t.artefact) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("places_zh", "西山镇，详见 http://127.0.0.1:8000/alerts/"), ("hotline", "12379"),
     ("places_zh", "人口约1200人，水位35.20米"),
     ("places_en", "St. Louis Road, ca. 500 people"), ("places_zh", "G15沈海高速K1203+500处"),
     ("places_zh", "西山镇，请拨打119")],
)  # fmt: skip
def test_h105_our_own_site_public_numbers_and_plain_figures_pass(
    quick: World, field: str, value: str
) -> None:
    body = body_of(quick)
    body["fields"][field] = value
    made = quick.post("officer", "/v1/releases", body)
    assert quick.post("officer", f"/v1/releases/{made.json()['id']}/submit").status_code == 200


@pytest.mark.parametrize("hole", ["\n" * 10_000, " " * 6_000, "\u3000" * 6_000, " \n" * 5_000])
def test_h106_a_hole_is_shown_with_its_count_and_what_follows_it_stays_beside_it(hole: str) -> None:
    shown = bytes_shown.marked(f"甲区有暴雨{hole}请立即转移")
    assert len(shown) < 200 and "请立即转移" in shown
    assert any(f"{sign}×{n}" in shown for sign in "⏎␣" for n in (10_000, 6_000, 5_000))


def test_h106_an_approver_sees_both_halves_with_their_counts(
    quick: World, tmp_path: Path, at: datetime
) -> None:
    """Bytes that no form takes, put where an approver would read them: as if a check had failed to see them."""
    officer, approver = enter(quick, "officer"), enter(quick, "approver")
    path = officer.post("/console/releases", rain()).headers["location"].partition("?")[0]
    assert officer.post(f"{path}/submit").status_code == 303
    release_id = path.rpartition("/")[2]
    text = "【演示】甲区有暴雨" + "\n" * 10_000 + "请向东转移" + " " * 5_000 + "到河边"

    def change(unit):
        unit.connection.exec_driver_sql("DROP TRIGGER artefact_no_update")
        a = t.artefact
        wanted = (a.c.release == release_id) & (a.c.channel == "sms") & (a.c.language == "zh-CN")
        unit.execute(a.update().where(wanted).values(body=text.encode()))

    quick.hub.store.run(change)
    page = approver.get(path).text
    assert "⏎×10000" in page and "␣×5000" in page and "\n" * 100 not in page and " " * 1000 not in page
    assert f"{len(text)} 个字，10001 行" in words(page) and "其中 2 处看不见的字符或大段空白" in words(page)
    assert quick.hub.store.read(lambda unit: releases.get(unit, release_id)) is not None


def test_r37_h106_what_the_approver_reads_is_the_frozen_artefact_of_each_channel_and_language(
    quick: World,
) -> None:
    officer, approver = enter(quick, "officer"), enter(quick, "approver")
    path = officer.post("/console/releases", rain()).headers["location"].partition("?")[0]
    assert officer.post(f"{path}/submit").status_code == 303
    release_id = path.rpartition("/")[2]
    release = quick.hub.store.read(lambda unit: releases.get(unit, release_id))
    assert release
    frozen = quick.hub.store.read(lambda unit: releases.artefacts(unit, release_id, release.digest))
    page = words(approver.get(path).text)
    assert len(frozen) >= 10
    for artefact in frozen:
        text = artefact.body.decode()
        assert f"{len(text)} 个字，{text.count(chr(10)) + 1} 行" in page
        if artefact.channel != "cap_feed":
            assert words(text) in page
        assert artefact.sha256 in page
