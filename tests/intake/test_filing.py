"""Every kept message becomes one report, whatever its bytes are."""

import asyncio
import errno
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from channels.codecs.mail_id import external_id
from domain.errors import Unavailable
from domain.report import Inbound, State
from intake import desk
from intake.filing import CANNOT, TRIES, Filing
from intake.reading import Locale
from intake.spool import Spool
from sandbox.pool import Pool
from store import audience, inbox, reports, shelf
from store import tables as t
from store.blobs import Blobs
from tests.corpora import corpora


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    opened = Pool()
    yield opened
    opened.close()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


@pytest.fixture
def filing(store, blobs, pool, at) -> Filing:
    locale = Locale(region="CN", area_code="0571")
    return Filing(store=store, blobs=blobs, pool=pool, locale=locale, clock=lambda: at)


def _file(filing: Filing, inbound: Inbound, tmp_path: Path):
    kept = asyncio.run(
        desk.take(
            inbound,
            store=filing.store,
            blobs=filing.blobs,
            spool=Spool(tmp_path / "spool"),
            at=inbound.received_at,
        )
    )
    assert filing.file(kept.inbound_id) == kept.report_id
    return filing.store.read(lambda u: reports.get(u, kept.report_id)), kept


def test_a_mail_becomes_a_report_with_facts_and_their_origin(filing, tmp_path, at) -> None:
    raw = (
        b"From: =?gb2312?B?1cXI/Q==?= <zhang@example.cn>\r\nSubject: =?gb2312?B?uq/LrtTWx+k=?=\r\n"
        b"Date: Mon, 23 Nov 2026 13:58:00 +0800\r\nContent-Type: text/plain; charset=gb2312\r\n\r\n"
    ) + "村口的桥被洪水冲断，镕喆".encode("gb18030")
    inbound = Inbound(
        channel="email",
        external_id=external_id(raw),
        raw=raw,
        media_type="message/rfc822",
        received_at=at,
        sender="bounce@example.cn",
    )
    report, _ = _file(filing, inbound, tmp_path)
    assert report.content.text.strip() == "村口的桥被洪水冲断，镕喆"
    assert report.content.language == "zh"
    senders = [(f.value, f.origin) for f in report.content.facts["sender"]]
    assert senders == [("zhang@example.cn", "header"), ("bounce@example.cn", "envelope")]
    assert report.content.first("name") == "张三"
    assert report.state is State.FILED
    assert "unverified_sender" in report.content.findings


def test_an_sms_is_filed_under_its_number(filing, tmp_path, at) -> None:
    form = {
        "AccountSid": "AC" + "1" * 32,
        "MessageSid": "SM" + "2" * 32,
        "From": "+8613800138000",
        "To": "+8610690000000",
        "Body": "河堤漏水",
    }
    inbound = Inbound(
        channel="sms",
        external_id=form["MessageSid"],
        raw=urlencode(form).encode(),
        media_type="application/x-www-form-urlencoded",
        received_at=at,
        sender=form["From"],
    )
    report, _ = _file(filing, inbound, tmp_path)
    assert (report.content.text, report.content.first("sender")) == ("河堤漏水", "+8613800138000")


def test_a_stop_that_waited_in_the_spool_ends_subscriptions_and_makes_no_report(filing, at) -> None:
    rows = [
        {
            "channel": "sms",
            "address": number,
            "area": "990101",
            "language": "zh-CN",
            "group": group,
            "name": "",
        }
        for number, group in (("+8613800138000", "subscriber"), ("+8613800138001", "responsible"))
    ]
    filing.store.run(lambda u: audience.add(u, rows, at))
    outcomes = {}
    for n, number in enumerate(("+8613800138000", "+8613800138001")):
        form = {"AccountSid": "AC" + "1" * 32, "MessageSid": f"SM{n:032x}", "From": number, "To": "+8610690000000",
                "Body": " 退订 "}  # fmt: skip
        inbound = Inbound(channel="sms", external_id=form["MessageSid"], raw=urlencode(form).encode(),
                          media_type="application/x-www-form-urlencoded", received_at=at, sender=number)  # fmt: skip
        names = desk.mint_names(at)
        filing.store.run(lambda u, i=inbound, k=names: desk.receive(u, i, k, at=at))
        outcomes[number] = filing.file(names.inbound_id) is not None
    assert outcomes == {"+8613800138000": False, "+8613800138001": True}
    gone = filing.store.read(lambda u: audience.opted_out(u, "sms", list(outcomes)))
    assert gone == {"+8613800138000"}


