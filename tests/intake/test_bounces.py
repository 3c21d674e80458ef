"""What came back to a return path becomes a receipt or the end of a subscription; everything else a report."""

import csv
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from channels.codecs import mail_bounce
from channels.codecs.mail_id import external_id
from channels.codecs.return_path import Box
from domain.notice import Notice, NoticeKind
from domain.parcel import DeliveryState
from domain.report import Inbound, State
from intake import desk
from intake.filing import Filing
from intake.reading import Locale
from outbox import ledger
from sandbox.pool import Pool
from simulators import mail_back
from simulators.mail_script import Back
from simulators.mailboxes import Mail
from store import audience, reports
from store import tables as t
from store.blobs import Blobs
from tests.channels.mail_kit import CHINESE, PATH
from tests.corpora import corpora as real_files

ADDRESS = "zhang@mail.example"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    opened = Pool()
    yield opened
    opened.close()


@pytest.fixture
def filing(store, tmp_path, pool, at) -> Filing:
    blobs = Blobs(tmp_path / "blobs")
    return Filing(store=store, blobs=blobs, pool=pool, locale=Locale(), clock=lambda: at, return_path=PATH)


def _send(store, at, *states: str, about: str = "rep_1") -> str:
    """A delivery by mail that has gone through `states`; its id."""
    notice = Notice(kind=NoticeKind.ACKNOWLEDGEMENT, about=about, channel="email", address=ADDRESS,
                    language="zh-CN", payload=CHINESE.encode(), expires=at + timedelta(hours=1))  # fmt: skip
    parcel = store.run(lambda unit: ledger.put_notice(unit, notice, at))
    mine, delivery = t.delivery.c.parcel == parcel, f"{parcel}-0"
    for state in states:  # each a move of the table, as the database insists
        values = {"state": state, "provider_id": PATH.message_id(delivery) if state == "accepted" else None}
        store.run(lambda u, v=values: u.execute(t.delivery.update().where(mine).values(**v)))
    return delivery


@pytest.fixture
def delivery(store, at) -> str:
    """A delivery by mail that the relay has taken; its id."""
    return _send(store, at, "sending", "accepted")


def _of(store, delivery: str) -> tuple[str, str, str]:
    parcel = delivery.rpartition("-")[0]
    row = store.read(lambda u: u.row(sa.select(t.delivery).where(t.delivery.c.parcel == parcel)))
    return row.state, row.code, row.provider_id


def _come(filing: Filing, raw: bytes, *to: str, sender: str = "", at) -> tuple[str | None, str]:
    """File a mail that came to `to`: (report id or None, inbound id)."""
    inbound = Inbound(channel="email", external_id=external_id(raw), raw=raw, media_type="message/rfc822",
                      received_at=at, sender=sender, meta={"rcpt_to": list(to)})  # fmt: skip
    names = desk.mint_names(at)
    kept = filing.store.run(lambda u: desk.receive(u, inbound, names, at=at))
    return filing.file(kept.inbound_id), kept.inbound_id


def _back(back: Back, at, status: str = "5.1.1") -> bytes:
    head = b"Subject: =?utf-8?B?5pq06Zuo?=\r\nMessage-ID: <x@y>\r\n\r\ntext\r\n"
    mail = Mail(id="1", sender="bounces@yj.example.org", to=ADDRESS, raw=head, at=at)
    return mail_back.about(mail, back, status, at)


def _reports(store) -> int:
    return store.read(lambda u: u.scalar(sa.select(sa.func.count()).select_from(t.report_row)))


def _acts(store, inbound: str) -> list[str]:
    query = sa.select(t.journal.c.act).where(t.journal.c.entity == inbound).order_by(t.journal.c.n)
    return [row.act for row in store.read(lambda u: u.rows(query))]


@pytest.mark.parametrize(
    ("back", "status", "after"),
    [
        (Back.FAILED, "5.1.1", ("failed", "5.1.1")),
        (Back.PLAIN, "", ("failed", "550")),
        (Back.DELIVERED, "2.0.0", ("delivered", "2.0.0")),
        (Back.RELAYED, "2.0.0", ("sent", "2.0.0")),
        (Back.DELAYED, "4.4.1", ("accepted", "")),
        (Back.AWAY, "", ("accepted", "")),
    ],
)
def test_what_comes_back_moves_its_delivery_and_makes_no_report(
    filing, delivery, at, back, status, after
) -> None:
    raw = _back(back, at, status)
    report, inbound = _come(filing, raw, PATH.address(Box.BOUNCES, delivery), at=at)
    assert report is None
    assert _of(filing.store, delivery) == (*after, PATH.message_id(delivery))
    assert _reports(filing.store) == 0
    assert _acts(filing.store, inbound) == ["receive", "returned"]
    assert filing.file(inbound) is None  # filed once


