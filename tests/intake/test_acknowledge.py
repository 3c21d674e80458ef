"""Who reported hears once that it has arrived, on his own channel; machines, strangers and ourselves hear nothing."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from channels.text import segments
from domain.errors import BadInput, Unsure
from domain.handling import Mode
from domain.notice import Notice, NoticeKind
from domain.report import Inbound
from intake import desk
from intake.acknowledge import PER_MINUTE, Acknowledger, Silence, Valve
from intake.entering import Entering
from intake.filing import Filing
from intake.reading import Locale
from intake.spool import Spool
from outbox import ledger
from sandbox.pool import Pool
from store import audience, journal
from store import tables as t
from store.blobs import Blobs
from templates import notice_texts
from tests.outbox.outbox_kit import Wire, outgoing, run_all

NUMBER = "+8613800138000"
OURS = "+8610690000000"
SITE = "https://report.example.gov.cn"
LINK = f"{SITE}/report/s/" + "X" * 30


class Stopped:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    opened = Pool()
    yield opened
    opened.close()


class Room:
    """A filing desk whose clock moves, and what it rang for."""

    def __init__(self, store: Any, pool: Pool, tmp_path: Path, at: datetime) -> None:
        self.at, self.n, self.rings = at, 0, []
        self.store, self.tmp_path = store, tmp_path
        self.acknowledger = Acknowledger(
            mode=Mode.LIVE, organisation="示例省应急管理厅", region="CN", channels={"sms", "email"},
            ourselves={OURS, "hub@example.gov.cn"}, link=lambda _code: LINK, valve=Valve(monotonic=Stopped()),
        )  # fmt: skip
        self.filing = Filing(
            store=store, blobs=Blobs(tmp_path / "blobs"), pool=pool, locale=Locale(), clock=lambda: self.at,
            entering=Entering(acknowledger=self.acknowledger), bell=self.ring,
        )  # fmt: skip

    def ring(self, job, row):
        """What is promised to somebody; every report is studied too."""
        if job != "study_report":
            self.rings.append((job, row))

    def bring(self, inbound: Inbound) -> str:
        """A message that a door took and the worker filed; its report."""
        names = desk.mint_names(self.at)
        kept = self.store.run(lambda u: desk.receive(u, inbound, names, at=self.at))
        self.filing.file(kept.inbound_id)
        return kept.report_id

    def inbound(self, channel: str, raw: bytes, media_type: str, sender: str, **meta: Any) -> Inbound:
        self.n += 1
        return Inbound(channel=channel, external_id=f"x{self.n}", raw=raw, media_type=media_type,
                       received_at=self.at, sender=sender, meta=meta)  # fmt: skip

    def sms(self, text: str = "河堤漏水", sender: str = NUMBER) -> str:
        form = {
            "AccountSid": "AC" + "1" * 32,
            "MessageSid": f"SM{self.n:032x}",
            "From": sender,
            "To": OURS,
            "Body": text,
        }
        return self.bring(
            self.inbound("sms", urlencode(form).encode(), "application/x-www-form-urlencoded", sender)
        )

    def mail(
        self, *fields: str, text: str = "The bridge is gone", sender: str = "li@example.cn", **meta: Any
    ) -> str:
        head = "\r\n".join(["From: li@example.cn", "Message-ID: <a@example.cn>", "Subject: bridge", *fields])
        raw = f"{head}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode()
        return self.bring(self.inbound("email", raw, "message/rfc822", sender, **meta))

    def web(self, sender: str, text: str = "桥塌了") -> str:
        raw = urlencode({"text": text}).encode()
        return self.bring(self.inbound("web", raw, "application/x-www-form-urlencoded", sender))

    def call(self, caller: str) -> str:
        raw = json.dumps({"text": "冒烟", "caller": caller}).encode()
        return self.bring(self.inbound("phone", raw, "application/json", caller))

    def told(self, report: str) -> str:
        """What the journal says of the acknowledgement."""
        (entry,) = [
            e for e in self.store.read(lambda u: journal.entries(u, "report", report)) if e.act == "file"
        ]
        return str(entry.detail["acknowledged"])

    def promises(self) -> list[Any]:
        query = sa.select(t.dispatch.c.about, t.dispatch.c.channel, t.dispatch.c.language, t.dispatch.c.expires,
                          t.dispatch.c.notice_payload, t.delivery.c.address, t.parcel_row.c.id)  # fmt: skip
        query = query.join(t.parcel_row, t.parcel_row.c.dispatch == t.dispatch.c.id)
        query = query.join(t.delivery, t.delivery.c.parcel == t.parcel_row.c.id).order_by(
            t.dispatch.c.created_at
        )
        return self.store.read(lambda u: u.rows(query))


@pytest.fixture
def room(store, pool, tmp_path, at) -> Room:
    return Room(store, pool, tmp_path, at)


def test_an_sms_is_answered_by_sms_with_the_code_and_the_numbers_to_call(room) -> None:
    report = room.sms()
    (promise,) = room.promises()
    text = promise.notice_payload.decode()
    (row,) = room.store.read(lambda u: u.rows(t.inbound.select()))
    assert (promise.about, promise.channel, promise.address) == (report, "sms", NUMBER)
    assert row.code in text and "110、119或120" in text and "示例省应急管理厅" in text and LINK in text
    assert segments(text).parts <= 2 and promise.expires == room.at + timedelta(hours=24)
    assert row.acknowledged_at == room.at and room.told(report) == "sms"
    assert room.rings == [("deliver", promise.id)]


def test_a_mail_is_answered_to_its_envelope_with_subject_and_body(room) -> None:
    report = room.mail("Reply-To: victim@example.org", sender="Li.Ming@Example.CN")
    (promise,) = room.promises()
    subject, body = promise.notice_payload.decode().split("\n\n", 1)
    assert (promise.channel, promise.address, promise.language) == ("email", "li.ming@example.cn", "en")
    assert "\n" not in subject and "arrived" in subject and LINK in body and "110 police" in body
    assert room.told(report) == "email"


@pytest.mark.parametrize(("text", "language"), [("桥塌了", "zh-CN"), ("The bridge is gone, people are in it", "en"),
                                                ("橋が崩れました、たすけてください", "en"), ("119", "zh-CN")])  # fmt: skip
def test_the_answer_speaks_the_language_of_the_report(room, text: str, language: str) -> None:
    room.sms(text)
    (promise,) = room.promises()
    assert promise.language == language


def test_a_form_with_a_mobile_or_an_address_is_answered_there(room) -> None:
    room.web(NUMBER)
    room.web("a@b.cn")
    assert [(p.channel, p.address) for p in room.promises()] == [("sms", NUMBER), ("email", "a@b.cn")]


@pytest.mark.parametrize("caller", ["138 0013 8000", "+86 13800138000", "１３８００１３８０００"])
def test_a_caller_with_a_mobile_gets_the_code_by_sms(room, caller: str) -> None:
    room.call(caller)
    (promise,) = room.promises()
    assert promise.address == NUMBER


@pytest.mark.parametrize("sender", ["", "0571-88001234", "110", "anonymous", "+12025550143", "+8613800138000转5",
                                    "+1 900 555 0143", "13800138000, 13900139000"])  # fmt: skip
def test_no_number_of_the_region_means_no_sms(room, sender: str) -> None:
    assert room.told(room.call(sender)) == room.told(room.web(sender)) == Silence.NO_ADDRESS.value
    assert room.promises() == [] and room.rings == []


@pytest.mark.parametrize(
    ("fields", "sender", "reason"),
    [
        (["Auto-Submitted: auto-replied"], "li@example.cn", Silence.AUTOMATIC),
        (["Auto-Submitted: AUTO-GENERATED; x=y"], "li@example.cn", Silence.AUTOMATIC),
        (["Precedence: bulk"], "li@example.cn", Silence.LIST),
        (["Precedence: list"], "li@example.cn", Silence.LIST),
        (["Precedence: junk"], "li@example.cn", Silence.NOT_WANTED),
        (["Precedence: auto_reply"], "li@example.cn", Silence.AUTOMATIC),
        (["List-Id: <x.example.cn>"], "li@example.cn", Silence.LIST),
        (["List-Help: <mailto:x@example.cn>"], "li@example.cn", Silence.NOT_WANTED),
        (["X-Auto-Response-Suppress: DR, OOF, AutoReply"], "li@example.cn", Silence.NOT_WANTED),
        (["X-Auto-Response-Suppress: All"], "li@example.cn", Silence.NOT_WANTED),
        (["X-Autoreply: yes"], "li@example.cn", Silence.AUTOMATIC),
        (["Return-Path: <>"], "li@example.cn", Silence.BOUNCE),
        (
            ["Content-Type: multipart/report; report-type=delivery-status; boundary=b"],
            "li@example.cn",
            Silence.BOUNCE,
        ),
        ([], "", Silence.NO_ADDRESS),
        ([], "<>", Silence.NO_ADDRESS),
        ([], "MAILER-DAEMON@example.cn", Silence.NOBODY),
        ([], "postmaster@example.cn", Silence.NOBODY),
        ([], "no-reply@example.cn", Silence.NOBODY),
        ([], "do_not_reply@example.cn", Silence.NOBODY),
        ([], "talk-bounces@example.cn", Silence.NOBODY),
        ([], "talk-request@example.cn", Silence.NOBODY),
        ([], "bounces+123-hub=example.gov.cn@mailer.example", Silence.NOBODY),
        ([], "Hub@Example.gov.cn", Silence.OURSELVES),
        ([], "not an address", Silence.NO_ADDRESS),
        ([], "a@b.cn\r\nBcc: c@d.cn", Silence.NO_ADDRESS),
        ([], '"quoted local"@example.cn', Silence.NO_ADDRESS),
    ],
)
def test_programs_lists_bounces_and_ourselves_are_never_answered(room, fields, sender, reason) -> None:
    assert room.told(room.mail(*fields, sender=sender)) == reason.value
    assert room.promises() == [] and room.rings == []
    assert room.store.read(lambda u: u.scalar(sa.select(t.inbound.c.acknowledged_at))) is None


def test_a_person_whose_program_says_that_he_is_one_is_answered(room) -> None:
    report = room.mail("Auto-Submitted: no", "Precedence: normal", "X-Auto-Response-Suppress: DR, RN, NRN")
    assert room.told(report) == "email"


def test_an_automatic_subject_is_not_answered_in_either_language(room) -> None:
    for subject in (
        "自动回复：收到",
        "Out of Office: bridge",
        "系统退信",
        "Undelivered Mail Returned to Sender",
    ):
        raw = f"From: li@example.cn\r\nMessage-ID: <x>\r\nSubject: {subject}\r\n\r\nx".encode()
        report = room.bring(room.inbound("email", raw, "message/rfc822", "li@example.cn"))
        assert room.told(report) in (Silence.AUTOMATIC.value, Silence.BOUNCE.value), subject


def test_our_own_mail_coming_back_is_not_answered(room) -> None:
    report = room.mail(sender="report@county.example", rcpt_to=["<Report@county.example>"])
    assert room.told(report) == Silence.OURSELVES.value


def test_our_own_number_a_name_and_a_short_number_are_not_answered(room) -> None:
    own = replace(room.acknowledger, ourselves={NUMBER})
    room.filing = replace(room.filing, entering=Entering(acknowledger=own))
    told = [room.told(room.sms(sender=sender)) for sender in (NUMBER, "BANK", "10086", "106900001234")]
    assert told[0] == Silence.OURSELVES.value
    assert set(told[1:]) == {Silence.NO_ADDRESS.value} and room.promises() == []


def test_a_stop_of_a_responsible_person_is_filed_and_not_answered(room) -> None:
    row = {
        "channel": "sms",
        "address": NUMBER,
        "area": "990101",
        "language": "zh-CN",
        "group": "responsible",
        "name": "",
    }
    room.store.run(lambda u: audience.add(u, [row], room.at))
    assert room.told(room.sms("退订")) == Silence.STOP_WORD.value
    assert room.promises() == []


def test_a_department_has_its_answer_already(room) -> None:
    report = room.bring(
        room.inbound("api", b'{"text": "x", "contact": "13800138000"}', "application/json", "key_1")
    )
    assert room.told(report) == Silence.HAS_ANSWER.value


def test_a_mail_that_no_parser_got_through_is_not_answered(room) -> None:
    wide = replace(room.filing, pool=Refusing())
    inbound = room.inbound("email", b"Subject: x\r\n\r\nx", "message/rfc822", "li@example.cn")
    names = desk.mint_names(room.at)
    room.store.run(lambda u: desk.receive(u, inbound, names, at=room.at))
    assert wide.file(names.inbound_id) == names.report_id
    assert room.told(names.report_id) == Silence.UNREAD.value


class Refusing:
    """A pool whose child gives up on everything."""

    def run(self, *_: Any) -> Any:
        raise BadInput("too slow", code="parser_timeout")


def test_a_hub_without_the_wire_promises_nothing_it_cannot_keep(room) -> None:
    bare = replace(room.acknowledger, channels={"sms"})
    room.filing = replace(room.filing, entering=Entering(acknowledger=bare))
    assert room.told(room.mail()) == Silence.NO_WIRE.value
    assert room.told(room.sms()) == "sms"


def test_one_sender_is_answered_three_times_an_hour_and_ten_times_a_day(room) -> None:
    start, told = room.at, []
    for n in range(16):
        room.at = start + timedelta(minutes=15 * n)
        told.append(room.told(room.sms(f"第{n}次")))
    assert told[:5] == ["sms"] * 3 + [Silence.SENDER_LIMIT.value, "sms"]
    assert told.count("sms") == 10
    room.at = start + timedelta(hours=25)
    assert room.told(room.sms("第二天")) == "sms"
    assert room.told(room.sms("别人", sender="+8613900139000")) == "sms"


def test_mail_is_answered_once_in_ten_minutes_however_the_address_is_written(room) -> None:
    assert room.told(room.mail(sender="li@example.cn")) == "email"
    room.at += timedelta(minutes=9)
    assert room.told(room.mail(sender="LI@Example.cn")) == Silence.SENDER_LIMIT.value
    room.at += timedelta(minutes=2)
    assert room.told(room.mail(sender="Li@example.cn")) == "email"


def test_all_addresses_of_one_mailbox_share_its_limit(room) -> None:
    """Somebody else's mailbox, which a form or a forged envelope names as li+1, li+2, ..."""
    told = [room.told(room.mail(sender=f"li+{n}@example.cn")) for n in range(3)]
    told += [room.told(room.web(f"li+x{n}@example.cn", f"x{n}")) for n in range(2)]
    assert told == ["email", *[Silence.SENDER_LIMIT.value] * 4]
    assert room.told(room.mail(sender="wang@example.cn")) == "email"