def test_a_call_slip_keeps_extension_place_and_who_was_told(filing, tmp_path, at) -> None:
    slip = {
        "caller": "88001234转802",
        "text": "地下车库进水",
        "place": "江滨路88号",
        "told": ["物业", "119"],
        "started_at": "2026-11-23T13:58:00+08:00",
    }
    inbound = Inbound(
        channel="phone",
        external_id="1",
        raw=json.dumps(slip).encode(),
        media_type="application/json",
        received_at=at,
    )
    report, _ = _file(filing, inbound, tmp_path)
    first = report.content.first
    assert (first("sender"), first("extension"), first("place")) == ("+8657188001234", "802", "江滨路88号")
    assert first("told") == "物业, 119"


def test_an_abandoned_slip_without_words_is_kept_and_marked(filing, tmp_path, at) -> None:
    inbound = Inbound(
        channel="phone",
        external_id="2",
        raw=b'{"place": "x", "is_abandoned": true}',
        media_type="application/json",
        received_at=at,
    )
    report, _ = _file(filing, inbound, tmp_path)
    assert set(report.content.findings) == {"abandoned_call", "no_readable_text"}


def test_a_multipart_slip_keeps_its_file_typed_by_content(filing, tmp_path, at) -> None:
    png = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
    body = (
        b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n\xe5\xa1\x8c\xe6\x96\xb9\r\n'
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="..\\..\\\xe7\x8e\xb0\xe5\x9c\xba.exe"\r\n'
        b"Content-Type: application/x-msdownload\r\n\r\n" + png + b"\r\n--b--\r\n"
    )
    inbound = Inbound(
        channel="api",
        external_id="k",
        raw=body,
        media_type="multipart/form-data; boundary=b",
        received_at=at,
        sender="key_1",
        meta={"client_name": "气象局"},
        organisation="气象局",
    )
    report, _ = _file(filing, inbound, tmp_path)
    (file,) = report.content.attachments
    assert (file.media_type, file.declared_type) == ("image/png", "application/x-msdownload")
    assert "/" not in file.name and "\\" not in file.name and "现场" in file.name
    assert filing.blobs.get(file.sha256) == png
    assert report.content.text == "塌方"


@pytest.mark.parametrize(
    "channel, media_type, raw",
    [
        ("api", "application/json", b"[" * 50_000),
        ("api", "application/json", b"\xff\xfe not json"),
        ("api", "multipart/form-data; boundary=b", b"--b no end"),
        ("api", "multipart/form-data", b""),
        ("sms", "application/x-www-form-urlencoded", b"%%%"),
        ("email", "message/rfc822", b""),
        ("email", "message/rfc822", b"Subject: " + b"=?utf-8?q?a?= " * 60_000 + b"\r\n\r\nbody"),
    ],
)
def test_no_bytes_keep_a_report_out_of_the_queue(filing, tmp_path, channel, media_type, raw) -> None:
    inbound = Inbound(
        channel=channel,
        external_id="x",
        raw=raw,
        media_type=media_type,
        received_at=filing.clock(),
        sender="s",
    )
    report, kept = _file(filing, inbound, tmp_path)
    stored = filing.store.read(lambda u: inbox.load(u, kept.inbound_id, filing.blobs.get))
    assert stored.inbound.raw == raw
    if "unparsed" in report.content.findings:
        shelved = filing.store.read(lambda u: u.rows(sa.select(t.shelf)))
        assert [s.origin for s in shelved] == [report.id]


def test_filing_twice_makes_one_report(filing, tmp_path, at) -> None:
    inbound = Inbound(
        channel="phone", external_id="3", raw=b'{"text": "a"}', media_type="application/json", received_at=at
    )
    _, kept = _file(filing, inbound, tmp_path)
    assert filing.file(kept.inbound_id) is None
    assert filing.file("inb_unknown") is None
    assert filing.store.read(lambda u: u.scalar(sa.select(sa.func.count()).select_from(t.report_row))) == 1


