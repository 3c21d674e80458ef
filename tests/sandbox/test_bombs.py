"""Bombs die alone in the child: the hub neither grows nor waits, and the next message is read (findings 5, 6, 9)."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from channels.codecs import mail
from domain.errors import BadInput
from domain.report import Inbound
from intake import desk
from sandbox.pool import CPU, WALL, Pool
from store import tables as t
from tests.sandbox import bombs
from tests.sandbox import hostile_parsers as hostile
from tests.web.api_world import World, world

GROWTH_BYTES = 32 << 20  # of the hub's process; a bomb is as large as itself and its answer, no more


def _resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """As the hub has it, with one child."""
    pool = Pool()
    yield pool
    pool.close()


@pytest.mark.parametrize(("parser", "bomb"), [
    (bombs.stock_mail, bombs.subject_of(60_000)),
    (bombs.stock_mail, b"From: a\r\nTo: " + b"(" * 4_000 + b"\r\nSubject: s\r\n\r\nx\r\n"),
    (bombs.template, b"{{ '%1000000000d'|format(1) }}"),
    (bombs.template, b"{{ 'a' * 10**9 }}"),
    (bombs.template, b"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
    (bombs.template, b"{{ 'a'|center(1000000000) }}"),
    (bombs.tree, b"<a>" * 3_000_000),
    (bombs.tree, bombs.laughs()),
    (bombs.unzip, bombs.zip_bomb()),
    (bombs.inflate, bombs.png_bomb()),
], ids=["encoded words", "nested comments", "format", "repeat", "nested ranges", "center", "deep xml",
        "laughs", "zip", "png"])  # fmt: skip
def test_finding_6_finding_9_a_bomb_ends_its_child_and_nothing_else(
    pool: Pool, parser: Any, bomb: bytes
) -> None:
    pool.run(hostile.echo, b"warm")
    before, began = _resident(), time.monotonic()
    with pytest.raises(BadInput) as caught:
        pool.run(parser, bomb)
    assert caught.value.code in ("parser_timeout", "parser_memory", "parser_crashed")
    assert time.monotonic() - began < WALL.total_seconds() + 2
    assert _resident() - before < GROWTH_BYTES + 2 * len(bomb)
    assert pool.run(hostile.echo, b"next").blobs == (b"next",)


@pytest.mark.parametrize("bomb", [
    bombs.subject_of(60_000), bombs.nested(10_000), bombs.wide(100_000),
    b"From: " + b"(" * 4_000 + b"\r\n\r\nx\r\n", b"From: a@b\r\nTo: " + b"c@d, " * 20_000 + b"\r\n\r\nx\r\n",
    b"From: a@b\r\n\r\n" + b"x" * (20 << 20),
], ids=["encoded words", "depth", "parts", "comments", "addresses", "one line"])  # fmt: skip
def test_finding_5_finding_6_our_own_reader_of_mail_answers_all_of_them_in_time(
    pool: Pool, bomb: bytes
) -> None:
    before, began = _resident(), time.monotonic()
    try:
        pool.run(mail.read, bomb, {"envelope_from": "a@example.org"})
    except BadInput as error:
        assert error.code not in ("parser_timeout", "parser_memory", "parser_crashed")
    assert time.monotonic() - began < CPU.total_seconds() * 2
    assert _resident() - before < GROWTH_BYTES + 3 * len(bomb)


@pytest.fixture
def hall(tmp_path: Path, at: Any, sqlite_model: Path) -> Iterator[World]:
    with world(tmp_path / "data", at, model=sqlite_model) as made:
        yield made


def test_f30_a_child_at_its_memory_cap_dies_alone_and_its_mail_is_on_the_shelf_and_in_the_queue(hall) -> None:
    small = Pool(memory_bytes=115 << 20, wall=timedelta(seconds=20))
    hub = hall.hub
    filing = replace(hub.filing, pool=small)
    line = b"eHh4" * 19 + b"\r\n"
    heavy = (
        b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + line * (24 * 1024 * 1024 // len(line))
    )
    try:
        names = [_kept(hall, raw, n) for n, raw in enumerate((heavy, b"From: a@example.org\r\n\r\nnext\r\n"))]
        before = _resident()
        filed = [filing.file(name) for name in names]
        assert None not in filed
        assert _resident() - before < 4 * len(heavy)
    finally:
        small.close()
    rows = hub.store.read(lambda unit: unit.rows(t.shelf.select()))
    assert [(row.kind, row.reason, row.origin) for row in rows] == [("inbound", "parser_memory", filed[0])]
    assert hall.get("officer", f"/v1/reports/{filed[1]}").json()["text"].strip() == "next"
    assert hall.get("officer", f"/v1/reports/{filed[0]}").status_code == 200
    assert hall.client.get("/healthz").status_code == 200


def _kept(hall: World, raw: bytes, n: int) -> str:
    hub, at = hall.hub, hall.clock()
    inbound = Inbound(channel="email", external_id=f"m{n}", raw=raw, media_type="message/rfc822", received_at=at,
                      sender="a@example.org", meta={})  # fmt: skip
    minted = desk.mint_names(at)
    blob = hub.blobs.put(raw) if len(raw) > 256 * 1024 else ""
    return str(hub.store.run(lambda unit: desk.receive(unit, inbound, minted, blob=blob, at=at)).inbound_id)