def test_receipts_of_mail_only_rise_and_settle_what_was_unsure(filing, at) -> None:
    delivery = _send(filing.store, at, "sending", "unsure")
    path = PATH.address(Box.BOUNCES, delivery)
    _come(filing, _back(Back.FAILED, at), path, at=at)
    assert _of(filing.store, delivery) == ("failed", "5.1.1", PATH.message_id(delivery))
    _come(filing, _back(Back.DELIVERED, at), path, at=at)
    assert _of(filing.store, delivery)[0] == "delivered"
    for back in (Back.FAILED, Back.RELAYED, Back.DELAYED):
        _come(filing, _back(back, at), path, at=at)
        assert _of(filing.store, delivery)[0] == "delivered"


def test_a_bounce_of_what_was_never_sent_changes_nothing_and_is_shelved(filing, at) -> None:
    delivery = _send(filing.store, at)
    report, _ = _come(filing, _back(Back.FAILED, at), PATH.address(Box.BOUNCES, delivery), at=at)
    assert report is None
    assert _of(filing.store, delivery)[0] == "queued"
    reasons = filing.store.read(lambda u: [row.reason for row in u.rows(sa.select(t.shelf))])
    assert reasons == ["receipt_mismatch"]


def test_a_forged_or_unknown_token_makes_a_report_that_says_so(filing, delivery, at) -> None:
    good = PATH.address(Box.BOUNCES, delivery)
    unknown = PATH.address(Box.BOUNCES, "dsp_" + "0" * 26 + "-0-0")
    forged = good.replace("bounces+", "bounces+0")
    borrowed = PATH.address(Box.UNSUBSCRIBE, delivery).replace("unsubscribe+", "bounces+")
    for n, address in enumerate((unknown, forged, borrowed)):
        report, _ = _come(filing, _back(Back.FAILED, at + timedelta(seconds=n)), address, at=at)
        assert report is not None, address
        found = filing.store.read(lambda u, r=report: reports.get(u, r))
        assert "return_path_unknown" in found.content.findings, address
        assert found.state is State.FILED
    assert _of(filing.store, delivery)[0] == "accepted"


LETTER = (
    "From: 李四 <li@mail.example>\r\nTo: x@y\r\nSubject: Re: 暴雨红色预警\r\nMessage-ID: <{n}@m>\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
)


def test_a_letter_to_a_return_path_is_a_report(filing, delivery, at) -> None:
    raw = LETTER.format(n=1, text="我家门口的桥被冲断了，请派人来。无法投递快递。").encode()
    path = PATH.address(Box.BOUNCES, delivery)
    report, _ = _come(filing, raw, path, sender="li@mail.example", at=at)
    assert report is not None
    assert "return_path_unknown" not in filing.store.read(lambda u: reports.get(u, report)).content.findings
    quiet = LETTER.format(n=2, text="堤坝漏水").encode()
    assert _come(filing, quiet, path, sender="", at=at)[0] is not None  # no sender is no proof of a machine
    both = LETTER.format(n=3, text="堤坝漏水").encode()
    assert _come(filing, both, path, "report@yj.example.org", sender="", at=at)[0] is not None
    assert _of(filing.store, delivery)[0] == "accepted"


def test_a_bounce_that_also_went_to_the_desk_is_a_report(filing, delivery, at) -> None:
    path = PATH.address(Box.BOUNCES, delivery)
    assert _come(filing, _back(Back.FAILED, at), path, "report@yj.example.org", at=at)[0] is not None
    assert _of(filing.store, delivery)[0] == "accepted"


def test_without_a_mail_domain_every_mail_is_a_report(store, tmp_path, pool, at, delivery) -> None:
    filing = Filing(store=store, blobs=Blobs(tmp_path / "b"), pool=pool, locale=Locale(), clock=lambda: at)
    assert _come(filing, _back(Back.FAILED, at), PATH.address(Box.BOUNCES, delivery), at=at)[0] is not None


# --- STOP ---------------------------------------------------------------------------------------------------


