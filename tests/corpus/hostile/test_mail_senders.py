"""Mail that pretends: signatures, senders and policies that must not win anybody's trust (PROMISES H93 to H98, H10)."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import dkim
import pytest

from domain.report import State
from domain.sender import SenderCheck, Verdict
from hub import metrics
from sandbox.pool import Pool
from store import journal
from store import tables as t
from tests.corpus.hostile.mail_auth_kit import (
    DEPARTMENT,
    PLAIN,
    SIGNED,
    Street,
    key,
    signed,
    signed_by_hand,
    street,
    zone,
)
from tests.web.console_browser import enter

KEY_AT = f"TXT s1._domainkey.{DEPARTMENT}"
SPF_AT = f"TXT {DEPARTMENT}"
DMARC_AT = f"TXT _dmarc.{DEPARTMENT}"
AUTHOR = f"duty@{DEPARTMENT}"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    opened = Pool()
    yield opened
    opened.close()


@pytest.fixture
def there(sqlite_model: Path, tmp_path: Path, pool: Pool) -> Iterator[Street]:
    """A hub on SQLite."""
    with street(tmp_path / "data", pool=pool, model=sqlite_model) as made:
        yield made


@pytest.fixture
def anywhere(database_url: str, tmp_path: Path, pool: Pool) -> Iterator[Street]:
    """A hub on each kind of database."""
    with street(tmp_path / "data", pool=pool, url=database_url) as made:
        yield made


def _is_no_proof(found: SenderCheck, reason: str) -> None:
    assert (found.verdict, found.trust) == (Verdict.UNVERIFIED, 0)
    assert reason in found.reasons


def test_a_mail_signed_by_its_department_is_verified_and_says_so(anywhere: Street) -> None:
    report_id = anywhere.send(signed())
    before = anywhere.report(report_id)
    assert (before.trust, before.sender and before.sender.reasons) == (0, ("not_yet",))
    assert "unverified_sender" in before.findings
    found, _ = anywhere.look(report_id, zone())
    assert (found.verdict, found.reasons, found.trust) == (Verdict.VERIFIED, (), 1)
    after = anywhere.report(report_id)
    assert after.trust == 1 and "unverified_sender" not in after.findings
    said = anywhere.results(report_id)
    assert [one["result"] for one in said["dkim"]] == ["pass"]
    assert (said["spf"]["result"], said["dmarc"]["result"]) == ("fail", "pass")
    acts = anywhere.hall.hub.store.read(
        lambda u: [row.act for row in journal.entries(u, "report", report_id)]
    )
    assert acts == ["file", "check_sender"]
    assert anywhere.due() == []
    anywhere.checker.check(report_id)  # again, by whoever: nothing happens
    assert anywhere.report(report_id) == after


@pytest.mark.parametrize("canon", [(b"simple", b"simple"), (b"relaxed", b"simple"), (b"simple", b"relaxed")])
def test_every_way_of_signing_is_understood(there: Street, canon: tuple[bytes, bytes]) -> None:
    folded = PLAIN.replace(b"Subject: level 2", b"Subject:  level\r\n\t 2 ")
    assert there.judged(signed(folded, canonicalize=canon)).verdict is Verdict.VERIFIED


def test_an_allowed_address_without_a_signature_is_verified(there: Street) -> None:
    assert there.judged(PLAIN, source="127.0.0.1").verdict is Verdict.VERIFIED


def test_h10_a_forged_department_gets_the_badge_and_sets_nothing_off(anywhere: Street) -> None:
    words = (
        b"Subject: =?utf-8?b?5Yqe57uT?= close the task, event 11B03 grade 1 area 990101, verified, merge\r\n"
        b"X-Priority: 1\r\nImportance: high\r\n"
    )
    forged = re.sub(rb"Subject: [^\r]*\r\n", words, PLAIN)
    report_id = anywhere.send(forged)
    found, _ = anywhere.look(report_id, zone())
    _is_no_proof(found, "spf_fail")
    _is_no_proof(found, "not_signed")
    report = anywhere.report(report_id)
    assert report.trust == 0 and "unverified_sender" in report.findings
    assert report.state is State.FILED
    assert (report.event_code, report.grade, report.area, report.claimed_by) == ("", None, "", "")
    told = anywhere.hall.get("officer", f"/v1/reports/{report_id}").json()
    assert (told["trust"], told["sender_check"]["verdict"]) == (0, "unverified")
    assert told["sender_check"]["results"]["spf"] == {
        "result": "fail",
        "domain": DEPARTMENT,
        "reason": "spf_fail",
    }
    rows = anywhere.hall.hub.store.read(
        lambda u: [(row.act, row.by) for row in u.rows(t.journal.select()) if row.entity == report_id]
    )
    assert rows == [("file", "system"), ("check_sender", "system")]  # no act of the duty room
    assert anywhere.hall.count(t.release_row) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((b"From: ", b"From: other@elsewhere.example\r\nFrom: "), "field_twice"),
        ((b"From: ", b"X-From: "), "no_domain"),
        ((b"<duty@flood.example.cn>", b"<duty@flood.example.cn>, <x@flood.example.cn>"), "no_domain"),
    ],
)
def test_h10_two_authors_or_none_are_no_author(
    there: Street, change: tuple[bytes, bytes], reason: str
) -> None:
    _is_no_proof(there.judged(PLAIN.replace(*change), source="127.0.0.1"), reason)


def test_h10_the_desk_shows_the_badge_with_its_reasons_in_both_languages(there: Street) -> None:
    desk = enter(there.hall, "officer")
    forged, honest = there.send(PLAIN), there.send(signed(PLAIN.replace(b"<1@", b"<2@")))
    assert (
        unescape(desk.get(f"/console/reports/{forged}").text).count("发件人未核对") >= 2
    )  # not looked at yet
    for report_id in (forged, honest):
        there.look(report_id, zone())
    page = unescape(desk.get(f"/console/reports/{forged}").text)
    for told in (
        "发件人未核实",
        "没有 DKIM 签名",
        "投递地址未获该域名授权（SPF）",
        "SPF fail",
        "DMARC fail",
        "核对发件人",
    ):
        assert told in page, told
    assert "发件人身份未经核实" in page
    good = unescape(desk.get(f"/console/reports/{honest}").text)
    assert "发件域名已核实" in good and "DKIM pass" in good and "发件人身份未经核实" not in good
    queue = unescape(desk.get("/console").text)
    assert queue.count("发件人未核实") == 1 and "没有 DKIM 签名" in queue
    assert desk.get("/console?lang=en").status_code == 303
    page = unescape(desk.get(f"/console/reports/{forged}").text)
    assert "Unverified sender" in page and "There is no DKIM signature" in page
    assert b'tocsin_mail_senders{verdict="unverified"} 1.0' in metrics.text(there.hall.hub)


def test_h10_an_envelope_of_somebody_elses_proves_nothing_for_from(there: Street) -> None:
    own = {
        "TXT crowd.example": ["v=spf1 ip4:127.0.0.0/8 -all"],
        "TXT _dmarc.crowd.example": ["v=DMARC1; p=reject"],
    }
    names = zone(**own)
    found = there.judged(PLAIN, names, sender="a@crowd.example")
    assert (found.verdict, found.trust) == (Verdict.UNVERIFIED, 0)
    assert "from_differs_from_envelope" in there.report(there.send(PLAIN, sender="a@crowd.example")).findings


@pytest.mark.parametrize("name", ["Subject", "From", "Date", "To", "Reply-To", "Message-ID"])
def test_h93_a_second_field_on_top_of_a_good_signature_takes_all_trust(there: Street, name: str) -> None:
    mail = PLAIN.replace(b"To: ", b"Reply-To: back@flood.example.cn\r\nTo: ", 1)
    whole = signed(mail)
    assert there.judged(whole).verdict is Verdict.VERIFIED
    forged = {"Subject": "evacuate now", "From": "boss@flood.example.cn", "Date": "Mon, 23 Nov 2026 15:00:00 +0800",
              "To": "all@hub.example", "Reply-To": "thief@crowd.example", "Message-ID": "<2@flood.example.cn>"}  # fmt: skip
    spoiled = f"{name}: {forged[name]}\r\n".encode() + whole
    proof = dkim.verify(spoiled, dnsfunc=lambda *_, **__: key()[1].encode())
    assert proof or name == "From"  # what others believe
    report_id = there.send(spoiled + b"\r\n")  # a body of its own: no repeat of the mail above
    found, _ = there.look(report_id, zone())
    _is_no_proof(found, "field_twice")
    report = there.report(report_id)
    assert report.content.first("subject") == "level 2 at the north dyke"  # the instance that was signed
    assert report.content.facts["sender"][0].value == AUTHOR
    assert report.content.first("time").startswith("2026-11-23T14:00:00")
    assert {"two_subjects", "two_from", "field_twice"} & set(report.findings)


def test_h93_a_missing_field_takes_all_trust_and_an_unsigned_reply_to_too(there: Street) -> None:
    _is_no_proof(there.judged(signed(PLAIN.replace(b"Subject: ", b"X-Subject: "))), "field_missing")
    added = b"Reply-To: thief@crowd.example\r\n" + signed(PLAIN.replace(b"<1@", b"<9@"))
    _is_no_proof(there.judged(added), "signature_partial")


def test_h94_a_signature_over_a_part_of_the_text_counts_as_none(there: Street) -> None:
    whole = signed(length=True)
    assert b" l=" in whole
    appended = whole + b"<h1>All clear. Send everybody home.</h1>\r\n"
    assert dkim.verify(appended, dnsfunc=lambda *_, **__: key()[1].encode())
    for mail in (whole, appended):
        found = there.judged(mail)
        _is_no_proof(found, "signature_partial")


def test_h95_a_signed_mail_sent_again_is_one_report_or_no_proof(anywhere: Street) -> None:
    first = anywhere.send(signed())
    assert anywhere.look(first, zone())[0].trust == 1
    same = signed()
    again = anywhere.send(same, sender="a@crowd.example", source="127.0.0.77", to="other@hub.example")
    assert again == first  # the door knows it by its id and text, from wherever it comes
    loose = PLAIN.replace(
        b"  12.4 m.", b" 12.4 m. "
    )  # relaxed signatures do not see blanks: another text to the door
    report_id = anywhere.send(same[: -len(PLAIN)] + loose, sender="a@crowd.example", source="127.0.0.77")
    assert report_id != first
    found, _ = anywhere.look(report_id, zone())
    _is_no_proof(found, "replayed")
    assert anywhere.results(report_id)["dkim"][0]["result"] == "pass"
    assert anywhere.results(report_id)["repeats"] == first


def test_h95_an_old_signature_and_one_past_its_time_are_no_proof(there: Street) -> None:
    whole = signed()
    there.hall.clock.forward(days=6)
    assert there.judged(whole).verdict is Verdict.VERIFIED
    there.hall.clock.forward(days=1, minutes=1)
    _is_no_proof(there.judged(whole + b"\r\n"), "signature_old")
    now = int(there.hall.clock().timestamp())
    for n, (tags, is_good) in enumerate(((f"t={now}; x={now + 60}; ", True), (f"t={now - 60}; x={now - 1}; ", False),
                                         (f"t={now + 7200}; ", False), ("t=yesterday; ", False))):  # fmt: skip
        mail = signed_by_hand(PLAIN.replace(b"<1@", b"<x%d@" % n), tags=tags)
        found = there.judged(mail)
        assert found.verdict is (Verdict.VERIFIED if is_good else Verdict.UNVERIFIED), (tags, found)


POLICY = {  # what is wrong with a signature -> (mail, names, reason)
    "rsa of 768 bits": (
        lambda: signed(bits=768), lambda: zone(**{KEY_AT: [key(768)[1]]}), ("signature_weak", "key_unusable"),
    ),
    "sha-1": (lambda: signed(signature_algorithm=b"rsa-sha1"), zone, ("signature_weak",)),
    "h= without subject": (
        lambda: signed(include_headers=[n for n in SIGNED[:5] if n != b"subject"]), zone, ("signature_partial",),
    ),
    "h= without date": (
        lambda: signed(include_headers=[n for n in SIGNED[:5] if n != b"date"]), zone, ("signature_partial",),
    ),
    "d= of another's that looks alike": (
        lambda: signed(domain="f1ood.example.cn".replace("example", "examp1e")),
        lambda: zone(**{"TXT s1._domainkey.f1ood.examp1e.cn": [key()[1]]}), ("signed_by_others",),
    ),
    "d= of a public suffix": (
        lambda: signed(domain="com.cn"), lambda: zone(**{"TXT s1._domainkey.com.cn": [key()[1]]}), ("public_suffix",),
    ),
    "a key record of 100 KB": (
        signed, lambda: zone(**{KEY_AT: [key()[1] + " " * 100_000]}), ("key_unusable",),
    ),
    "two key records": (signed, lambda: zone(**{KEY_AT: [key()[1], key()[1]]}), ("key_unusable",)),
    "a revoked key": (signed, lambda: zone(**{KEY_AT: ["v=DKIM1; p="]}), ("key_unusable",)),
    "another's key": (signed, lambda: zone(**{KEY_AT: [key(2048, "other")[1]]}), ("wrong_signature",)),
    "no key": (signed, lambda: zone(**{KEY_AT: []}), ("key_missing",)),
    "a key on trial": (
        signed, lambda: zone(**{KEY_AT: [key()[1].replace("k=rsa", "k=rsa; t=y")]}), ("key_on_trial",),
    ),
    "another text": (lambda: signed().replace(b"12.4", b"14.2"), zone, ("body_changed",)),
    "another subject": (lambda: signed().replace(b"level 2", b"level 1"), zone, ("wrong_signature",)),
    "a signature said twice over": (
        lambda: signed().replace(b"d=flood", b"d=x.cn; d=flood"), zone, ("bad_signature",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", POLICY)
def test_h96_signatures_that_prove_nothing(there: Street, fault: str) -> None:
    mail, names, reasons = POLICY[fault]
    found = there.judged(mail(), names())
    assert (found.verdict, found.trust) == (Verdict.UNVERIFIED, 0)
    assert set(reasons) & set(found.reasons), found


def test_h96_names_made_to_look_like_a_department_are_marked(
    sqlite_model: Path, tmp_path: Path, pool: Pool
) -> None:
    with street(tmp_path / "data", pool=pool, model=sqlite_model, department_domains=DEPARTMENT) as there:
        liars = (
            "fl0od.example.cn",
            "flood-example.cn",
            "flood.example.cn.crowd.cn",
            "xn--fld-teda.example.cn",
        )
        for n, liar in enumerate(liars):
            mail = PLAIN.replace(b"@flood.example.cn", b"@" + liar.encode()).replace(b"<1@", b"<%d@" % n)
            names = {f"TXT s1._domainkey.{liar}": [key()[1]], f"TXT _dmarc.{liar}": ["v=DMARC1; p=reject"]}
            _is_no_proof(there.judged(signed(mail, domain=liar), names), "domain_lookalike")
        assert there.judged(signed()).verdict is Verdict.VERIFIED


def test_h96_of_ten_signatures_three_are_looked_at(there: Street) -> None:
    whole = signed()
    for n in range(9):
        whole = signed(whole, domain=f"crowd{n}.example")
    names = zone(**{f"TXT s1._domainkey.crowd{n}.example": [key()[1]] for n in range(9)})
    report_id = there.send(whole)
    found, table = there.look(report_id, names)
    assert found.verdict is Verdict.VERIFIED  # the department's own is among the three
    assert len([question for question in table.asked if "_domainkey" in question]) == 3
    results = [one["result"] for one in there.results(report_id)["dkim"]]
    assert results.count("neutral") == 7 and results.count("pass") == 3


def test_h96_h97_a_dns_that_hangs_is_asked_after_the_250_and_after_filing(there: Street) -> None:
    report_id = there.send(signed())  # the door has answered, the report is in the queue
    assert there.report(report_id).state is State.FILED and there.due() == [report_id]
    hanging = dict.fromkeys((KEY_AT, SPF_AT, DMARC_AT))
    found, _ = there.look(report_id, hanging)
    assert (found.verdict, found.trust) == (Verdict.UNCHECKED, 0)
    for wait in (timedelta(minutes=1), timedelta(minutes=10)):
        assert there.due() == []
        there.hall.clock.at += wait
        assert there.due() == [report_id]
        found, _ = there.look(report_id, hanging)
    assert (found.verdict, found.trust) == (Verdict.UNCHECKED, 0) and "dns_unavailable" in found.reasons
    there.hall.clock.forward(days=1)
    assert there.due() == []


SPF = {  # -> (names beside the department's own record, result, reason)
    "include loop": ({SPF_AT: [f"v=spf1 include:{DEPARTMENT} -all"]}, "permerror", "spf_too_much"),
    "include circle": (
        {SPF_AT: ["v=spf1 include:b.example -all"], "TXT b.example": [f"v=spf1 include:{DEPARTMENT} -all"]},
        "permerror", "spf_too_much",
    ),
    "eleven look-ups": (
        {SPF_AT: ["v=spf1 " + " ".join(f"a:h{n}.example" for n in range(11)) + " ip4:127.0.0.9 -all"],
         **{f"A h{n}.example": ["192.0.2.1"] for n in range(11)}}, "permerror", "spf_too_much",
    ),
    "three void look-ups": (
        {SPF_AT: ["v=spf1 a:h1.example a:h2.example a:h3.example ip4:127.0.0.9 -all"]}, "permerror", "spf_too_much",
    ),
    "eleven mail hosts": (
        {SPF_AT: ["v=spf1 mx ip4:127.0.0.9 -all"], f"MX {DEPARTMENT}": [f"h{n}.example" for n in range(11)]},
        "permerror", "spf_too_much",
    ),
    "+all": ({SPF_AT: ["v=spf1 +all"]}, "policy", "spf_open"),
    "+all by include": (
        {SPF_AT: ["v=spf1 include:b.example -all"], "TXT b.example": ["v=spf1 all"]}, "policy", "spf_open",
    ),
    "+all in two halves": ({SPF_AT: ["v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all"]}, "policy", "spf_open"),
    "asks for the mailbox": ({SPF_AT: ["v=spf1 exists:%{l}.evil.example +all"]}, "policy", "spf_asks_who"),
    "asks for the sender": ({SPF_AT: ["v=spf1 exists:%{s}.evil.example +all"]}, "policy", "spf_asks_who"),
    "two records": ({SPF_AT: ["v=spf1 ip4:127.0.0.9", "v=spf1 ip4:127.0.0.9"]}, "permerror", "spf_broken"),
    "broken": ({SPF_AT: ["v=spf1 ip4:127.0.0.9 moo"]}, "permerror", "spf_broken"),
    "neutral": ({SPF_AT: ["v=spf1 ?all"]}, "neutral", "spf_neutral"),
    "softfail": ({SPF_AT: ["v=spf1 ~all"]}, "softfail", "spf_softfail"),
    "none": ({SPF_AT: []}, "none", "spf_none"),
}  # fmt: skip


@pytest.mark.parametrize("fault", SPF)
def test_h97_spf_that_proves_nothing(there: Street, fault: str) -> None:
    names, result, reason = SPF[fault]
    report_id = there.send(PLAIN)
    found, table = there.look(report_id, zone(**names))
    _is_no_proof(found, reason)
    said = there.results(report_id)["spf"]
    assert (said["result"], said["reason"]) == (result, reason)
    assert len(table.asked) <= 15
    assert not any("duty" in question for question in table.asked), "the mailbox was told"


@pytest.mark.parametrize("silent", [SPF_AT, DMARC_AT])
def test_h97_an_answer_that_does_not_come_is_never_a_pass(there: Street, silent: str) -> None:
    found = there.judged(PLAIN, zone(**{silent: None}), source="127.0.0.1")
    assert (found.verdict, found.trust) == (Verdict.UNCHECKED, 0)


def test_h97_a_hub_without_name_servers_says_unchecked_and_asks_nobody(
    sqlite_model: Path, tmp_path: Path, pool: Pool
) -> None:
    with street(tmp_path / "data", pool=pool, model=sqlite_model, dns_servers="") as there:
        assert there.hall.hub.checker is None
        report = there.report(there.send(signed()))
        assert (report.sender and report.sender.verdict, report.trust) == (Verdict.UNCHECKED, 0)
        assert there.due() == [] and "unverified_sender" in report.findings
        told = there.hall.get("officer", f"/v1/reports/{report.id}").json()["sender_check"]
        assert told == {"verdict": "unchecked", "reasons": ["not_checked"], "checked_at": None, "results": {}}


DMARC = {
    "two records": (["v=DMARC1; p=reject", "v=DMARC1; p=reject"], "dmarc_twice"),
    "none": ([], "dmarc_missing"),
    "p=none": (["v=DMARC1; p=none"], "dmarc_monitors"),
    "pct=0": (["v=DMARC1; p=reject; pct=0"], "dmarc_monitors"),
    "broken": (["v=DMARC1; p=reject; p=none"], "dmarc_broken"),
    "no policy": (["v=DMARC1"], "dmarc_monitors"),
}


@pytest.mark.parametrize("fault", DMARC)
def test_h98_a_domain_without_one_strict_policy_vouches_for_nothing(there: Street, fault: str) -> None:
    records, reason = DMARC[fault]
    report_id = there.send(signed(), source="127.0.0.1")
    found, _ = there.look(report_id, zone(**{DMARC_AT: records}))
    _is_no_proof(found, reason)
    said = there.results(report_id)
    assert (said["dkim"][0]["result"], said["spf"]["result"]) == ("pass", "pass")


def test_h98_a_subdomain_goes_by_its_organisations_policy_for_subdomains(there: Street) -> None:
    for n, (record, verdict) in enumerate((("v=DMARC1; p=none; sp=reject", Verdict.VERIFIED),
                                           ("v=DMARC1; p=reject; sp=none", Verdict.UNVERIFIED))):  # fmt: skip
        names = zone(**{DMARC_AT: [], "TXT _dmarc.example.cn": [record]})
        assert there.judged(signed(PLAIN.replace(b"<1@", b"<%d@" % n)), names).verdict is verdict


@pytest.mark.parametrize("name", [b"hub.example", b"HUB.example 1", b"(x) tocsin"])
def test_h98_results_forged_in_our_name_are_told_and_believed_by_nobody(there: Street, name: bytes) -> None:
    forged = b"Authentication-Results: " + name + b"; dkim=pass header.d=flood.example.cn; dmarc=pass\r\n"
    report_id = there.send(forged + PLAIN)
    found, _ = there.look(report_id, zone())
    _is_no_proof(found, "forged_results")
    assert there.results(report_id)["dmarc"]["result"] == "fail"  # ours
    others = there.judged(forged.replace(name, b"mx.crowd.example") + signed(PLAIN.replace(b"<1@", b"<2@")))
    assert others.verdict is Verdict.VERIFIED  # another's word is neither believed nor held against it


def test_mails_with_irregular_line_ends_are_read_differently_by_everybody_and_trusted_by_nobody(
    there: Street,
) -> None:
    _is_no_proof(there.judged(b"X-A: 1\rSubject: evacuate\r\n" + signed()), "header_unclear")