def test_a_form_cannot_be_used_to_write_to_somebody_over_and_over(room) -> None:
    told = [room.told(room.web(NUMBER, f"x{n}")) for n in range(5)] + [room.told(room.sms())]
    assert told.count("sms") == 3


def test_a_flood_of_senders_is_answered_at_the_rate_of_the_valve() -> None:
    clock = Stopped()
    valve = Valve(monotonic=clock)
    assert sum(valve.take() for _ in range(PER_MINUTE + 50)) == PER_MINUTE
    clock.seconds += 1
    assert sum(valve.take() for _ in range(50)) == PER_MINUTE // 60
    clock.seconds += 3600
    assert sum(valve.take() for _ in range(PER_MINUTE + 50)) == PER_MINUTE


def test_over_the_valve_the_report_is_filed_and_the_reason_stands_in_the_journal(room) -> None:
    closed = replace(room.acknowledger, valve=Valve(1, monotonic=Stopped()))
    room.filing = replace(room.filing, entering=Entering(acknowledger=closed))
    told = [room.told(room.sms(sender=f"+86138001380{n:02d}")) for n in range(3)]
    assert told == ["sms", Silence.OVERLOAD.value, Silence.OVERLOAD.value]


def test_filing_twice_side_by_side_and_after_a_crash_answers_once(room) -> None:
    inbound = room.inbound("sms", b"%%%", "application/x-www-form-urlencoded", NUMBER)
    names = desk.mint_names(room.at)
    room.store.run(lambda u: desk.receive(u, inbound, names, at=room.at))
    broken = replace(room.filing, bell=_die)
    with pytest.raises(KeyboardInterrupt):
        broken.file(names.inbound_id)
    for _ in range(3):
        assert room.filing.file(names.inbound_id) is None
    assert len(room.promises()) == 1 and room.rings == []


