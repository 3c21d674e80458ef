"""/field without a script: tasks, what is sent for them, and nothing of the desk for whoever is out there."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import NotAllowed, NotFound
from domain.person import Person, Role, Scope
from domain.report import Report, State
from domain.secrecy import NOBODY, Compartment, Eyes, eyes_of
from domain.task import Task, TaskState
from duty import reports as report_duty
from duty import tasks as duty
from store import compartments, journal, people, reports, tasks
from store import tables as t
from tests.web.api_world import World, token
from tests.web.citizen_kit import jpeg
from tests.web.console_browser import OURS, Browser, add_person, call, enter, link_for, stranger, words

SCRIPT = {"Accept": "application/json", "Sec-Fetch-Site": "same-origin"}


def out(hall: World, login: str) -> Browser:
    """The telephone of somebody in the field, who has just logged in on it."""
    add_person(hall, login, Role.FIELD)
    phone = stranger(hall)
    phone.post(link_for(hall, login))
    phone.get("/field")
    return phone


def given(hall: World, report: str, login: str = "zhao", what: str = "到现场拍照核实", **more: Any) -> Task:
    def work(unit: Any) -> Task:
        by = people.get(unit, "per_officer")
        told = {"where": "大坪村三组", "due_at": hall.clock() + timedelta(hours=2), **more}
        return duty.give(unit, report, by=by, at=hall.clock(), person=f"per_{login}", what=what, **told)

    return hall.hub.store.run(work)


def send(
    phone: Browser, to: str = "", text: str = "", *, photos: int = 0, key: str = "", **fields: str
) -> Any:
    """One item as the page's script posts it."""
    csrf = phone.client.get("/field/me").json().get("csrf", "")
    files = [("files", (f"{n}.jpg", jpeg(), "image/jpeg")) for n in range(photos)]
    data = {"to": to, **({"text": text} if text else {}), **fields}
    headers = {**SCRIPT, "X-CSRF-Token": csrf, **({"Idempotency-Key": key} if key else {})}
    # without a file the client would send no multipart
    return phone.client.post(
        "/field", data=data, files=files or [("files", ("", b"", "image/jpeg"))], headers=headers
    )


def report_of(hall: World, name: str) -> Report:
    hall.file_all()
    found = hall.hub.store.read(lambda unit: reports.get(unit, name))
    assert found
    return found


def task_of(hall: World, task: Task) -> Task:
    found = hall.hub.store.read(lambda unit: tasks.get(unit, task.id))
    assert found
    return found


def test_a_task_goes_out_from_a_report_and_its_photos_come_back_as_follow_ups_of_it(hall: World) -> None:
    report = call(hall, text="大坪村三组滑坡", place="大坪村")
    phone, desk = out(hall, "zhao"), enter(hall, "officer")
    desk.get(f"/console/reports/{report}")
    fields = {
        "person": "per_zhao",
        "what": "到现场拍照核实",
        "where": "大坪村三组",
        "due_at": "2099-11-23T20:00",
        "report": report,
    }
    page = desk.follow(f"/console/reports/{report}/tasks", fields)
    assert "任务已派出" in words(page.text) and "人zhao" in words(page.text)
    shown = phone.get("/field").text
    (name,) = set(re.findall(r"tsk_\w{26}", shown))
    assert "到现场拍照核实" in words(shown) and "大坪村三组" in words(shown)

    first = send(
        phone,
        name,
        photos=1,
        lat="30.2741",
        lon="120.1551",
        accuracy="12",
        written_at="2026-11-23T08:00:00+08:00",
    )
    assert first.status_code == 201 and hall.count(t.report_row) == 1
    said = report_of(hall, report)
    assert first.json()["code"] == said.code and said.code in words(
        phone.get("/field").text.partition('id="mine"')[2]
    )
    assert len(said.content.attachments) == 1 and said.content.text == "大坪村三组滑坡"
    fact = next(f for f in said.content.facts["position"] if f.origin == "field")
    assert (fact.value, fact.note) == ("30.2741,120.1551", "±12 m")
    assert said.content.facts["written"][0].value == "2026-11-23T00:00:00+00:00"
    assert "人zhao" in [f.value for f in said.content.facts["sender"]]

    for act in ("set_out", "arrive", "finish_task"):
        csrf = phone.client.get("/field/me").json()["csrf"]
        answer = phone.client.post(
            f"/field/tasks/{name}/{act}",
            data={"said_at": hall.clock().isoformat()},
            headers={**SCRIPT, "X-CSRF-Token": csrf},
        )
        assert answer.status_code == 201, answer.text
    page = words(desk.get(f"/console/reports/{report}").text)
    assert "现场人员 · 现场上报" in page  # his photo, among what is said to and fro
    assert all(step in page for step in ("派出现场任务", "现场人员到达", "现场任务完成", "上报 1 件", "自述"))
    acts = [row.act for row in hall.hub.store.read(lambda unit: journal.entries(unit, "task", name))]
    assert acts == ["give_task", "set_out", "arrive", "finish_task"]


