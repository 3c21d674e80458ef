"""A warning to the chats that asked for it: the approved bytes, whom it reaches, what an answer of Telegram means."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from store import audience
from store import tables as t
from tests.chat_kit import SECRET, Chats, chat_world, chats, knock, update, work
from tests.outbox.outbox_kit import run_all
from tests.smpp_kit import until
from tests.web.api_world import World


@pytest.fixture(scope="module")
def telegram() -> Iterator[Chats]:
    with chats() as made:
        yield made


@pytest.fixture
def hub(telegram: Chats, database_url: str, tmp_path: Path, at) -> Iterator[World]:
    telegram.script()
    telegram.telegram.chats.clear()
    with chat_world(
        tmp_path / "data", at, telegram.url, database=database_url, telegram_webhook_secret=SECRET
    ) as made:
        for n, chat in enumerate((101, 102, -500), 1):
            knock(made, update(n, chat=chat, text="/subscribe 990101"))
        work(made)
        run_all(made.hub.outgoing)  # they are told that they are subscribed
        yield made


def _release(to: World) -> tuple[str, dict[str, Any]]:
    """A warning to chats that is approved and has left."""
    found = {x["id"]: x for x in to.get("officer", "/v1/templates").json()["data"]}["heavy_rain"]["example"]
    body = dict(found) | {"areas": ["990101000000"], "channels": ["telegram"], "languages": ["zh-CN"]}
    place = str(to.post("officer", "/v1/releases", body).headers["location"])
    submitted = to.post("officer", f"{place}/submit", None, key=None)
    assert submitted.status_code == 200, submitted.text
    done = to.post("approver", f"{place}/approve", {"digest": submitted.json()["digest"]}, key=None)
    assert done.status_code == 200
    run_all(to.hub.outgoing)
    return place, submitted.json()


def _states(to: World, place: str) -> Any:
    return to.get("officer", f"{place}/summary").json()["channels"]["telegram"]["states"]


def _frozen(to: World) -> dict[str, str]:
    """purpose -> text."""
    a = t.artefact.c
    rows = to.hub.store.read(
        lambda unit: unit.rows(sa.select(a.purpose, a.body).where(a.channel == "telegram"))
    )
    return {row.purpose: row.body.decode() for row in rows}


def test_a_warning_reaches_the_subscribed_chats_byte_for_byte_and_so_does_its_lift(hub, telegram) -> None:
    place, _ = _release(hub)
    texts = _frozen(hub)
    assert set(texts) == {"main", "lift", "correction"}
    for chat in (101, 102, -500):
        assert telegram.said(chat)[-1] == texts["main"]
    assert texts["main"].startswith("【演示】") and texts["main"].rstrip().endswith("【演示】")
    assert _states(hub, place) == {"sent": 3}
    assert hub.post("officer", f"{place}/cancel", {"reason": "结束"}, key=None).status_code == 200
    run_all(hub.hub.outgoing)
    assert [telegram.said(chat)[-1] for chat in (101, 102, -500)] == [texts["lift"]] * 3


def test_f27_who_has_blocked_the_bot_fails_alone_and_is_no_subscriber_any_more(hub, telegram) -> None:
    telegram.script({"to": "102", "act": "blocked"}, {"to": "-500", "act": "migrated", "migrate_to": "-1001"})
    place, _ = _release(hub)
    assert _states(hub, place) == {"sent": 2, "failed": 1}
    assert len([x for x in telegram.said(-1001) if "暴雨" in x]) == 1
    out = hub.hub.store.read(lambda u: audience.opted_out(u, "telegram", ["101", "102", "-500"]))
    assert out == {"102"}


def _rows(to: World) -> dict[str, tuple[str, int, str]]:
    """address -> (state, attempts, code) of the warning's deliveries."""
    d, p, of = t.delivery.c, t.parcel_row.c, t.dispatch.c
    query = (
        sa.select(d.address, d.state, d.attempts, d.code)
        .join(t.parcel_row, p.id == d.parcel)
        .join(t.dispatch, of.id == p.dispatch)
        .where(of.release.is_not(None))
    )
    rows = to.hub.store.read(lambda unit: unit.rows(query))
    return {row.address: (row.state, row.attempts, row.code) for row in rows}


def test_r4_a_group_that_has_moved_is_followed_by_an_attempt_of_its_own_and_once(hub, telegram) -> None:
    telegram.script({"to": "-500", "act": "migrated", "migrate_to": "-1001"})
    place, _ = _release(hub)
    assert _rows(hub)["-1001"] == ("sent", 2, "")
    assert "-500" not in _rows(hub)
    assert hub.post("officer", f"{place}/cancel", {"reason": "结束"}, key=None).status_code == 200
    run_all(hub.hub.outgoing)
    assert telegram.said(-1001)[-1] == _frozen(hub)["lift"]  # the ending goes to where the warning went


def test_r4_who_moves_a_second_time_is_not_followed_round_in_circles(hub, telegram) -> None:
    telegram.script(
        {"to": "-500", "act": "migrated", "migrate_to": "-1001"},
        {"to": "-1001", "act": "migrated", "migrate_to": "-500"},
    )
    _release(hub)
    assert _rows(hub)["-1001"] == ("failed", 2, "moved_again")


def test_f27_a_refusal_that_is_about_polling_ends_no_recipient(hub, telegram) -> None:
    telegram.script({"to": "101", "act": "conflict", "times": 1})
    place, _ = _release(hub)

    def is_over() -> bool:
        hub.clock.forward(seconds=5)
        run_all(hub.hub.outgoing)
        return _states(hub, place) == {"sent": 3}

    until(is_over)


def test_r4_an_answer_that_never_came_is_unsure_shown_and_not_repeated(hub, telegram) -> None:
    telegram.script({"to": "102", "act": "reset_taken"})
    place, _ = _release(hub)
    assert _states(hub, place) == {"sent": 2, "unsure": 1}
    hub.clock.forward(hours=1)
    run_all(hub.hub.outgoing)
    assert _states(hub, place) == {"sent": 2, "unsure": 1}
    assert len([x for x in telegram.said(102) if "暴雨" in x]) == 1


def test_a_pause_that_telegram_asks_for_is_kept_and_everybody_is_reached_once(hub, telegram) -> None:
    telegram.script({"to": "101", "act": "throttle", "retry_after": 1, "times": 1})
    place, _ = _release(hub)

    def is_over() -> bool:
        hub.clock.forward(seconds=5)
        run_all(hub.hub.outgoing)
        return _states(hub, place) == {"sent": 3}

    until(is_over)  # the pace keeps the pause by the clock of the machine
    assert [len([x for x in telegram.said(chat) if "暴雨" in x]) for chat in (101, 102, -500)] == [1, 1, 1]
