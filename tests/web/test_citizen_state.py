"""How far a report is: the secret link opens it, the right digits open it, and guesses learn nothing."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import event

from domain.errors import Unavailable
from domain.report import MOVES, PROGRESS, Arrival, State
from intake import secret_link
from store import inbox
from store import tables as t
from tests.web.api_world import SMS_URL, World, signed, sms_form
from tests.web.console_browser import words
from web import citizen_thread

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _send(hall: World, **fields: str) -> str:
    """A report; its code."""
    answer = hall.client.post("/v1/citizen/reports", json={"text": "桥塌了", **fields})
    assert answer.status_code == 201
    return str(answer.json()["code"])


def _ask(hall: World, code: str, phone: str, **headers: str) -> Any:
    body = urlencode({"code": code, "phone": phone}).encode()
    return hall.client.post("/report/state", content=body, headers={**FORM, **headers})


def _link(hall: World, code: str) -> str:
    return f"/report/s/{secret_link.token(hall.hub.keys.receipt, code)}"


def _said(hall: World, code: str) -> str:
    """The word that the page shows large."""
    found = re.search(r'<p class="code"><strong>(.*?)</strong>', hall.client.get(_link(hall, code)).text)
    assert found
    return found[1]


def test_the_word_follows_the_duty_room(hall: World) -> None:
    code = _send(hall, contact="13800138000")
    assert _said(hall, code) == "已收到"
    hall.file_all()
    assert _said(hall, code) == "已收到"
    report = hall.get("officer", "/v1/reports").json()["data"][0]["id"]
    hall.clock.forward(minutes=7)
    assert hall.post("officer", f"/v1/reports/{report}/claim", {}).status_code == 200
    assert _said(hall, code) == "已受理"
    page = hall.client.get(_link(hall, code)).text
    assert "2026年11月23日 14:05" in page and "2026年11月23日 14:12" in page
    answer = hall.post("officer", f"/v1/reports/{report}/close", {"reason": "误报，张三核实"})
    assert answer.status_code == 200, answer.text
    assert _said(hall, code) == "已处理"
    page = words(hall.client.get(_link(hall, code)).text)
    for secret in ("桥塌了", "13800138000", "8000", "人officer", "张三", "误报", report):
        assert secret not in page


def test_a_merged_report_stands_where_the_other_stands(quick: World) -> None:
    first, second = _send(quick), _send(quick, place="那边")
    quick.file_all()
    ids = {r["code"]: r["id"] for r in quick.get("officer", "/v1/reports").json()["data"]}

    def put(code: str, state: State, into: str | None = None) -> None:
        row = t.report_row
        values = {"state": state.value, "merged_into": into}
        quick.hub.store.run(
            lambda unit: unit.execute(row.update().where(row.c.code == code).values(**values))
        )

    put(second, State.CLAIMED)
    put(second, State.MERGED, ids[first])
    assert _said(quick, second) == "已收到"
    for state, said in ((State.CLAIMED, "已受理"), (State.CLOSED, "已处理")):
        put(first, state)
        assert _said(quick, second) == said


def test_every_state_has_a_word() -> None:
    assert set(PROGRESS) == set(State) and {after for after in MOVES.table.values()} <= set(PROGRESS)


def test_code_and_last_four_digits_lead_to_the_secret_link(hall: World) -> None:
    code = _send(hall, contact="138-0013-8000")
    made = hall.client.get(f"/v1/citizen/reports/{code}", params={"phone": "8000"}).json()
    for typed in (code, code.lower(), code.replace("-", " "), f" {made['code']} "):
        answer = _ask(hall, typed, "8000")
        assert answer.status_code == 303 and answer.headers["location"].startswith(_link(hall, code))
    hall.file_all()
    assert _ask(hall, code, "8000").status_code == 303


def test_the_digits_of_the_code_open_it_too(quick: World) -> None:
    answer = quick.client.post("/v1/citizen/reports", json={"text": "x", "contact": "057188001234"}).json()
    assert _ask(quick, answer["digits"], "1234").headers["location"].startswith(_link(quick, answer["code"]))


def test_reports_by_sms_and_by_telephone_open_with_the_callers_digits(quick: World) -> None:
    quick.client.post("/hooks/sms/twilio", **signed(SMS_URL, sms_form()))
    slip = {"caller": "0571-88001234转802", "text": "冒烟"}
    assert quick.post("officer", "/v1/calls", slip).status_code == 201
    rows = quick.hub.store.read(lambda unit: unit.rows(t.inbound.select()))
    codes = {row.channel: row.code for row in rows}
    assert _ask(quick, codes["sms"], "8000").status_code == 303
    assert _ask(quick, codes["phone"], "1234").status_code == 303
    assert _ask(quick, codes["phone"], "0802").status_code == 404


def test_h42_a_wrong_guess_and_an_unknown_code_have_the_same_answer(quick: World) -> None:
    code, without = _send(quick, contact="13800138000"), _send(quick, contact="a1234@b.cn")
    pages = set()
    for typed, phone in ((code, "9999"), ("2222-2222", "9999"), (without, "1234"), (code, ""), (without, "")):
        answer = _ask(quick, typed, phone)
        assert answer.status_code == 404 and answer.headers["x-robots-tag"].startswith("noindex")
        pages.add(answer.text.replace(typed, ""))
    assert len(pages) == 1
    problems = {
        quick.client.get(f"/v1/citizen/reports/{typed}", params={"phone": "9999"}).json()["code"]
        for typed in (without, "2222-2222", "nonsense", "000000000000")
    }
    assert problems == {"not_found"}


def test_the_work_for_an_unknown_code_is_that_for_a_known_one(quick: World) -> None:
    code = _send(quick, contact="13800138000")

    def steps(code: str) -> list[str]:
        """The statements that the database is asked."""
        asked: list[str] = []

        def work(unit: Any) -> str:
            event.listen(unit.connection, "before_cursor_execute", lambda *given: asked.append(given[2]))
            return inbox.sender_of(unit, code)

        quick.hub.store.read(work)
        return asked

    assert steps(code) == steps("2222-2222") and len(steps(code)) == 2


def test_h42_five_wrong_guesses_about_a_code_close_it_for_an_hour_but_not_its_link(quick: World) -> None:
    code = _send(quick, contact="13800138000")
    for n in range(5):
        assert _ask(quick, code, f"{n:04d}").status_code == 404
    answer = _ask(quick, code, "8000")
    assert answer.status_code == 429 and "一小时" in answer.text and "retry-after" not in answer.text
    assert quick.client.get(f"/v1/citizen/reports/{code}", params={"phone": "8000"}).status_code == 429
    assert quick.client.get(_link(quick, code)).status_code == 200
    other = _send(quick, contact="13800138000", place="x")
    assert _ask(quick, other, "8000").status_code == 303
    quick.clock.forward(minutes=61)
    assert _ask(quick, code, "8000").status_code == 303


def test_an_address_that_tries_many_codes_is_closed_for_an_hour(quick: World) -> None:
    code = _send(quick, contact="13800138000")
    statuses = [
        _ask(quick, f"2222-{n:04d}".replace("0", "2").replace("1", "3"), "8000").status_code
        for n in range(21)
    ]
    assert statuses[:20].count(404) == 20 and statuses[20] == 429
    assert _ask(quick, code, "8000").status_code == 429


@pytest.mark.parametrize(
    "token",
    ["", "x", "4F7K92PX", "4F7K92PX" + "A" * 22, "4F7K92PX" + "A" * 23, "é" * 30, "4F7K92PX" + "." * 22],
)
def test_a_forged_link_opens_nothing(quick: World, token: str) -> None:
    _send(quick)
    for kind in ("s", "r"):
        answer = quick.client.get(f"/report/{kind}/{token}")
        assert answer.status_code == 404
        assert "4F7K-92PX" not in answer.text


def test_every_letter_of_the_secret_counts(quick: World) -> None:
    code = _send(quick)
    link = _link(quick, code)
    assert quick.client.get(link).status_code == 200
    start = len("/report/s/")
    for n in range(start, len(link)):
        changed = link[:n] + ("A" if link[n] != "A" else "B") + link[n + 1 :]
        assert quick.client.get(changed).status_code == 404, n


def test_a_code_of_another_report_does_not_open_with_this_key(quick: World) -> None:
    first, second = _send(quick), _send(quick, place="x")
    key = secret_link.token(quick.hub.keys.receipt, first)
    assert quick.client.get(f"/v1/citizen/reports/{first}", params={"key": key}).status_code == 200
    assert quick.client.get(f"/v1/citizen/reports/{second}", params={"key": key}).status_code == 404
    assert quick.client.get(f"/v1/citizen/reports/{first}").status_code == 400


def test_odd_bodies_are_answered_as_wrong_guesses(quick: World) -> None:
    _send(quick)
    for body, status in ((b"", 404), (b"code=%ff&phone=%fe", 404), (b"\xff\xfe", 404), (b"x" * 5000, 413),
                         ("&".join(f"a{n}" for n in range(100)).encode(), 404)):  # fmt: skip
        assert quick.client.post("/report/state", content=body, headers=FORM).status_code == status
    odd = {"code": "２２２２－２２２２", "phone": "１２３４"}
    assert (
        quick.client.post("/report/state", content=urlencode(odd).encode(), headers=FORM).status_code == 404
    )


def test_a_message_on_the_shelf_and_a_settled_stop_have_words_too(quick: World) -> None:
    answer = quick.client.post("/report", content=b"text=x&subject=y", headers=FORM)
    token = answer.headers["location"].split("/")[-1].partition("?")[0]
    quick.file_all()
    code = secret_link.code_in(quick.hub.keys.receipt, token)
    assert _said(quick, code) == "已收到"
    quick.client.post("/hooks/sms/twilio", **signed(SMS_URL, sms_form(body="STOP")))
    rows = quick.hub.store.read(lambda unit: unit.rows(t.inbound.select()))
    (stop,) = [row for row in rows if row.channel == "sms"]
    assert stop.state == Arrival.FILED.value and _said(quick, stop.code) == "已处理"


def test_the_page_is_not_kept_nor_listed(quick: World) -> None:
    answer = quick.client.get(_link(quick, _send(quick)))
    assert (
        answer.headers["cache-control"] == "no-store" and answer.headers["referrer-policy"] == "no-referrer"
    )
    assert (
        "noindex" in answer.headers["x-robots-tag"]
        and '<meta name="robots" content="noindex">' in answer.text
    )
    assert "set-cookie" not in answer.headers and json.dumps(dict(answer.headers)).count("8000") == 0


def _written_to(hall: World) -> tuple[str, str]:
    """A report that an officer has asked something about: its code and its id."""
    code = _send(hall)
    hall.file_all()
    report = hall.get("officer", "/v1/reports").json()["data"][0]["id"]
    asked = hall.post("officer", f"/v1/reports/{report}/messages", {"text": "几个人？"})
    assert asked.status_code < 300, asked.text
    assert "几个人" in hall.client.get(_link(hall, code)).text
    return code, report


def test_a_destroyed_report_still_has_a_plain_page(quick: World) -> None:
    code, report = _written_to(quick)
    quick.hub.store.run(lambda unit: unit.vault.destroy(unit.connection, report, quick.clock()))
    page = quick.client.get(_link(quick, code))
    assert (page.status_code, "几个人" in page.text) == (200, False)
    assert _said(quick, code) == "已收到"
    told = quick.client.get(f"/v1/citizen/reports/{code}", headers={"Accept": "application/json"})
    assert told.status_code < 500


def test_an_answer_that_is_kept_is_never_answered_with_no(quick: World, monkeypatch: Any) -> None:
    code, _ = _written_to(quick)

    async def gone(*_: object) -> None:
        raise Unavailable("the database went away just now")

    monkeypatch.setattr(citizen_thread, "read", gone)  # the moment behind the COMMIT is nobody's argument
    before = quick.count(t.inbound)
    answer = quick.client.post(
        _link(quick, code), content=urlencode({"text": "三个人"}), headers=FORM, follow_redirects=False
    )
    assert (answer.status_code, quick.count(t.inbound)) == (303, before + 1)
    assert quick.client.get(_link(quick, code)).status_code == 503