def _subscribe(store, at, group: str = "subscriber") -> None:
    row = {"channel": "email", "address": ADDRESS, "area": "990101", "language": "zh-CN", "group": group}
    store.run(lambda u: audience.add(u, [row], at))


def _stop(n: int, subject: str, text: str) -> bytes:
    head = f"From: someone else <other@mail.example>\r\nSubject: {subject}\r\nMessage-ID: <stop{n}@m>\r\n"
    return (head + f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}").encode()


@pytest.mark.parametrize(
    ("subject", "text", "ends", "is_report"),
    [
        ("STOP", "", True, False),
        ("stop", "\r\n", True, False),
        ("Re: 暴雨红色预警", "退订", True, False),
        ("TD", "TD\r\n", True, False),
        ("Unsubscribe", "", True, False),
        ("STOP", "And by the way: the dam is leaking.", True, True),
        ("Re: STOP", "please", False, True),
        ("停电", "", False, True),
        ("help", "STOP the water, the dam is leaking", False, True),
    ],
)
def test_stop_by_mail_ends_the_subscription_of_the_address_we_wrote_to(
    filing, delivery, at, subject, text, ends, is_report
) -> None:
    _subscribe(filing.store, at)
    path = PATH.address(Box.UNSUBSCRIBE, delivery)
    report, inbound = _come(filing, _stop(1, subject, text), path, sender="other@mail.example", at=at)
    gone = filing.store.read(lambda u: audience.opted_out(u, "email", [ADDRESS, "other@mail.example"]))
    assert gone == ({ADDRESS} if ends else set())
    assert (report is not None) is is_report
    assert ("opt_out" in _acts(filing.store, inbound)) is ends


def test_stop_of_a_responsible_person_changes_nothing_and_reaches_the_duty_room(filing, delivery, at) -> None:
    _subscribe(filing.store, at, "responsible")
    report, _ = _come(filing, _stop(1, "STOP", ""), PATH.address(Box.UNSUBSCRIBE, delivery), at=at)
    assert report is not None
    assert filing.store.read(lambda u: audience.opted_out(u, "email", [ADDRESS])) == set()


def test_stop_with_a_forged_token_ends_nothing(filing, delivery, at) -> None:
    _subscribe(filing.store, at)
    forged = PATH.address(Box.BOUNCES, delivery).replace("bounces+", "unsubscribe+")
    assert _come(filing, _stop(1, "STOP", ""), forged, sender=ADDRESS, at=at)[0] is not None
    assert filing.store.read(lambda u: audience.opted_out(u, "email", [ADDRESS])) == set()


# --- real bounces -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus() -> Path:
    return real_files()