def _kept(filing: Filing, tmp_path: Path, at, raw: bytes, kind: str = "application/json") -> str:
    inbound = Inbound(channel="web", external_id="x", raw=raw, media_type=kind, received_at=at)
    spool = Spool(tmp_path / "spool")
    return asyncio.run(
        desk.take(inbound, store=filing.store, blobs=filing.blobs, spool=spool, at=at)
    ).inbound_id


def _shelved(filing: Filing) -> list[tuple[str, str, str]]:
    return [(row.kind, row.reason, row.origin) for row in filing.store.read(shelf.pending)]


class Broken:
    """A pool whose calls end in a fault of ours."""

    def run(self, *_arguments):
        raise ZeroDivisionError


def test_r16_a_message_over_which_filing_breaks_is_filed_unread_after_some_tries(
    filing, tmp_path, at
) -> None:
    bugs: list[str] = []
    broken = replace(filing, pool=Broken(), on_bug=lambda what, _error: bugs.append(what))
    inbound_id = _kept(filing, tmp_path, at, b'{"text": "x"}')
    assert [broken.file(inbound_id) for _ in range(TRIES)] == [None] * TRIES
    report_id = broken.file(inbound_id)
    report = filing.store.read(lambda u: reports.get(u, report_id))
    assert report.content.findings[:2] == (CANNOT, "unparsed")
    assert (bugs, _shelved(filing)) == (["file"] * (TRIES + 1), [("inbound", CANNOT, report_id)])


def test_r16_no_room_for_its_files_uses_up_no_try_of_a_message(filing, tmp_path, at) -> None:
    class Full(Blobs):
        def put(self, data: bytes) -> str:
            raise OSError(errno.ENOSPC, "no space")

    class Passing:
        def run(self, *_arguments):
            raise Unavailable("no child could be started")

    body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n\x89PNG\r\n\x1a\n\r\n--b--\r\n'
    inbound_id = _kept(filing, tmp_path, at, body, "multipart/form-data; boundary=b")
    for _ in range(TRIES + 3):
        assert replace(filing, blobs=Full(tmp_path / "blobs")).file(inbound_id) is None
    assert replace(filing, pool=Passing()).file(inbound_id) is None  # and that is the first that failed
    report_id = filing.file(inbound_id)
    report = filing.store.read(lambda u: reports.get(u, report_id))
    assert report.content.attachments and "parser_unavailable" not in report.content.findings


@pytest.mark.parametrize("wrong", ["missing", "altered"])
def test_r16_bytes_that_cannot_be_opened_go_to_the_shelf_once_and_come_back_from_it(
    filing, tmp_path, at, wrong
) -> None:
    raw = json.dumps({"text": "河堤漏水" * 40_000}).encode()
    inbound_id = _kept(filing, tmp_path, at, raw)
    (blob,) = (path for path in (tmp_path / "blobs").rglob("*") if path.is_file())
    before = blob.read_bytes()
    blob.unlink() if wrong == "missing" else blob.write_bytes(b"x")
    for _ in range(TRIES + 5):
        assert filing.file(inbound_id) is None
    ((kind, reason, origin),) = _shelved(filing)
    assert (kind, origin) == ("inbound", inbound_id) and reason in ("not_found", "blob")
    assert filing.store.read(lambda u: inbox.due(u, at + timedelta(days=30))) == []
    blob.write_bytes(before)
    assert filing.store.run(lambda u: inbox.reprocess(u, inbound_id, by="per_1", at=at))
    assert filing.file(inbound_id)


def test_every_mail_of_the_corpus_is_taken_and_filed(filing, tmp_path, at) -> None:
    files = sorted(corpora().glob("email/*/*.eml"))
    assert files
    ids = set()
    for file in files:
        raw = file.read_bytes()
        inbound = Inbound(
            channel="email",
            external_id=external_id(raw),
            raw=raw,
            media_type="message/rfc822",
            received_at=at,
            sender="peer@example.org",
        )
        kept = asyncio.run(
            desk.take(inbound, store=filing.store, blobs=filing.blobs, spool=Spool(tmp_path / "spool"), at=at)
        )
        assert filing.file(kept.inbound_id) == (kept.report_id if kept.is_fresh else None), file
        ids.add(kept.report_id)
    count = filing.store.read(lambda u: u.scalar(sa.select(sa.func.count()).select_from(t.report_row)))
    assert count == len(ids)
