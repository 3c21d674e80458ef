"""What comes after a release at the desk: stop, lift, correct and update, each with its page and its word."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from domain.artefact import Purpose
from domain.handling import Mode
from domain.parcel import DeliveryState
from domain.person import Role
from domain.release import State
from outbox import relay
from store import journal, promises, releases
from store import tables as t
from store.unit import Unit
from templates import pages
from tests.web.api_world import World, world
from tests.web.console_browser import Browser, add_person, add_recipients, enter, rain, words
from web.console.changes import words_changed


@pytest.fixture
def hall(database_url: str, tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at, url=database_url) as made:
        add_recipients(made)
        yield made


@pytest.fixture
def quick(tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at) as made:
        add_recipients(made)
        yield made


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found
    return found[1]


def released(hall: World, officer: Browser, approver: Browser, path: str = "", **more: Any) -> str:
    """A release that is approved and whose rows are there; its page."""
    if not path:
        path = officer.post("/console/releases", rain(**more)).headers["location"].partition("?")[0]
    officer.follow(f"{path}/submit")
    seen = approver.get(path).text
    approver.follow(f"{path}/approve", {"digest": hidden(seen, "digest"), "reach": "7"})
    for job, dispatch in hall.rings:
        if job == "relay":
            relay.relay(hall.hub.outgoing, dispatch)
    hall.rings.clear()
    return path


def reach_some(hall: World, path: str) -> None:
    """Three have it, one may have it, one refused it, two wait: as the wire would have written it."""
    states = [
        DeliveryState.SENT,
        DeliveryState.DELIVERED,
        DeliveryState.ACCEPTED,
        DeliveryState.UNSURE,
        DeliveryState.FAILED,
    ]

    def work(unit: Unit) -> None:
        d = t.delivery.c
        mine = [row.dispatch for row in promises_of(unit, path)]
        for row in unit.rows(t.delivery.select().where(d.parcel.startswith(mine[0])).order_by(d.seq)):
            if row.seq < len(states):
                for state in way_to(states[row.seq]):
                    here = (d.parcel == row.parcel, d.seq == row.seq)
                    unit.execute(t.delivery.update().where(*here).values(state=state.value))

    hall.hub.store.run(work)


def promises_of(unit: Unit, path: str) -> list[Any]:
    found = promises.of_release(unit, path.rpartition("/")[2])
    return [type("D", (), {"dispatch": d.id}) for d in found if d.channel == "sms" and d.language == "zh-CN"]


def way_to(state: DeliveryState) -> list[DeliveryState]:
    """The moves that the store allows on the way from queued."""
    steps = {
        DeliveryState.UNSURE: [DeliveryState.SENDING],
        DeliveryState.FAILED: [DeliveryState.SENDING],
        DeliveryState.ACCEPTED: [DeliveryState.SENDING],
        DeliveryState.SENT: [DeliveryState.SENDING, DeliveryState.ACCEPTED],
        DeliveryState.DELIVERED: [DeliveryState.SENDING, DeliveryState.ACCEPTED, DeliveryState.SENT],
    }
    return [*steps[state], state]


def state_of(hall: World, path: str) -> State:
    release = hall.hub.store.read(lambda unit: releases.get(unit, path.rpartition("/")[2]))
    assert release
    return release.state


def desks(hall: World) -> tuple[Browser, Browser]:
    return enter(hall, "officer"), enter(hall, "approver")


@pytest.mark.parametrize(
    ("act", "word", "state"),
    [
        ("stop", "停止发送", State.STOPPED),
        ("lift", "解除", State.CANCELLED),
        ("correct", "误发更正", State.CORRECTED),
    ],
)
def test_each_ending_has_a_page_with_its_consequence_and_is_done_once(
    hall: World, act: str, word: str, state: State
) -> None:
    officer, approver = desks(hall)
    path = released(hall, officer, approver)
    reach_some(hall, path)
    page = words(officer.get(f"{path}/{act}").text)
    assert f"请输入“{word}”以确认" in page
    told = {"stop": "还没有发出的 2 条不再发出。已经发出的 4 条无法收回", "lift": "险情已过：立即向已收到或可能收到的 4 人",
            "correct": "这是误发：立即向已收到或可能收到的 4 人"}[act]  # fmt: skip
    assert told in page and "约 1 条结果不明" in page
    done = officer.follow(f"{path}/{act}", {"reason": "核实有误", "word": word})
    assert state_of(hall, path) is state and "核实有误" in words(done.text)
    again = officer.post(f"{path}/{act}", {"reason": "核实有误", "word": word})
    assert again.status_code == 303, "the form sent twice is shown what it did the first time"
    other = officer.post(f"{path}/{act}", {"reason": "另一个理由", "word": word})
    assert other.status_code == 409
    release_id = path.rpartition("/")[2]
    acts = hall.hub.store.read(lambda unit: [e.act for e in journal.entries(unit, "release", release_id)])
    assert acts.count({"stop": "stop", "lift": "cancel", "correct": "correct"}[act]) == 1
    endings = hall.hub.store.read(
        lambda unit: [d.id for d in promises.of_release(unit, release_id) if d.purpose != Purpose.MAIN]
    )
    assert sorted(("relay", d) for d in endings) == sorted(hall.rings)
    assert bool(endings) is (act != "stop")


@pytest.mark.parametrize("typed", ["", "解除", "停止", "STOPP", "stop it"])
def test_a_wrong_word_does_nothing_says_so_and_keeps_what_was_typed(quick: World, typed: str) -> None:
    officer, approver = desks(quick)
    path = released(quick, officer, approver)
    answer = officer.post(f"{path}/stop", {"reason": "理由在此", "word": typed})
    assert answer.status_code == 400
    assert "确认词不对，没有执行任何操作" in words(answer.text) and "理由在此" in answer.text
    assert 'href="#f-word"' in answer.text
    assert state_of(quick, path) is State.PUBLISHING and quick.rings == []


def test_the_word_of_the_other_language_and_any_width_will_do(quick: World) -> None:
    officer, approver = desks(quick)
    path = released(quick, officer, approver)
    assert officer.post(f"{path}/stop", {"reason": "r", "word": " ｓｔｏｐ "}).status_code == 303


def test_without_a_reason_nothing_ends(quick: World) -> None:
    officer, approver = desks(quick)
    path = released(quick, officer, approver)
    answer = officer.post(f"{path}/lift", {"reason": " ", "word": "解除"})
    assert answer.status_code == 400 and 'href="#f-reason"' in answer.text
    assert state_of(quick, path) is State.PUBLISHING


def test_in_an_exercise_the_word_is_another_one() -> None:
    live, drill = (pages.confirm_word("lift", mode.value, "zh-CN") for mode in (Mode.LIVE, Mode.EXERCISE))
    assert (live, drill) == ("解除", "演练解除")
    assert pages.confirm_word("correct", "exercise", "en") == "EXERCISE CORRECT"


def test_an_auditor_sees_everything_and_ends_nothing(quick: World) -> None:
    officer, approver = desks(quick)
    path = released(quick, officer, approver)
    auditor = enter(quick, "auditor")
    page = auditor.get(path).text
    assert "发送进度" in words(page) and f'href="{path}/stop"' not in page
    for act, word in (("stop", "停止发送"), ("lift", "解除"), ("correct", "误发更正")):
        assert auditor.get(f"{path}/{act}").status_code == 403
        assert auditor.post(f"{path}/{act}", {"reason": "r", "word": word}).status_code == 403
    assert auditor.get(f"{path}/update").status_code == 403
    assert auditor.post(f"{path}/update").status_code == 403
    assert state_of(quick, path) is State.PUBLISHING


def test_a_corrected_release_shows_how_many_have_got_the_correction(hall: World) -> None:
    officer, approver = desks(hall)
    path = released(hall, officer, approver)
    reach_some(hall, path)
    officer.follow(f"{path}/correct", {"reason": "误发", "word": "误发更正"})
    for _, dispatch in hall.rings:
        relay.relay(hall.hub.outgoing, dispatch)
    page = words(officer.get(f"{path}?part=monitor").text)
    assert "原消息已到达或可能到达 4 人，其中 0 人的通知已发出" in page
    assert "数字对不上" not in page
    assert "<html" not in officer.get(f"{path}?part=monitor").text


def test_the_numbers_add_up_at_every_moment(hall: World) -> None:
    officer, approver = desks(hall)
    path = officer.post("/console/releases", rain()).headers["location"].partition("?")[0]
    officer.follow(f"{path}/submit")
    seen = approver.get(path).text
    approver.follow(f"{path}/approve", {"digest": hidden(seen, "digest"), "reach": "7"})
    before = words(officer.get(f"{path}?part=monitor").text)
    assert "7 应发 7 尚未排队" in before
    for _, dispatch in hall.rings:
        relay.relay(hall.hub.outgoing, dispatch)
    reach_some(hall, path)
    after = words(officer.get(f"{path}?part=monitor").text)
    assert "7 应发 2 等待发送 1 结果不明 1 运营商已接收 1 已发出 1 已送达 1 失败" in after
    assert "约 1 条结果不明" in after and "数字对不上" not in after


def test_an_update_is_drafted_once_compared_and_replaces_on_approval(hall: World) -> None:
    officer, approver = desks(hall)
    path = released(hall, officer, approver)
    assert "现在不发出" in words(officer.get(f"{path}/update").text)
    first = officer.post(f"{path}/update").headers["location"]
    assert officer.post(f"{path}/update").headers["location"] == first, "two clicks are one draft"
    assert "已有一份更新正在办理" in words(officer.get(f"{path}/update").text)
    revision = hidden(officer.get(first).text, "revision")
    update = first.removesuffix("/edit")
    officer.follow(first, rain(**{"fields.rainfall_mm": "80", "revision": revision, "colour": "red"}))
    officer.follow(f"{update}/submit")
    seen = approver.get(update).text
    assert "与被更新的那条相比" in words(seen)
    assert "<del>50</del><ins>80</ins>" in seen
    assert "同一事件的各条" in words(seen) and "更新 2" in words(seen)
    approver.follow(f"{update}/approve", {"digest": hidden(seen, "digest"), "reach": "7"})
    assert state_of(hall, path) is State.SUPERSEDED
    assert f'href="{update}"' in officer.get(path).text


def test_an_ending_that_is_not_possible_any_more_says_so(quick: World) -> None:
    add_person(quick, "late", Role.OFFICER)
    officer, approver = desks(quick)
    path = released(quick, officer, approver)
    officer.follow(f"{path}/lift", {"reason": "险情已过", "word": "解除"})
    answer = enter(quick, "late").get(f"{path}/correct")
    assert answer.status_code == 409
    assert 'name="word"' not in answer.text


def test_words_that_changed_are_told_one_by_one() -> None:
    assert words_changed("预计3小时50毫米", "预计6小时50毫米") == [
        ("same", "预计"), ("out", "3"), ("in", "6"), ("same", "小时50毫米")
    ]  # fmt: skip
    assert words_changed("", "new") == [("in", "new")]
    assert words_changed("same", "same") == [("same", "same")]