REAL = {
    "mailgun__flanker/messages_bounce_office365.eml": ("failed", "5.1.10"),
    "mailgun__flanker/messages_bounce_zed.eml": ("failed", "5.1.1"),
    "mailgun__flanker/messages_bounce_gmail-no-dns.eml": ("failed", ""),  # no delivery-status, no code
    "mailgun__flanker/messages_bounce_delayed.eml": ("failed", "4.0.0"),  # given up after five days
    "mailgun__flanker/messages_bounce_gmail-invalid-address.eml": ("failed", "5.1.0"),
    "jstedfast__MimeKit/messages_bounce.txt.eml": ("failed", "5.1.1"),
    "jstedfast__MimeKit/messages_delivery-status.txt.eml": ("failed", ""),
    "jstedfast__MimeKit/messages_delivery-status-multiple-blank-lines.txt.eml": ("failed", "5.5.0"),
    "SpamScope__mail-parser/mail_malformed_2.eml": ("failed", "4.2.2"),
    "sisimai__set-of-emails_shared/lhost-amazonworkmail-01.eml": (
        "failed",
        "5.1.1",
    ),  # CR alone, no such part
    "sisimai__set-of-emails_shared/lhost-amazonworkmail-07.eml": ("failed", "4.4.7"),
    "sisimai__set-of-emails_shared/lhost-amazonworkmail-08.eml": ("failed", "5.2.2"),
    "sisimai__set-of-emails_shared/lhost-bigfoot-01.eml": ("failed", "5.7.1"),
    "sisimai__set-of-emails_shared/lhost-bigfoot-02.eml": ("failed", "5.7.1"),
    "sisimai__set-of-emails_shared/lhost-gsuite-01.eml": ("failed", "5.1.0"),
    "sisimai__set-of-emails_shared/lhost-kddi-01.eml": ("failed", ""),  # Japanese prose
    "sisimai__set-of-emails_shared/lhost-office365-01.eml": ("failed", "5.1.10"),
    "sisimai__set-of-emails_shared/lhost-office365-05.eml": ("failed", "5.1.8"),
    "sisimai__set-of-emails_shared/lhost-office365-06.eml": ("failed", "5.4.312"),
    "sisimai__set-of-emails_shared/lhost-office365-10.eml": ("failed", "5.1.351"),
    "sisimai__set-of-emails_shared/lhost-x3-01.eml": ("failed", "5.3.0"),
    "sisimai__set-of-emails_shared/lhost-x5-01.eml": ("failed", "5.1.1"),  # a bounce inside a filter's mail
    "sisimai__set-of-emails_shared/rfc3834-06.eml": ("answered", ""),
    "sisimai__set-of-emails_shared/rhost-gsuite-01.eml": ("failed", "5.1.0"),
    "postalsys__postal-mime/bounce.eml": ("failed", "550"),
    "Webklex__php-imap/example_bounce.eml": ("failed", "550"),
    "python__cpython/msg_16.eml": ("failed", "5.0.0"),
    "python__cpython/msg_25.eml": ("failed", "5.4.6"),
    "python__cpython/msg_43.eml": ("failed", "5.7.1"),
    "made_here/zh_17.eml": ("answered", ""),
    "zbateson__mail-mime-parser/emails_m4006.txt.eml": ("answered", ""),  # Outlook's "Read: ..."
    "made_here/zh_19.eml": ("failed", "550"),  # 系统退信
    "Webklex__php-imap/issue-382.eml": ("letter", ""),  # a daemon that says "Hi": a person decides
}


@pytest.mark.parametrize("name", REAL)
def test_a_real_bounce_is_understood(corpus: Path, pool: Pool, name: str) -> None:
    raw = (corpus / "email" / name).read_bytes()
    said = pool.run(mail_bounce.read, raw, {"envelope_from": ""}).value
    assert (said["came"], said["code"]) == REAL[name]


def test_no_ordinary_mail_of_the_corpus_is_taken_for_a_bounce(corpus: Path, pool: Pool) -> None:
    rows = csv.DictReader((corpus / "INDEX-email.csv").open(encoding="utf-8"))
    others = [r["path"] for r in rows if "bounce" not in r["traits"] and "auto_reply" not in r["traits"]]
    taken = {}
    for path in others:
        value = pool.run(
            mail_bounce.read, (corpus / path).read_bytes(), {"envelope_from": "p@mail.example"}
        ).value
        if value["came"] != "letter":
            taken[path.removeprefix("email/")] = value["came"]
    assert set(taken) <= set(REAL), taken


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Action: failed\nStatus: 5.2.2\n\nAction: delivered\nStatus: 2.0.0\n", ("delivered", "5.2.2")),
        ("Action: expanded\nStatus: 2.1.5\n", ("relayed", "2.1.5")),
        ("Action: delayed\nStatus: 4.4.1\nWill-Retry-Until: soon\n", ("delayed", "4.4.1")),
        (
            "Action: FAILED (bad)\nStatus: 5.0.0\nDiagnostic-Code: smtp;\n 550 5.7.26 refused\n",
            ("failed", "5.7.26"),
        ),
        ("Status: 4.2.2\n", ("delayed", "4.2.2")),
        ("Action: failed\nStatus: " + "5" * 100_000 + "\n", ("failed", "")),
        ("Action:\x00failed\n" * 10_000, ("letter", "")),
    ],
)
def test_delivery_status_is_read_as_rfc_3464_words_it(text: str, expected: tuple[str, str]) -> None:
    raw = (
        "From: x@mail.example\r\nContent-Type: multipart/report; report-type=x; boundary=B\r\n\r\n--B\r\n"
        f"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n\r\n{text}\r\n--B--\r\n"
    ).encode()
    said, _ = mail_bounce.read(raw, {"envelope_from": "person@mail.example"})
    assert (said["came"], said["code"]) == expected


def test_states_of_the_receipts_are_those_of_the_delivery_table() -> None:
    assert {s.value for s in (DeliveryState.FAILED, DeliveryState.DELIVERED, DeliveryState.SENT)} <= set(
        DeliveryState
    )
