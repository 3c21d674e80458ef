"""Messages that wait are filed together: each becomes its report once, and none pays for another."""

import json
import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.report import Arrival, Inbound
from intake import desk
from intake.entering import Entering
from intake.filing import AT_ONCE, LAG, Filing
from intake.reading import Locale
from store import audience, inbox, journal, reports, roots, shelf
from store import tables as t
from store.blobs import Blobs
from store.inbox import Arriving

NUMBERS = ("+8613800138000", "+8613800138001")


@pytest.fixture
def filing(store, pool, tmp_path, at) -> Filing:
    return Filing(store=store, blobs=Blobs(tmp_path / "blobs"), pool=pool, locale=Locale(), clock=lambda: at,
                  entering=Entering())  # fmt: skip


def _keep(filing: Filing, *inbounds: Inbound) -> list[str]:
    at = inbounds[0].received_at
    arriving = [
        Arriving(inbound=one, minted=desk.mint_names(at), at=at,
                 blob=filing.blobs.put(one.raw) if len(one.raw) > inbox.INLINE else "")
        for one in inbounds
    ]  # fmt: skip
    return [one.inbound_id for one in filing.store.run(lambda unit: desk.receive_many(unit, arriving))]


def _web(name: str, text: str, at) -> Inbound:
    return Inbound(channel="web", external_id=name, raw=json.dumps({"text": text}).encode(), received_at=at,
                   media_type="application/json", sender="")  # fmt: skip


def _sms(name: str, number: str, text: str, at) -> Inbound:
    form = {
        "AccountSid": "AC" + "1" * 32,
        "MessageSid": f"SM{len(name):032x}",
        "From": number,
        "To": "+8610690000000",
        "Body": text,
    }
    return Inbound(channel="sms", external_id=name, raw=urlencode(form).encode(), received_at=at, sender=number,
                   media_type="application/x-www-form-urlencoded")  # fmt: skip


def _count(filing: Filing, table: Any) -> int:
    return int(filing.store.read(lambda unit: len(unit.rows(table.select()))))


def _is_whole(filing: Filing) -> bool:
    """Whether the journal verifies."""
    public = Ed25519PrivateKey.generate().public_key()
    return filing.store.read(lambda unit: roots.verify(unit, public, {}))[1] == []


def test_all_kinds_go_into_one_transaction_each_as_it_would_alone(filing, at) -> None:
    rows = [{"channel": "sms", "address": NUMBERS[0], "area": "990101", "language": "zh-CN", "group": "subscriber",
             "name": ""}]  # fmt: skip
    filing.store.run(lambda unit: audience.add(unit, rows, at))
    big = _web("big", "河" * inbox.INLINE, at)
    mail = Inbound(channel="email", external_id="m", media_type="message/rfc822", received_at=at, sender="a@example.cn",
                   raw=b"From: a@example.cn\r\nSubject: x\r\n\r\nthe bridge is gone\r\n")  # fmt: skip
    names = _keep(
        filing, _web("w", "河堤漏水", at), _sms("s", NUMBERS[1], "大坪村滑坡", at), _sms("stop", NUMBERS[0], "退订", at),
        big, mail, replace(_web("trap", "x", at), meta={"trap": True}),
    )  # fmt: skip
    made = filing.file_all(names)
    assert [bool(one) for one in made] == [True, True, False, True, True, False]
    texts = {filing.store.read(partial(_text_of, report)) for report in made if report}
    assert texts == {"河堤漏水", "大坪村滑坡", "河" * inbox.INLINE, "the bridge is gone"}
    assert [row.reason for row in filing.store.read(shelf.pending)] == ["honeypot"]
    assert filing.file_all(names) == [None] * len(names), "filed once"
    assert _is_whole(filing)


def _text_of(report_id: str, unit: Any) -> str:
    found = reports.get(unit, report_id)
    assert found is not None
    return found.content.text.strip()


