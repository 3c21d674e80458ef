"""The oracle is silent over an honest hub, and names the promise when one is broken."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from channels.twilio_sms import TwilioSms
from hub import anchor, keys
from store import tables as t
from tests.faults import oracle
from tests.faults.oracle import Evidence
from tests.faults.plan import Act, Plan, Step, Told
from tests.faults.provider_process import running
from tests.faults.walkers import Warned
from tests.outbox.outbox_kit import TEXT, approve, outgoing, phones, run_all, subscribe

# On one database: the seeded kills ask the same questions of both.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ACCOUNT, TOKEN = "AC" + "1" * 32, "2" * 32


@pytest.fixture
def honest(store, at, tmp_path):
    """Five phones reached, one unsure because the provider's answer was an error, and what was promised of it."""
    for name in ("keys", "blobs", "spool"):
        (tmp_path / name).mkdir(exist_ok=True)
    keys.load(tmp_path / "keys", may_make=True)
    subscribe(store, at, phones(6))
    release_id, _ = approve(store, at)
    store.run(lambda unit: unit.execute(t.approval.insert(), vote(unit, release_id, at)))
    with running(tmp_path / "ledger", account_sid=ACCOUNT, auth_token=TOKEN) as provider:
        quiet = [Step(told=Told.NEVER)] * 5
        provider.obey(Plan(script=[Step(act=Act.ERROR_AFTER, told=Told.NEVER), *quiet]))
        wire = TwilioSms(account_sid=ACCOUNT, auth_token=TOKEN, sender="+8613900999999", base_url=provider.url,
                         status_callback_url="http://127.0.0.1:9/", reaches_the_world=False)  # fmt: skip
        out = outgoing(store, at, tmp_path, wire=wire)
        run_all(out)
        out.courier.close()
        calls = provider.calls()
    return Evidence(data_dir=tmp_path, anchors=anchor.read(tmp_path), at=at,
                    answered={"sms 1": 1}, found=["sms 1"], calls=calls, deaths=0,
                    warnings=[Warned(id=release_id, shown={"sms zh-CN": calls[0].sha256})])  # fmt: skip


def vote(unit, release_id: str, at, name: str = "apv_1") -> dict[str, object]:
    digest = unit.scalar(sa.select(t.release_row.c.digest).where(t.release_row.c.id == release_id))
    return {
        "id": name,
        "release": release_id,
        "digest": digest,
        "person": "per_author",
        "act": "approve",
        "at": at,
    }


def broken(store, evidence: Evidence) -> set[str]:
    return {one.split()[0] for one in store.read(lambda unit: oracle.check(unit, evidence))}


def test_an_honest_run_passes(store, honest) -> None:
    assert {call.to for call in honest.calls} == set(phones(6))
    assert store.read(oracle.progress)["delivery unsure"] == 1
    assert TEXT["zh-CN"] == honest.calls[0].body
    assert store.read(lambda unit: oracle.check(unit, honest)) == []
    assert store.read(oracle.is_quiet)


@pytest.mark.parametrize(("promise", "change"), [
    ("I1", lambda e: replace(e, answered={"sms 1": 1, "sms 2": 3})),
    ("I2", lambda e: replace(e, found=["sms 1", "sms 1"])),
    ("I3", lambda e: replace(e, calls=[*e.calls, replace(e.calls[-1], n=7)])),  # sent twice
    ("I3", lambda e: replace(e, calls=[*e.calls, replace(e.calls[0], n=7)])),  # repeated though unsure
    ("I3", lambda e: replace(e, calls=[*e.calls, replace(e.calls[-1], n=7, tag="dsp_x-0-1")])),  # of no row
    ("I3", lambda e: replace(e, calls=e.calls[:-1])),  # called accepted and never sent
    ("I3", lambda e: replace(e, calls=[replace(c, is_ambiguous=False) for c in e.calls])),  # unsure for nothing
    ("I4", lambda e: replace(e, calls=[*e.calls[:-1], replace(e.calls[-1], sha256="0" * 64)])),
    ("I4", lambda e: replace(e, warnings=[Warned(id="rel_other", is_approved=True)])),
    ("I8", lambda e: replace(e, warnings=[replace(e.warnings[0], is_approved=True)])),  # no page stands there
    ("I3", lambda e: replace(e, warnings=[replace(e.warnings[0], ending="stop", ended_at=1.0)])),  # R9
    ("I7", lambda e: replace(e, warnings=[replace(e.warnings[0], ending="correct", ended_at=1e9)])),  # R31
])  # fmt: skip
def test_what_the_world_saw_and_the_rows_do_not_is_named(store, honest, promise, change) -> None:
    assert promise in broken(store, change(honest))