def test_an_item_sent_again_after_a_lost_answer_is_one_and_answers_the_same(hall: World) -> None:
    report = call(hall, text="桥面开裂")
    phone = out(hall, "zhao")
    task = given(hall, report)
    answers = [send(phone, task.id, "西侧裂缝", photos=1, key="01K0000000000000000000000A") for _ in range(3)]
    assert len({a.json()["code"] for a in answers}) == 1
    assert [a.headers.get("idempotent-replayed") for a in answers] == [None, "true", "true"]
    assert report_of(hall, report).content.text == "桥面开裂\n\n西侧裂缝"
    assert hall.count(t.field_item) == 1 and hall.count(t.follow_up) == 1


def test_what_is_sent_of_his_own_accord_is_one_report_with_its_follow_ups(hall: World) -> None:
    phone = out(hall, "zhao")
    said = {"k1": "加油站漏油", "k2": "已拉警戒", "k3": "消防到场"}
    codes = {send(phone, "own:01K1", text, key=key).json()["code"] for key, text in said.items()}
    codes.add(send(phone, "own:01K1", "加油站漏油", key="k1").json()["code"])
    other = send(phone, "own:01K2", "另有树倒").json()["code"]
    hall.file_all()
    hall.clock.forward(seconds=2)
    hall.file_all()
    rows = hall.hub.store.read(
        lambda unit: [reports.get(unit, r.id) for r in unit.rows(t.report_row.select())]
    )
    found = {row.code: row for row in rows if row}
    assert set(found) == codes | {other} and len(codes) == 1
    (first,) = codes
    assert found[first].content.text.split("\n\n") == ["加油站漏油", "已拉警戒", "消防到场"]
    assert (found[first].channel, found[first].trust, found[first].state) == ("field", 1, State.FILED)


def test_somebody_in_the_field_sees_his_tasks_reports_and_his_own_and_nothing_else(hall: World) -> None:
    mine, other = call(hall, "1", text="大坪村滑坡"), call(hall, "2", text="保密的事")
    phone, second = out(hall, "zhao"), out(hall, "qian")
    task = given(hall, mine)
    own = send(phone, "", "路断了").json()["code"]
    hall.file_all()
    assert phone.get("/console").headers["location"] == "/field"
    for path in ("/console/find", f"/console/reports/{other}", f"/console/reports/{mine}", "/console/counts"):
        assert phone.get(path).headers["location"] == "/field"
    assert phone.post(f"/console/reports/{mine}/claim").status_code == 403
    assert (
        phone.client.post("/console/calls", data={"csrf": phone.csrf, "text": "x"}, headers=OURS).status_code
        == 403
    )
    assert phone.get("/console/stream").status_code == 403
    assert "到现场拍照核实" not in words(second.get("/field").text)
    assert send(second, task.id, "不是我的任务").status_code == 404
    csrf = second.client.get("/field/me").json()["csrf"]
    again = second.client.post(
        f"/field/tasks/{task.id}/arrive", data={"said_at": ""}, headers={**SCRIPT, "X-CSRF-Token": csrf}
    )
    assert again.status_code == 404
    shown = words(phone.get("/field").text)
    codes = {name: report_of(hall, name).code for name in (mine, other)}
    assert (codes[mine] in shown, codes[other] in shown, own in shown) == (True, False, True)
    assert "大坪村滑坡" not in shown  # what others told is the duty room's