def test_r16_one_that_cannot_be_opened_and_one_that_cannot_be_entered_harm_no_other(
    filing, tmp_path, at
) -> None:
    names = _keep(
        filing, *(_web(f"w{n}", f"第 {n} 条", at) for n in range(6)), _web("big", "河" * inbox.INLINE, at)
    )
    (blob,) = (path for path in (tmp_path / "blobs").rglob("*") if path.is_file())
    blob.unlink()
    taken = filing.store.read(lambda unit: inbox.by_report(unit, _report_of(unit, names[2])))
    assert taken is not None
    filing.store.run(
        lambda unit: journal.append(unit, "report", _report_of(unit, names[2]), "file", by="x", at=at)
    )
    made = filing.file_all(names)
    assert [bool(one) for one in made] == [True, True, False, True, True, True, False]
    assert _count(filing, t.report_row) == 5


def _report_of(unit: Any, inbound_id: str) -> str:
    return str(
        unit.scalar(
            t.inbound.select().with_only_columns(t.inbound.c.report).where(t.inbound.c.id == inbound_id)
        )
    )


def test_runners_that_take_the_same_make_one_report_of_each(filing, at) -> None:
    names = _keep(filing, *(_web(f"w{n}", f"第 {n} 条", at) for n in range(80)))
    late = replace(filing, clock=lambda: at + LAG * 2)
    other = replace(
        late, at_work=type(late.at_work)()
    )  # as in another process: it does not know what we are at
    failed: list[BaseException] = []

    def run(by: Filing, mine: list[str]) -> None:
        try:
            for name in mine:
                by.answer(name)
        except BaseException as error:  # seen below
            failed.append(error)

    runners = [
        threading.Thread(target=run, args=(by, mine))
        for by, mine in ((late, names), (late, names[::-1]), (other, names), (other, names[40:]))
    ]
    for one in runners:
        one.start()
    for one in runners:
        one.join()
    assert not failed
    assert _count(filing, t.report_row) == len(names) == _count(filing, t.report_version)
    assert _is_whole(filing)


def test_one_bell_is_enough_for_those_that_have_waited_long(filing, at) -> None:
    names = _keep(filing, *(_web(f"w{n}", f"第 {n} 条", at) for n in range(AT_ONCE + 10)))
    filing.answer(names[-1])
    assert _count(filing, t.report_row) == 1, "nobody waits long: the others have bells of their own"
    late = replace(filing, clock=lambda: at + timedelta(seconds=1))
    late.answer(names[0])
    assert _count(filing, t.report_row) == 1 + 1 + AT_ONCE


def test_who_reads_slowly_holds_up_neither_those_before_nor_those_behind(filing, pool, at) -> None:
    reached, may_go_on = threading.Event(), threading.Event()

    class Slow:
        def run(self, function: Any, data: bytes, options: Any) -> Any:
            if b"slow" in data:
                reached.set()
                may_go_on.wait(30)
            return pool.run(function, data, options)

    slow = replace(filing, pool=Slow(), clock=lambda: at + timedelta(seconds=1))
    names = _keep(filing, *(_web(f"w{n}", "slow" if n == 2 else f"{n}", at) for n in range(5)))
    runner = threading.Thread(target=slow.answer, args=(names[0],))
    runner.start()
    assert reached.wait(10)
    for _ in range(200):
        if _states(filing, names)[:2] == [Arrival.FILED, Arrival.FILED]:
            break
        threading.Event().wait(0.02)
    assert _states(filing, names)[:2] == [Arrival.FILED, Arrival.FILED], "before it"
    slow.answer(names[4])
    assert _states(filing, names)[3:] == [Arrival.FILED, Arrival.FILED], "behind it, by another runner"
    may_go_on.set()
    runner.join()
    assert _states(filing, names) == [Arrival.FILED] * 5
    assert _count(filing, t.report_row) == 5


def _states(filing: Filing, names: list[str]) -> list[Arrival]:
    return [filing.store.read(partial(_stand, name)) for name in names]


def _stand(name: str, unit: Any) -> Arrival:
    found = inbox.stand_of(unit, name)
    assert found is not None
    return found[0]