def _die(_job: str, _row: str) -> None:
    raise KeyboardInterrupt


def test_a_transaction_that_fails_promises_nothing(room) -> None:
    def link(_code: str) -> str:
        raise OSError

    broken = replace(room.filing, entering=Entering(acknowledger=replace(room.acknowledger, link=link)))
    inbound = room.inbound("sms", b"%%%", "application/x-www-form-urlencoded", NUMBER)
    names = desk.mint_names(room.at)
    room.store.run(lambda u: desk.receive(u, inbound, names, at=room.at))
    assert broken.file(names.inbound_id) is None  # written down, and tried again
    assert room.promises() == []
    assert room.filing.file(names.inbound_id) == names.report_id
    assert len(room.promises()) == 1


def test_what_waited_in_the_spool_and_came_again_is_answered_once(room) -> None:
    raw = urlencode({"text": "决堤"}).encode()
    inbound = room.inbound("web", raw, "application/x-www-form-urlencoded", NUMBER)
    spool = Spool(room.tmp_path / "spool")
    spool.put(inbound, desk.mint_names(room.at))
    names = desk.mint_names(room.at)
    room.store.run(lambda u: desk.receive(u, inbound, names, at=room.at))
    fresh = desk.drain(spool, store=room.store, blobs=room.filing.blobs, clock=lambda: room.at)
    for row in [names.inbound_id, *fresh]:
        room.filing.file(row)
    assert len(room.promises()) == 1