def test_a_key_of_somebody_in_the_field_opens_nothing(hall: World) -> None:
    person = add_person(hall, "zhao", Role.FIELD)

    def work(unit: Any) -> None:
        people.add_key(unit, "key_zhao", token("zhao"), name="zhao", organisation=person.organisation, person_id=person.id,
                       scopes=[Scope.READ, Scope.DESK, Scope.REPORT], at=hall.clock())  # fmt: skip

    hall.hub.store.run(work)
    assert hall.get("zhao", "/v1/reports").status_code == 403


def test_a_lost_telephone_is_shut_out_at_once_by_the_administrator(hall: World) -> None:
    report = call(hall, text="堤坝渗水")
    phone = out(hall, "zhao")
    task = given(hall, report)
    csrf = phone.client.get("/field/me").json()["csrf"]
    add_person(hall, "admin", Role.ADMIN)
    admin = enter(hall, "admin")
    assert "立即结束登录" in admin.get("/console/field").text
    assert "立即结束登录" not in enter(hall, "officer").get("/console/field").text
    waiting_link = link_for(hall, "zhao")
    admin.follow("/console/field/per_zhao/end_sessions")
    assert phone.get("/field").headers["location"] == "/login"
    assert phone.client.get("/field/me").status_code == 403
    late = phone.client.post("/field", files=[("files", ("1.jpg", jpeg(), "image/jpeg"))], data={"to": task.id},
                             headers={**SCRIPT, "X-CSRF-Token": csrf})  # fmt: skip
    assert late.status_code == 403 and hall.count(t.field_item) == 0
    assert stranger(hall).post(waiting_link).status_code == 403
    assert hall.hub.store.read(lambda unit: journal.last(unit, "auth", "per_zhao")).act == "end_sessions"
    with pytest.raises(NotAllowed):
        hall.hub.store.run(lambda unit: duty.end_sessions(unit, "per_zhao", by=officer(), at=hall.clock()))
    with pytest.raises(NotAllowed):
        hall.hub.store.run(lambda unit: duty.end_sessions(unit, "per_officer", by=boss(), at=hall.clock()))


def officer() -> Person:
    return Person(id="per_officer", name="人officer", organisation="", roles=frozenset({Role.OFFICER}))


def boss() -> Person:
    return Person(id="per_admin", name="人admin", organisation="", roles=frozenset({Role.ADMIN}))


def test_the_form_needs_no_script_and_gives_back_what_was_typed_when_the_login_has_ended(
    quick: World,
) -> None:
    report = call(quick, text="大坪村滑坡")
    phone = out(quick, "zhao")
    task = given(quick, report)
    page = phone.get("/field").text
    (once,) = re.findall(r'name="once" value="(\w+)"', page)
    fields = {"csrf": phone.csrf, "once": once, "to": task.id, "text": "两户被埋", "place": "三组"}

    def post() -> Any:
        return phone.client.post(
            "/field", data=fields, files=[("files", ("1.jpg", jpeg(), "image/jpeg"))], headers=OURS
        )

    answers = [post(), post()]
    assert [a.status_code for a in answers] == [303, 303] and quick.count(t.field_item) == 1
    assert "已收到，编号" in words(phone.get(answers[0].headers["location"]).text)
    said = report_of(quick, report)
    assert said.content.text == "大坪村滑坡\n\n两户被埋" and len(said.content.attachments) == 1
    assert phone.follow(f"/field/tasks/{task.id}/arrive").status_code == 200
    assert task_of(quick, task).state is TaskState.ARRIVED
    empty = phone.post("/field", {"to": task.id})
    assert empty.status_code == 400 and "请写点什么" in words(empty.text)

    quick.hub.store.run(lambda unit: people.end_sessions(unit, "per_zhao"))
    fields |= {"text": "又有一户"}
    back = post()
    assert back.status_code == 403 and "登录已结束" in words(back.text) and "又有一户" in back.text
    assert "到现场拍照核实" not in back.text
    phone.post(link_for(quick, "zhao"))
    stale = post()
    assert stale.status_code == 403 and "又有一户" in stale.text
    fields |= {"csrf": re.findall(r'name="csrf" value="([^"]+)"', stale.text)[0]}
    assert post().status_code == 303
    assert report_of(quick, report).content.text.endswith("又有一户")


