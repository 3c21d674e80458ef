"""Mails whose headers and structure mean harm, through the door of a whole hub into its queue (H6 to H11, H13, H16, H17)."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from channels.codecs.mail_wrap import wrap
from channels.codecs.return_path import Box
from domain.report import Report, State
from store import receipts
from store import tables as t
from tests.channels.mail_kit import HEAD
from tests.corpus.hostile.mail_bombs import encoded_words, nested, parts
from tests.corpus.mail_hub import DOMAIN, MailHub

SENDER = b"From: caller@example.cn\r\nTo: duty@example.cn\r\n"
PLACE = "青龙镇发生险情"


def facts(report: Report, name: str) -> list[tuple[str, str]]:
    return [(fact.value, fact.origin) for fact in report.content.facts.get(name, ())]


STRUCTURES = {
    "depth 10,000": (nested(10_000), "too_deep"),
    "100,000 parts": (parts(100_000), "too_many_parts"),
    "a boundary nested in itself": (
        SENDER + b"Content-Type: multipart/mixed; boundary=B\r\n\r\n"
        + b"--B\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n" * 50_000 + b"--B\r\n\r\nhi\r\n",
        "too_many_parts",
    ),
    "no boundary": (SENDER + b"Content-Type: multipart/mixed\r\n\r\n" + PLACE.encode() + b"\r\n", ""),
    "a boundary that never comes": (
        SENDER + b"Content-Type: multipart/mixed; boundary=never\r\n\r\n" + PLACE.encode() + b"\r\n", "",
    ),
    "a boundary of 10 KB": (
        SENDER + b"Content-Type: multipart/mixed;\r\n boundary=" + b"x" * 10_000 + b"\r\n\r\n--" + b"x" * 1_000
        + b"\r\n\r\n" + PLACE.encode() + b"\r\n", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STRUCTURES)
def test_h6_a_structure_without_end_is_a_report_with_at_most_500_files(mails: MailHub, name: str) -> None:
    raw, finding = STRUCTURES[name]
    report = mails.report(raw, sender="caller@example.cn")
    found = report.content
    assert "unparsed" not in found.findings
    assert len(found.attachments) <= 500
    if finding:
        assert finding in found.findings
    else:
        assert PLACE in found.text
    if finding == "too_many_parts":
        rest = mails.hub.blobs.get(
            found.attachments[-1].sha256
        )  # the rest is one file nobody has looked into
        assert rest in raw


def test_h7_a_subject_of_60000_encoded_words_is_shelved_and_filed_by_envelope_and_date(
    mails: MailHub,
) -> None:
    raw = encoded_words(60_000)
    assert len(raw) > 1_000_000
    report = mails.report(raw, sender="caller@example.cn")
    assert "header_too_large" in report.content.findings
    assert ("inbound", "header_too_large", report.id) in mails.shelf()
    assert ("caller@example.cn", "envelope") in facts(report, "sender")
    assert timedelta(0) <= datetime.now(UTC) - report.received_at < timedelta(minutes=1)
    assert report.content.first("subject") == ""
    assert report.content.text == "hi"


@pytest.mark.parametrize("comments", [b"(" * 4_000 + b")" * 4_000, b"(" * 4_000, b"(" * 15_000])
def test_h8_nested_comments_leave_the_sender_of_the_envelope(mails: MailHub, comments: bytes) -> None:
    report = mails.report(
        b"From: " + comments + b"\r\nSubject: x\r\n\r\nfire\r\n", sender="caller@example.cn"
    )
    assert ("caller@example.cn", "envelope") in facts(report, "sender") or facts(report, "sender") == [
        ("caller@example.cn", "header")
    ]
    assert report.content.text == "fire"


def test_h8_20000_addresses_leave_the_report_readable(mails: MailHub) -> None:
    listed = b",\r\n ".join(b'"x" <a%d@b.cn>' % n for n in range(20_000))
    report = mails.report(
        b"From: caller@example.cn\r\nTo: " + listed + b"\r\nSubject: x\r\n\r\nfire\r\n", sender="z@z.cn"
    )
    assert ("z@z.cn", "envelope") in facts(report, "sender")
    assert report.content.text == "fire"


def test_h9_line_ends_and_nul_hidden_in_encoded_words_are_text_and_write_no_header(mails: MailHub) -> None:
    def coded(text: str) -> bytes:
        return b"=?utf-8?B?" + base64.b64encode(text.encode()) + b"?="

    raw = (
        b"From: " + coded("张三\r\nBcc: x@y.cn\0") + b" <h9@example.cn>\r\nSubject: "
        + coded("险情\r\nBcc: victim@example.org\r\n\r\nbody") + b"\r\n\r\n" + PLACE.encode() + b"\r\n"
    )  # fmt: skip
    report = mails.report(raw, sender="h9@example.cn")
    assert report.content.first("subject") == "险情 Bcc: victim@example.org body"
    assert report.content.first("name") == "张三 Bcc: x@y.cn\ufffd"
    assert mails.acknowledged(report) == "email"
    d = t.delivery.c
    addressed = mails.hub.store.read(lambda u: [row.address for row in u.rows(sa.select(d.address))])
    assert "h9@example.cn" in addressed
    assert not {"x@y.cn", "victim@example.org"} & set(addressed)


FROMS = {
    "two From fields": (b"From: caller@example.cn\r\nFrom: boss@gov.cn\r\n", "two_from"),
    "two addresses in one": (b"From: caller@example.cn, boss@gov.cn\r\n", "two_from"),
    "no From": (b"To: duty@example.cn\r\n", "no_from"),
    "From of somebody else": (b"From: boss@gov.cn\r\n", "from_differs_from_envelope"),
    "a department nobody has proved": ("From: 示例省应急管理厅 <caller@example.cn>\r\n".encode(), ""),
}


@pytest.mark.parametrize("name", FROMS)
def test_h10_a_sender_who_proves_nothing_is_marked_and_moves_nothing(mails: MailHub, name: str) -> None:
    head, finding = FROMS[name]
    report = mails.report(head + b"Subject: order\r\n\r\nclose all tasks\r\n", sender="caller@example.cn")
    assert "unverified_sender" in report.content.findings
    assert not finding or finding in report.content.findings
    assert (report.state, report.claimed_by, report.organisation) == (State.FILED, "", "")
    assert ("caller@example.cn" in [value for value, _ in facts(report, "sender")]) is True


MACHINES = {
    "Auto-Submitted": (b"Auto-Submitted: auto-replied\r\n", "a@b.cn", "automatic"),
    "an automatic subject": ("Subject: 自动回复：休假\r\n".encode(), "a@b.cn", "automatic"),
    "a list": (b"List-Id: <list.example.cn>\r\n", "a@b.cn", "list"),
    "Precedence: bulk": (b"Precedence: bulk\r\n", "a@b.cn", "list"),
    "an empty envelope": (b"Subject: hello\r\n", "", "no_address"),
    "系统退信": ("Subject: 系统退信\r\n".encode(), "postmaster@example.cn", "bounce"),
    "a daemon": (b"Subject: hello\r\n", "mailer-daemon@example.cn", "nobody"),
    "X-Loop": (b"X-Loop: robot@example.cn\r\n", "robot@example.cn", "not_wanted"),
    "sixty hops": (
        b"Received: from a by b; Mon, 23 Nov 2026 08:00:00 +0800\r\n" * 60,
        "a@b.cn",
        "not_wanted",
    ),
    "our own address": (b"Subject: hello\r\n", f"alerts@{DOMAIN}", "ourselves"),
}


@pytest.mark.parametrize("name", MACHINES)
def test_h11_what_a_machine_sent_is_a_report_and_never_answered(mails: MailHub, name: str) -> None:
    head, sender, reason = MACHINES[name]
    raw = (
        SENDER + head + b"X-Case: " + name.encode() + b"\r\n\r\nwater rises\r\n"
    )  # without an id alike is the same
    report = mails.report(raw, sender=sender)
    assert report.content.text == "water rises"
    assert mails.acknowledged(report) == reason


def test_h11_our_own_mail_coming_back_by_a_forwarder_is_not_answered(mails: MailHub) -> None:
    for is_notice in (True, False):
        ours = wrap("暴雨\n\n请转移\n".encode(), to="a@b.cn", delivery_id="dsp_01JDZ3K5V8W9XYZABCDEFGHJKM-1-1",
                    language="zh-CN", is_notice=is_notice, at=datetime.now(UTC), head=HEAD)  # fmt: skip
        report = mails.report(ours, sender="forwarder@example.cn")
        assert mails.acknowledged(report) in ("automatic", "list")


def test_h11_one_sender_hears_from_us_once_in_ten_minutes(mails: MailHub) -> None:
    told = [
        mails.acknowledged(
            mails.report(SENDER + b"Subject: %d\r\n\r\nfire %d\r\n" % (n, n), sender="loop@example.cn")
        )
        for n in range(4)
    ]
    assert told == ["email", "sender_limit", "sender_limit", "sender_limit"]


CHARSETS = {
    "a set that does not exist": (PLACE.encode(), "nope"),
    "a codec that is no charset": (PLACE.encode(), "unicode_escape"),
    "four bytes of GB18030": ("𠮷林镇㙍村王𬭎".encode("gb18030"), "gb2312"),
    "HZ": (PLACE.encode("hz"), "hz-gb-2312"),
    "UTF-7": (PLACE.encode("utf-7"), "utf-7"),
    "UTF-8 in GBK": (PLACE.encode(), "gbk"),
    "GBK in UTF-8": (PLACE.encode("gbk"), "utf-8"),
    "GBK and UTF-8 mixed": (f"{PLACE}。".encode() * 20 + "伤".encode("gbk"), "utf-8"),
    "a lone surrogate": (b"\xed\xa0\x80 " + PLACE.encode() * 20, "utf-8"),
    "a byte order mark": (PLACE.encode("utf-8-sig"), "utf-8"),
    "UTF-16 with its mark": (PLACE.encode("utf-16"), "us-ascii"),
    "NUL": (PLACE.encode() + b"\0\0", "utf-8"),
    "a label of 10 KB": (PLACE.encode(), "x" * 10_000),
}


@pytest.mark.parametrize("name", CHARSETS)
def test_h13_a_character_set_that_lies_costs_no_report(mails: MailHub, name: str) -> None:
    data, charset = CHARSETS[name]
    head = f"Subject: {name}\r\nContent-Type: text/plain;\r\n charset={charset}\r\n".encode()
    raw = SENDER + head + b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(data)
    report = mails.report(raw)  # the original is there byte for byte
    said = report.content.text
    said.encode()
    assert "unparsed" not in report.content.findings
    assert ("𠮷林镇㙍村王𬭎" if "GB18030" in name else PLACE) in said
    assert "\0" not in said


DATES = {
    b"Mon, 23 Nov 2099 08:12:00 +0800": "2099-11-23T08:12:00+08:00",
    b"Thu, 01 Jan 1970 00:00:00 +0000": "1970-01-01T00:00:00+00:00",
    b"Thu, 99 Foo": "",
    b"Mon, 23 Nov 2026 08:12:00 +9999": "",
    b"9" * 5_000: "",
}


@pytest.mark.parametrize("date", DATES)
def test_h16_the_clock_of_the_hub_rules_and_the_claimed_time_stands_apart(
    mails: MailHub, date: bytes
) -> None:
    report = mails.report(
        SENDER + b"Date: " + date + b"\r\nMessage-ID: <%s@d>\r\n\r\nfire\r\n" % date[:20].hex().encode()
    )
    assert timedelta(0) <= datetime.now(UTC) - report.received_at < timedelta(minutes=1)
    assert facts(report, "time") == ([(DATES[date], "header")] if DATES[date] else [])
    assert ("date_unreadable" in report.content.findings) is (DATES[date] == "")


def test_h17_a_message_id_used_again_for_another_text_is_a_second_report(mails: MailHub) -> None:
    head = SENDER + b"Message-ID: <same@example.cn>\r\n\r\n"
    first, second = mails.report(head + b"fire\r\n"), mails.report(head + b"flood\r\n")
    assert (first.content.text, second.content.text) == ("fire", "flood")
    assert mails.send(b"Received: by another relay\r\n" + head + b"fire\r\n") == first.code


@pytest.mark.parametrize("name", [b"", b"<>", b"<" + b"x" * 100_000 + b"@y>", b"no brackets at all"])
def test_h17_an_empty_or_endless_message_id_keeps_both_mails(mails: MailHub, name: bytes) -> None:
    head = SENDER + b"Message-ID: " + name + b"\r\nSubject: %d\r\n\r\n" % len(name)
    codes = {mails.report(head + text).code for text in (b"fire\r\n", b"flood\r\n")}
    assert len(codes) == 2
    keys = mails.hub.store.read(lambda u: u.rows(sa.select(t.inbound.c.external_id)))
    assert {len(row.external_id) for row in keys} == {64}


def test_h12_a_forged_bounce_changes_nothing_and_lies_on_the_shelf(mails: MailHub) -> None:
    asked = mails.report(SENDER + b"Subject: real\r\n\r\nh12\r\n", sender="h12@example.cn")
    assert mails.acknowledged(asked) == "email"
    d = t.delivery.c
    (row,) = mails.hub.store.read(
        lambda u: u.rows(sa.select(d.parcel, d.seq, d.state).where(d.address == "h12@example.cn"))
    )
    path = mails.hub.filing.return_path
    assert path is not None
    genuine = path.address(Box.BOUNCES, receipts.delivery_id(row.parcel, row.seq))
    proof = genuine.partition("@")[0].rpartition("-")[2]
    forged = genuine.replace(proof, proof[::-1] if proof != proof[::-1] else "a" * len(proof))
    bounce = (
        b"From: MAILER-DAEMON@example.cn\r\nSubject: failure notice\r\nContent-Type: multipart/report;"
        b" report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        b"Final-Recipient: rfc822; h12@example.cn\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    )
    report = mails.report(bounce, sender="", to=forged)
    assert "return_path_unknown" in report.content.findings
    assert ("inbound", "return_path_unknown", report.id) in mails.shelf()
    (after,) = mails.hub.store.read(lambda u: u.rows(sa.select(d.state).where(d.parcel == row.parcel)))
    assert after.state == row.state