def test_another_promise_about_the_report_is_not_made(room) -> None:
    report = room.sms()
    (promise,) = room.promises()
    again = room.store.run(lambda u: ledger.put_notice(u, _notice(promise), room.at))
    assert again == "" and room.promises()[0].about == report


def _notice(promise: Any) -> Any:
    return Notice(kind=NoticeKind.ACKNOWLEDGEMENT, about=promise.about, channel="sms", address=NUMBER,
                  language="en", payload=b"other", expires=promise.expires)  # fmt: skip


def test_the_promise_leaves_once_and_silence_of_the_provider_repeats_nothing(
    room, store, at, tmp_path
) -> None:
    room.sms()
    wire = Wire(lambda _a, _n: Unsure("silence"))
    run_all(outgoing(store, at, tmp_path / "out", wire=wire))
    assert len(wire.started) == 1 and wire.taken == []


@pytest.mark.parametrize(("mode", "mark"), [(Mode.DEMO, ("【演示】", "[TEST]")), (Mode.EXERCISE, ("【演练】", "[EXERCISE]")),
                                            (Mode.LIVE, ("", ""))])  # fmt: skip
def test_every_text_is_marked_in_a_demo_and_an_exercise(mode: Mode, mark: tuple[str, str]) -> None:
    for language, expected in zip(("zh-CN", "en"), mark, strict=True):
        values = {"code": "4F7K-92PX", "link": LINK, "organisation": "示例省应急管理厅", "mode": mode}
        short = notice_texts.sms(NoticeKind.ACKNOWLEDGEMENT, language, **values)
        subject, body = notice_texts.mail(NoticeKind.ACKNOWLEDGEMENT, language, **values).split("\n\n", 1)
        assert subject.startswith(expected) and "\n" not in short
        for text in (short, body.strip()):
            assert text.startswith(expected) and text.endswith(expected)
            assert expected or not text.startswith(("【演", "["))
        assert "4F7K-92PX" in subject and all(number in body for number in ("110", "119", "120"))


def test_a_link_that_would_make_a_third_segment_is_left_out(room) -> None:
    long = replace(room.acknowledger, link=lambda _code: SITE + "/" + "x" * 120)
    room.filing = replace(room.filing, entering=Entering(acknowledger=long))
    room.sms()
    (promise,) = room.promises()
    text = promise.notice_payload.decode()
    assert SITE not in text and segments(text).parts <= 2 and "110" in text


def test_without_a_public_address_no_link_is_named(room) -> None:
    room.filing = replace(
        room.filing, entering=Entering(acknowledger=replace(room.acknowledger, link=lambda _code: ""))
    )
    room.sms()
    room.mail()
    texts = [p.notice_payload.decode() for p in room.promises()]
    assert len(texts) == 2 and not any("http" in text or "进度" in text for text in texts)