def test_half_an_approval_is_named(store, honest, at) -> None:
    def half(unit) -> None:
        row = dict(unit.rows(sa.select(t.release_row))[0]._mapping)
        row |= {"id": "rel_half", "identifier": "cap_half", "state": "submitted", "digest": "0" * 64}
        unit.execute(t.release_row.insert(), row)
        unit.execute(t.approval.insert(), vote(unit, "rel_half", at, "apv_2"))

    store.run(half)
    assert broken(store, honest) == {"I4", "I5"}  # and no journal tells of it


def test_a_delivery_that_is_called_accepted_without_the_providers_name_is_named(store, honest) -> None:
    def forget(unit) -> None:
        unit.execute(t.delivery.update().where(t.delivery.c.state == "accepted").values(provider_id=None))

    store.run(forget)
    assert broken(store, honest) == {"I7"}


def test_the_spare_providers_book_is_read_too(store, honest) -> None:
    def reroute(unit) -> str:
        accepted = unit.rows(sa.select(t.delivery).where(t.delivery.c.state == "accepted"))[0]
        mine = (t.delivery.c.parcel == accepted.parcel, t.delivery.c.seq == accepted.seq)
        unit.execute(t.delivery.update().where(*mine).values(spare="smpp", provider_id="smpp:7"))
        return f"{accepted.parcel}-{accepted.seq}"

    tag = store.run(reroute)
    calls = [call for call in honest.calls if call.tag != tag]

    def found(evidence: Evidence) -> list[str]:
        return [one for one in store.read(lambda unit: oracle.check(unit, evidence)) if tag in one]

    assert found(replace(honest, calls=calls, spare=lambda: frozenset({"smpp:7"}))) == []
    assert found(replace(honest, calls=calls)) == [f"I3 {tag} is accepted here, by smpp, and unknown there"]
    both = found(replace(honest, spare=lambda: frozenset({"smpp:7"})))
    assert both == [f"I3 {tag} was taken by the provider and by its spare"]


def test_what_is_sent_while_the_hub_is_looked_at_is_found_in_the_ledger_of_then(store, honest) -> None:
    early = replace(honest, calls=honest.calls[:-1])
    assert "I3" in broken(store, early)
    assert broken(store, replace(early, later=lambda: honest.calls)) == set()


def test_a_changed_journal_is_named(store, honest) -> None:
    def change(unit) -> None:
        table = " ON journal" if unit.is_postgres else ""
        unit.connection.exec_driver_sql(f"DROP TRIGGER journal_no_update{table}")
        unit.execute(t.journal.update().where(t.journal.c.n == 1).values(by="other"))

    store.run(change)
    assert broken(store, honest) == {"I5"}


def test_a_parcel_that_a_dead_worker_holds_is_named(store, honest, at) -> None:
    def take(unit) -> None:
        row = unit.rows(sa.select(t.parcel_row))[0]._mapping
        held = {"id": "par_x", "state": "leased", "lease_until": at + timedelta(seconds=30), "fence": 1}
        unit.execute(t.parcel_row.insert(), {**row, **held, "n": 99})

    store.run(take)
    assert broken(store, honest) == set()
    assert broken(store, replace(honest, at=at + timedelta(seconds=36))) == {"I6"}
    assert not store.read(oracle.is_quiet)


def test_a_delivery_that_is_missing_is_named(store, honest) -> None:
    def cut(unit) -> None:
        moves = t.release_row.update().where(t.release_row.c.id == honest.warnings[0].id)
        unit.execute(moves.values(reach=7))

    store.run(cut)
    assert broken(store, honest) == {"I7"}


def test_a_row_without_its_file_and_a_frame_that_waits_are_named(store, honest, at) -> None:
    row = {"sha256": "1" * 64, "size": 1, "handling": "internal", "created_at": at}
    store.run(lambda unit: unit.execute(t.blob.insert(), row))
    found = store.read(lambda unit: oracle.check(unit, honest))
    assert [one.split()[:2] for one in found] == [["I8", "blob"]]
    (honest.data_dir / "spool" / "inb_1.frame").write_bytes(b"x")
    assert len(store.read(lambda unit: oracle.check(unit, honest))) == 2


def test_a_file_that_holds_other_bytes_is_named(store, honest, at) -> None:
    name = "2" * 64
    (honest.data_dir / "blobs" / "22").mkdir()
    (honest.data_dir / "blobs" / "22" / name).write_bytes(b"other")
    row = {"sha256": name, "size": 5, "handling": "internal", "created_at": at}
    store.run(lambda unit: unit.execute(t.blob.insert(), row))
    assert broken(store, honest) == {"I8"}
