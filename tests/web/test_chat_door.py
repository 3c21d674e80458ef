"""The webhook of the chat's bot: its secret, its shape, its size, its repeats."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import Unavailable
from store import tables as t
from tests.chat_kit import CHAT, SECRET, chat_world, knock, reports, update, work
from tests.web.api_world import World


@pytest.fixture
def hub(database_url: str, tmp_path: Path, at) -> Iterator[World]:
    with chat_world(
        tmp_path / "data", at, "http://127.0.0.1:9", database=database_url, telegram_webhook_secret=SECRET
    ) as made:
        yield made


@pytest.mark.parametrize("secret", [None, "", "x", SECRET + "x", SECRET[:-1], "x" * 7_000])
def test_h31_without_the_right_secret_nothing_is_kept(hub, secret) -> None:
    answer = knock(hub, update(), secret)
    assert (answer.status_code, answer.json()["code"]) == (403, "bad_signature")
    assert hub.count(t.inbound) == 0 and hub.count(t.shelf) == 0


def test_h31_a_hub_without_a_bot_lets_nobody_in(quick: World) -> None:
    assert knock(quick, update(), "").status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [(b'{"update_id":-1}', 400), (b'{"update_id":9223372036854775808}', 400), (b"", 400), (b"[" * 100_000, 400),
     (b'{"update_id":1,"message":{"text":"' + b"x" * 5_000_000 + b'"}}', 413),
     ("大坪村".encode("gb18030"), 400), (b'{"update_id":1,"update_id":', 400)],
    ids=["negative", "2^63", "empty", "deep", "5 MB", "gb18030", "cut"],
)  # fmt: skip
def test_h32_what_is_no_update_is_refused_and_lies_on_the_shelf(hub, body, status) -> None:
    assert knock(hub, body).status_code == status
    assert hub.count(t.inbound) == 0 and hub.count(t.shelf) == (1 if status == 400 else 0)


def test_h32_an_unknown_kind_is_kept_on_the_shelf_and_answered(hub) -> None:
    assert knock(hub, {"update_id": 5, "business_connection": {"id": "x"}}).status_code == 200
    work(hub)
    (row,) = hub.hub.store.read(lambda unit: unit.rows(t.shelf.select()))
    assert (row.reason, reports(hub)) == ("unknown_kind", [])


def test_h32_the_same_update_600_times_and_another_under_its_number_is_one_report(
    sqlite_model, tmp_path, at
) -> None:
    with chat_world(
        tmp_path / "d", at, "http://127.0.0.1:9", model=sqlite_model, telegram_webhook_secret=SECRET
    ) as hub:
        assert {knock(hub, update(1)).status_code for _ in range(600)} == {200}
        assert knock(hub, update(1, text="别的话")).status_code == 200
        work(hub)
        assert [report["text"] for report in reports(hub)] == ["大坪村山塌了"]


@pytest.mark.parametrize(
    "text", ["😀" * 2048, "\u202e翻转", "\x00\x1b[31m", "مرحبا", "<script>alert(1)</script>"]
)
def test_every_text_reaches_the_queue(hub, text) -> None:
    assert knock(hub, update(1, text=text)).status_code == 200
    work(hub)
    (report,) = reports(hub)
    assert report["text"]


def test_the_answer_comes_after_the_commit_and_without_a_database_after_the_spool(hub, monkeypatch) -> None:
    async def gone(*_, **__):
        raise Unavailable("gone")

    monkeypatch.setattr(hub.hub.store, "item", gone)  # the database is down
    assert knock(hub, update(1)).status_code == 200
    assert len(list(hub.hub.spool.read())) == 1

    def full(*_):
        raise Unavailable("full")

    monkeypatch.setattr(hub.hub.spool, "put", full)  # and so is the disk
    assert knock(hub, update(2)).status_code == 503


def test_an_update_of_200_kb_is_taken(hub) -> None:
    long = update(1, reply_to_message=update(2, text="x" * 4096)["message"])
    long["message"]["entities"] = [{"type": "bold", "offset": n, "length": 1} for n in range(4000)]
    assert 150_000 < len(json.dumps(long)) < 256 * 1024
    assert knock(hub, long).status_code == 200
    work(hub)
    assert reports(hub)[0]["facts"]["sender"][0]["value"] == f"telegram:{CHAT}"
