"""One person, one text from the closed list, once; nobody approves it and no opt-out ends it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import BadInput, Unsure
from domain.notice import Notice, NoticeKind
from outbox import ledger, recall
from store import audience, promises
from tests.outbox.outbox_kit import Wire, outgoing, phones, run_all

ADDRESS = phones(1)[0]


def notice(at, **changes):
    made = Notice(
        kind=NoticeKind.ACKNOWLEDGEMENT, about="rep_1", channel="sms", address=ADDRESS, language="zh-CN",
        payload="您的报告 4F7K-92PX 已收到。".encode(), expires=at + timedelta(hours=2),
    )  # fmt: skip
    return replace(made, **changes)


def test_a_notice_leaves_once_with_its_bytes(store, at, tmp_path):
    names = [store.run(lambda u: ledger.put_notice(u, notice(at), at)) for _ in range(3)]
    assert [bool(name) for name in names] == [True, False, False]
    wire = Wire()
    run_all(outgoing(store, at, tmp_path, wire=wire))
    assert (wire.taken, wire.payloads) == ([ADDRESS], {notice(at).payload})
    (row,) = store.read(lambda u: promises.of_report(u, "rep_1"))
    assert (row.notice, row.channel, row.state) == ("acknowledgement", "sms", "accepted")


def test_an_ended_subscription_does_not_silence_the_answer_to_a_report(store, at, tmp_path):
    store.run(lambda u: audience.opt_out(u, "sms", ADDRESS, inbound="", at=at))
    store.run(lambda u: ledger.put_notice(u, notice(at), at))
    wire = Wire()
    run_all(outgoing(store, at, tmp_path, wire=wire))
    assert wire.taken == [ADDRESS]


def test_a_notice_without_an_answer_is_unsure_and_not_repeated(store, at, tmp_path):
    store.run(lambda u: ledger.put_notice(u, notice(at), at))
    wire = Wire(lambda _a, _n: Unsure("silence"))
    run_all(outgoing(store, at, tmp_path, wire=wire))
    assert len(wire.started) == 1
    (row,) = store.read(lambda u: promises.of_report(u, "rep_1"))
    assert row.state == "unsure"


def test_a_recall_of_a_release_does_not_touch_notices(store, at, tmp_path):
    store.run(lambda u: ledger.put_notice(u, notice(at), at))
    store.run(lambda u: recall.stop(u, "", by="x", at=at, reason="r"))
    wire = Wire()
    run_all(outgoing(store, at, tmp_path, wire=wire))
    assert wire.taken == [ADDRESS]


@pytest.mark.parametrize("wrong", [{"channel": "cap_feed"}, {"channel": "web_notice"}, {"address": ""},
                                   {"kind": "warning"}])  # fmt: skip
def test_a_notice_never_goes_to_many_and_never_says_what_is_not_on_the_list(store, at, wrong):
    with pytest.raises(BadInput):
        store.run(lambda u: ledger.put_notice(u, notice(at, **wrong), at))
