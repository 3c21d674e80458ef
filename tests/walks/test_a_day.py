"""A day in the life of a duty room: a call that broke off, an SMS with the name misspelt, a department's attachment."""

import base64
import secrets
import smtplib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from hub.wiring import build
from store import areas, people
from store.unit import Unit
from tests.documents_kit import docx
from tests.walks.houses import House, house, post, ready, until
from tests.web.console_browser import words

CHINA = ZoneInfo("Asia/Shanghai")
COUNTY = "990109"
OFFICE = "应急办 <yjb@slx.example>"


def _now(home: House) -> datetime:
    clock = home.settings.clock_file
    assert clock is not None
    return datetime.now(UTC) + timedelta(seconds=float(clock.read_text()))


def _until(home: House, hour: int, minute: int) -> None:
    """Let the clocks of the house show that time of this night, in China; on a machine that was too slow it is past."""
    wanted = _now(home).astimezone(CHINA).replace(hour=hour, minute=minute, second=0, microsecond=0)
    home.step(max(0.0, (wanted - _now(home)).total_seconds()))


def _settle(home: House) -> None:
    county = {
        "code": COUNTY,
        "name_zh": "示例县",
        "name_en": "Shili County",
        "parent": "990100",
        "lon": 113.4,
        "lat": 30.4,
    }
    hub = build(home.settings)
    hub.store.run(lambda unit: areas.put(unit, [county]))
    hub.close()
    marks = home.settings.data_dir / "landmarks.csv"
    marks.write_text(
        f"name,aliases,area,lat,lon,source\n大坪村,,{COUNTY},30.41,113.42,示例县地名志\n", encoding="utf-8"
    )
    made = home.tocsin("landmarks", "load", str(marks))
    assert made.returncode == 0, made.stdout + made.stderr
    night = (_now(home).astimezone(CHINA) + timedelta(days=1)).replace(
        hour=2, minute=13, second=30, microsecond=0
    )
    home.step((night - _now(home)).total_seconds())


def _call(home: House) -> None:
    """A call at the voice door: a key for a report, nothing keyed for the place, 40 s of speech, and the line is dead."""
    script = ["press:1", "wait", "speak_and_go:40:示例县大坪村三组滑坡"]
    said = post(f"{home.provider.url}/sim/call", {"from": "+8613800138001", "script": script})
    assert said["is_over"] and {answer["status"] for answer in said["posts"]} <= {200, 204}


def _mail(
    home: House, subject: str, *, body: str = "详见附件。", document: bytes = b"", answers: str = ""
) -> str:
    """A mail of a department as its client sends it: everything in GB18030, the name of the file too; its Message-ID."""
    letter = MIMEMultipart()
    name = f"<{subject.encode().hex()[:24]}@slx.example>"
    letter["From"], letter["To"], letter["Message-ID"] = (
        "=?gb18030?B?06a8sbDs?= <yjb@slx.example>",
        "report@tocsin.example",
        name,
    )
    letter["Subject"] = _word(subject)
    if answers:
        letter["In-Reply-To"] = letter["References"] = answers
    text = MIMEText("", "plain")
    text.set_payload(body.encode("gb18030"))
    text.replace_header("Content-Type", 'text/plain; charset="gb18030"')
    text.replace_header("Content-Transfer-Encoding", "8bit")
    letter.attach(text)
    if document:
        part = MIMEApplication(document, "vnd.openxmlformats-officedocument.wordprocessingml.document")
        part["Content-Disposition"] = f'attachment; filename="{_word("情况报告.docx")}"'
        letter.attach(part)
    with smtplib.SMTP(home.settings.smtp_host, home.settings.smtp_port, timeout=20) as door:
        door.sendmail("yjb@slx.example", ["report@tocsin.example"], letter.as_bytes(policy=SMTP))
    return name


def _word(text: str) -> str:
    return f"=?gb18030?B?{base64.b64encode(text.encode('gb18030')).decode()}?="


def _studied(home: House, wanted: Any, what: str) -> dict[str, Any]:
    """The newest report of which `wanted` holds, read again until it does; as the API shows it."""
    found: list[dict[str, Any]] = []

    def claim() -> bool:
        rows = home.api("GET", "/v1/reports?limit=3")["data"]
        each = (home.api("GET", f"/v1/reports/{row['id']}") for row in rows)
        found[:] = [one for one in each if one.get("found", {}).get("is_studied") and wanted(one)]
        return bool(found)

    until(claim, what)
    return found[0]