def test_another_sites_page_sends_nothing_and_a_token_is_needed(quick: World) -> None:
    phone = out(quick, "zhao")
    csrf = phone.client.get("/field/me").json()["csrf"]
    foreign = {"Sec-Fetch-Site": "cross-site", "Accept": "application/json", "X-CSRF-Token": csrf}
    assert phone.client.post("/field", data={"text": "x"}, headers=foreign).status_code == 403
    assert phone.client.post("/field", data={"text": "x"}, headers=SCRIPT).json()["code"] == "csrf"
    assert (
        stranger(quick).client.post("/field", data={"text": "x"}, headers=SCRIPT).json()["code"] == "session"
    )
    assert enter(quick, "officer").get("/field").status_code == 403
    assert quick.count(t.inbound) == 0


def test_a_task_moves_only_along_its_table_and_a_photo_for_one_that_is_over_is_kept(quick: World) -> None:
    report = call(quick, text="大坪村滑坡")
    phone, desk = out(quick, "zhao"), enter(quick, "officer")
    task = given(quick, report)

    def step(act: str, **fields: str) -> Any:
        csrf = phone.client.get("/field/me").json()["csrf"]
        return phone.client.post(
            f"/field/tasks/{task.id}/{act}",
            data={"said_at": "", **fields},
            headers={**SCRIPT, "X-CSRF-Token": csrf},
        )

    assert step("finish_task").json()["code"] == "task_order"
    assert step("decline_task").json()["code"] == "reason_missing"
    assert step("recall_task", reason="x").status_code == 404
    assert [step("arrive").status_code for _ in range(2)] == [201, 201]
    assert step("set_out").status_code == 201 and task_of(quick, task).state is TaskState.ARRIVED
    desk.get(f"/console/reports/{report}")
    page = desk.follow(
        f"/console/tasks/{task.id}/recall", {"reason": "已由消防处置", "back": f"/console/reports/{report}"}
    )
    assert "已撤回" in words(page.text) and "已由消防处置" in words(page.text)
    assert step("finish_task").json()["code"] == "task_over"
    assert send(phone, task.id, photos=1).status_code == 201
    assert len(report_of(quick, report).content.attachments) == 1
    refused = desk.post(f"/console/tasks/{task.id}/recall", {"reason": "再撤"})
    assert refused.status_code == 409


def test_what_is_sent_for_a_report_that_was_closed_is_a_report_of_its_own_that_he_may_see(
    quick: World,
) -> None:
    report = call(quick, text="大坪村滑坡")
    phone = out(quick, "zhao")
    task = given(quick, report)
    by = officer()

    def work(unit: Any) -> None:
        report_duty.claim(unit, report, by=by, at=quick.clock())
        report_duty.close(unit, report, by=by, at=quick.clock(), reason="已处置")

    quick.hub.store.run(work)
    assert send(phone, task.id, "又塌了一处").status_code == 201
    quick.file_all()
    rows = quick.hub.store.read(lambda unit: unit.rows(t.report_row.select()))
    (new,) = [row.id for row in rows if row.id != report]
    assert report_of(quick, new).content.first("follows") == report_of(quick, report).code
    assert report_of(quick, new).code in words(phone.get("/field").text.partition('id="mine"')[2])


def test_a_task_that_does_not_fit_is_given_back_with_what_was_typed(quick: World) -> None:
    report = call(quick, text="大坪村滑坡")
    desk = enter(quick, "officer")
    assert "派出现场任务" not in words(desk.get(f"/console/reports/{report}").text)
    out(quick, "zhao")
    desk.get(f"/console/reports/{report}")
    fields = {"person": "per_officer", "what": "拍照", "due_at": "2001-01-01T00:00", "report": report}
    page = desk.post(f"/console/reports/{report}/tasks", fields)
    assert (
        page.status_code == 400 and "请选择现场人员" in words(page.text) and "应晚于现在" in words(page.text)
    )
    assert ">拍照</textarea>" in page.text
    assert desk.post(f"/console/reports/{report}/tasks", {**fields, "due_at": "noon"}).status_code == 400
    assert quick.count(t.field_task) == 0