def _people(report: dict[str, Any]) -> Any:
    kept = report["found"]["triage"]
    return kept and kept["people"]


def _page(home: House, path: str) -> str:
    """A page of the console, as the officer sees it in a browser."""
    hub, token = build(home.settings), secrets.token_urlsafe(32)
    hub.store.run(
        lambda unit: people.add_link(unit, token, _officer(unit), _now(home) + timedelta(minutes=5))
    )
    hub.close()
    ours = {"Origin": home.url, "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=home.url, headers=ours, follow_redirects=True) as browser:
        browser.post(f"/login/{token}")
        answer = browser.get(path)
    assert answer.status_code == 200, words(answer.text)
    return unescape(answer.text)


def _officer(unit: Unit) -> str:
    found = people.by_login(unit, "officer")
    assert found is not None
    return found[0].id


def _clocks(home: House, report: str) -> list[dict[str, Any]]:
    return home.api("GET", f"/v1/reports/{report}/clocks")["data"]


def test_a_call_that_broke_off_an_sms_and_an_attachment_are_one_landslide(night: House) -> None:
    call = _heard_by_telephone(night)
    sms = _texted(night)
    one = _first_two(night, call["id"], sms["id"])
    mail = _mailed(night)
    (likely,) = night.api("GET", f"/v1/reports/{mail['id']}/related")["candidates"]
    assert likely["incident"] == one
    night.api("POST", f"/v1/incidents/{one}/attach", {"report": mail["id"]})
    assert night.api("GET", f"/v1/reports/{mail['id']}/related")["candidates"] == []
    told = night.api("GET", f"/v1/incidents/{one}")
    assert {row["report"] for row in told["reports"]} == {r["id"] for r in (call, sms, mail)}
    assert (told["corroboration"]["senders"], told["corroboration"]["channels"]) == (3, 3)
    for report in (call, sms, mail):
        _due_from_receipt(night, report)
    _drafted(night, mail["id"])
    _three_dead(night, one, mail["id"], (call["id"], sms["id"], mail["id"]))
    _late(night, call["id"])


def _heard_by_telephone(home: House) -> dict[str, Any]:
    _until(home, 2, 14)
    _call(home)
    call = _studied(home, lambda r: r["channel"] == "voice" and "滑坡" in r["text"], "the call")
    assert (call["text"], call["facts"]["recording"][0]["value"]) == ("示例县大坪村三组滑坡", "0:40")
    assert _where_and_what(call) == ("大坪村", f"{COUNTY}000000", "11D01")
    return call


def _texted(home: House) -> dict[str, Any]:
    _until(home, 2, 16)
    home.provider.text("+8613900139002", "大平村山塌了埋了2家")
    sms = _studied(home, lambda r: r["channel"] == "sms" and "大平村" in r["text"], "the SMS")
    assert _where_and_what(sms) == ("大坪村", f"{COUNTY}000000", "11D01")
    return sms


def _mailed(home: House) -> dict[str, Any]:
    _until(home, 2, 19)
    words = "今日2时10分许，示例县大坪村三组发生山体滑坡，两户房屋被埋，造成2人死亡，现场正在搜救。"
    _mail(home, "情况报告", document=docx("关于大坪村三组山体滑坡的情况报告", words))
    mail = _studied(home, lambda r: r["channel"] == "email" and _people(r), "the mail with its document read")
    assert (mail["text"].strip(), mail["attachments"][0]["name"]) == ("详见附件。", "情况报告.docx")
    assert (_people(mail), mail["found"]["triage"]["suggested_grade"]) == ({"dead": {"low": 2, "high": 2}}, 4)
    assert _where_and_what(mail) == ("大坪村", f"{COUNTY}000000", "11D01")
    return mail


def _where_and_what(report: dict[str, Any]) -> tuple[str, str, str]:
    found = report["found"]
    return found["places"][0]["name"], found["found_area"], found["triage"]["event_code"]


def _first_two(home: House, call: str, sms: str) -> str:
    """The call is the one candidate of the SMS, and an officer joins them; the incident."""
    (likely,) = home.api("GET", f"/v1/reports/{sms}/related")["candidates"]
    assert likely["report"] == call
    one = str(home.api("POST", "/v1/incidents", {"report": call})["id"])
    home.api("POST", f"/v1/incidents/{one}/attach", {"report": sms})
    return one


def _due_from_receipt(home: House, report: dict[str, Any]) -> None:
    running = {
        clock["duty"]: clock for clock in reversed(_clocks(home, report["id"]))
    }  # the first due of each
    assert {"phone", "written"} <= running.keys()
    for duty, minutes in (("phone", 20), ("written", 40)):  # of the example rule of a county
        assert (running[duty]["starts_from"], running[duty]["state"]) == ("receipt", "running")
        assert running[duty]["starts_at"] == report["received_at"]
        due = datetime.fromisoformat(report["received_at"]) + timedelta(minutes=minutes)
        assert datetime.fromisoformat(running[duty]["due_at"]) == due


def _drafted(home: House, mail: str) -> None:
    """The report upwards begins with place, type, casualties and progress, and with what nobody knows yet."""
    found = home.api("GET", f"/v1/reports/{mail}")["found"]
    asked = {q["element"] for q in found["questions"] if q["answered_at"] is None}
    assert asked == set(found["triage"]["missing"]) == {"trend"}
    form = _page(home, f"/console/briefs/new?report={mail}&kind=first")
    assert "示例县大坪村三组发生滑坡事件，致2人死亡、2户被困被埋，正在搜救" in form
    assert "待核实：发展趋势。" in form and "示例县大坪村三组发生山体滑坡，两户房屋被埋" in form


def _three_dead(home: House, one: str, mail: str, heard: Sequence[str]) -> None:
    """02:31: a third one is dead. The grade that is suggested is the higher one, and nobody has a minute more."""
    before = {report: _clocks(home, report) for report in heard}
    _until(home, 2, 31)
    answers = home.api("GET", f"/v1/reports/{mail}")["facts"]["message_id"][0]["value"]
    _mail(home, "续报", body="示例县应急办续报：大坪村三组滑坡已造成3人死亡。", answers=answers)
    more = _studied(home, lambda r: "续报" in r["text"], "the further report")
    assert (_people(more)["dead"]["low"], more["found"]["triage"]["suggested_grade"]) == (3, 3)  # 较大
    related = home.api("GET", f"/v1/reports/{more['id']}/related")
    assert [(t["follows"], t["sign"], t["state"]) for t in related["threads"]] == [(mail, "mail", "proposed")]
    (likely,) = related["candidates"]
    assert likely["incident"] == one
    home.api("POST", f"/v1/incidents/{one}/attach", {"report": more["id"]})
    home.api("POST", f"/v1/reports/{more['id']}/link", {"follows": mail})
    for report, clocks in before.items():
        now = {clock["id"]: clock["due_at"] for clock in _clocks(home, report)}
        assert all(now[clock["id"]] == clock["due_at"] for clock in clocks)
    earliest = min(clock["due_at"] for clock in before[mail] if clock["duty"] == "phone")
    assert earliest < min(clock["due_at"] for clock in _clocks(home, more["id"]))


def _late(home: House, call: str) -> None:
    """02:35: the telephone was due at 02:34. Who enters now that he called at 02:30 has called late all the same."""
    _until(home, 2, 35)
    at_half_past = (
        _now(home).astimezone(CHINA).replace(hour=2, minute=30, second=0, microsecond=0).isoformat()
    )
    entry = {"whom": "示例市总值班室", "who": "王五", "said_at": at_half_past}
    assert home.api("POST", f"/v1/reports/{call}/clock-call", entry)["stopped"] == 1
    (phone,) = [clock for clock in _clocks(home, call) if clock["duty"] == "phone"]
    assert (phone["state"], phone["is_late"], phone["stop"]["who"]) == ("stopped", True, "王五")


@pytest.fixture
def night(tmp_path) -> Iterator[House]:
    clock = tmp_path / "clock"
    clock.write_text("0")
    with house(tmp_path / "data", clock_file=clock) as made:
        _settle(made)
        made.start("all", "up")
        ready(made)
        yield made