def test_a_task_given_from_an_incident_is_about_one_of_its_reports(quick: World) -> None:
    first, other = call(quick, "1", text="大坪村滑坡"), call(quick, "2", text="别处的事")
    out(quick, "zhao")
    desk = enter(quick, "officer")
    desk.get(f"/console/reports/{first}")
    page = desk.follow(f"/console/reports/{first}/related/open_incident", {"other": ""})
    (incident,) = set(re.findall(r"/console/incidents/(inc_\w{26})", page.text))
    here = f"/console/incidents/{incident}"
    fields = {"person": "per_zhao", "what": "绕行勘查", "due_at": "2099-11-23T20:00", "report": first}
    assert desk.post(f"{here}/tasks", {**fields, "report": other}).status_code == 404
    page = desk.follow(f"{here}/tasks", fields)
    assert "绕行勘查" in words(page.text) and "派出现场任务" in words(page.text)
    assert "绕行勘查" in words(desk.get(f"/console/reports/{first}").text)
    assert "绕行勘查" in words(desk.get("/console/field").text)


def test_words_of_a_task_go_with_the_key_of_its_report(quick: World) -> None:
    report = call(quick, text="大坪村滑坡")
    phone = out(quick, "zhao")
    task = given(quick, report, what="找王某")
    quick.hub.store.run(lambda unit: unit.vault.destroy(unit.connection, report, quick.clock()))
    assert task_of(quick, task).what == ""
    assert phone.get("/field").status_code == 200
    with pytest.raises(NotFound):
        given(quick, report)


def test_what_somebody_does_about_a_report_is_recalled_when_a_mark_is_found_and_his_telephone_shows_no_word_of_it(
    quick: World,
) -> None:
    browser, name = out(quick, "zhao"), call(quick)
    report_of(quick, name)
    task = given(quick, name, what="到现场拍照核实XVQZ")
    assert "XVQZ" in browser.get("/field").text
    browser.post(f"/field/tasks/{task.id}/set_out", {})
    at = quick.clock()
    quick.hub.store.run(lambda u: compartments.seal(u, name, Compartment.MARKED, by="x", at=at, why="t"))
    assert task_of(quick, task).state is TaskState.RECALLED
    page = words(browser.get("/field").text)
    assert (
        "XVQZ" not in page
        and "这项任务已撤回，内容不再显示" in page
        and report_of(quick, name).code not in page
    )
    answer = browser.post(f"/field/tasks/{task.id}/arrive", {})
    assert "XVQZ" not in answer.text and answer.status_code == 400
    said = [e.act for e in quick.hub.store.read(lambda u: u.rows(t.journal.select())) if e.entity == task.id]
    assert said[-1] == "recall_task"
    quick.clock.forward(hours=13)
    later = quick.clock() - timedelta(hours=12)
    assert (
        quick.hub.store.read(lambda u: tasks.recalled_of(u, "per_zhao", later)) == []
    )  # a shift later it is history


def test_a_task_left_open_on_a_marked_report_is_recalled_by_whoever_sees_it(quick: World) -> None:
    out(quick, "zhao")
    name = call(quick)
    report_of(quick, name)
    task = given(quick, name)

    def as_before(unit: Any) -> None:  # as a hub that marked it before tasks were recalled with it has it
        unit.execute(t.report_row.update().where(t.report_row.c.id == name).values(compartments=4))

    quick.hub.store.run(as_before)
    at, keeper = quick.clock(), replace(officer(), roles=frozenset({Role.OFFICER, Role.SECURITY}))

    def by(eyes: Eyes) -> Task:
        return quick.hub.store.run(
            lambda u: duty.recall(u.seen_by(eyes), task.id, by=keeper, at=at, reason="密件")
        )

    with pytest.raises(NotFound):
        by(NOBODY)
    assert by(eyes_of(keeper, [])).state is TaskState.RECALLED
