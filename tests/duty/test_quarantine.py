"""What bears a mark of secrecy: held, let go, or destroyed by two; whoever reads it afterwards is told so."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from approval import desk as approval_desk
from domain.errors import BadInput, Conflict, HubError, IllegalMove, NotAllowed, NotFound
from domain.ids import mint
from domain.person import Person, Role
from domain.report import DESTROYED, Attachment, Content
from domain.secrecy import HUB, Compartment, Eyes, PurgeState
from duty import briefs, clocks, incidents, quarantine
from duty import grants as grant_desk
from duty import reports as desk
from store import blobs as blob_book
from store import compartments, grants, inbox, journal, people, purges, reports, roots
from store import tables as t
from store.blobs import FRESH, Blobs
from store.reports import Filter
from tests.reports_kit import filed

GUARD = Person(id="per_s1", name="保密员一", organisation="", roles=frozenset({Role.SECURITY}))
SECOND = Person(id="per_s2", name="保密员二", organisation="", roles=frozenset({Role.SECURITY}))
OFFICER = Person(id="per_o", name="值班员", organisation="", roles=frozenset({Role.OFFICER, Role.LEADER}))
ADMIN = Person(id="per_d", name="管理员", organisation="", roles=frozenset({Role.ADMIN}))
WORDS = "机密★1年 会议纪要 XVQZ"


@pytest.fixture
def marked(store, areas, at):
    for person in (GUARD, SECOND, OFFICER, ADMIN):
        store.run(lambda u, p=person: people.add(u, p, login=p.id, password_hash="", at=at))
    return filed(store, at, WORDS)


def ordered(store, marked, at):
    return store.run(lambda u: quarantine.order(u, marked, by=GUARD, at=at, reason="误投的密件"))


def test_nothing_is_made_of_what_is_marked_and_no_queue_holds_it(store, marked, at) -> None:
    acts = (
        lambda u: desk.claim(u, marked, by=OFFICER, at=at),
        lambda u: desk.close(u, marked, by=OFFICER, at=at, reason="r"),
        lambda u: desk.flag(u, marked, by=OFFICER, at=at, is_sensitive=True, reason="r"),
        lambda u: incidents.open_incident(u, marked, by=OFFICER, at=at),
        lambda u: clocks.set_times(u, marked, by=OFFICER, at=at, occurred_at=at),
        lambda u: briefs.draft(u, marked, by=OFFICER, at=at, kind=briefs.Kind.FIRST, title="t", body="b"),
    )
    for act in acts:
        with pytest.raises(Conflict) as refused:
            store.run(act)
        assert refused.value.code == "quarantined"
    draft = type("Draft", (), {"from_report": marked, "from_bulletin": ""})
    with pytest.raises(Conflict):
        store.run(lambda u: approval_desk._check_origin(u, draft))
    assert store.read(reports.counts) == {}
    assert store.read(lambda u: reports.page(u, Filter(), limit=9)) == []
    assert [r.id for r in store.read(lambda u: reports.page(u, Filter(is_marked=True), limit=9))] == [marked]
    assert store.read(purges.is_any_held) and store.read(purges.held) == 1
    assert store.seen_by(Eyes(granted=3)).read(lambda u: reports.get(u, marked)) is None


def test_let_go_by_his_word_it_is_a_report_like_others_and_studied(store, marked, at) -> None:
    for who in (OFFICER, ADMIN):
        with pytest.raises(NotAllowed):
            store.run(lambda u, w=who: quarantine.let_go(u, marked, by=w, at=at, reason="r"))
    with pytest.raises(BadInput):
        store.run(lambda u: quarantine.let_go(u, marked, by=GUARD, at=at, reason=" "))
    store.run(lambda u: quarantine.let_go(u, marked, by=GUARD, at=at, reason="只是引用"))
    assert store.seen_by(Eyes()).read(lambda u: reports.get(u, marked)).content.text == WORDS
    assert not store.read(purges.is_any_held)
    entry = store.read(lambda u: journal.entries(u, "report", marked))[-1]
    assert (entry.act, entry.by, entry.detail["why"]) == ("unseal", GUARD.id, "只是引用")
    with pytest.raises(NotFound):  # and is none of his any more
        store.run(lambda u: quarantine.order(u, marked, by=GUARD, at=at, reason="r"))


def test_it_takes_two_and_neither_is_anybody_else(store, marked, at) -> None:
    for who in (OFFICER, ADMIN):
        with pytest.raises(NotAllowed):
            store.run(lambda u, w=who: quarantine.order(u, marked, by=w, at=at, reason="r"))
    made = ordered(store, marked, at)
    with pytest.raises(Conflict):
        ordered(store, marked, at)
    with pytest.raises(NotAllowed) as own:
        store.run(lambda u: quarantine.confirm(u, made.id, by=GUARD, at=at))
    assert own.value.code == "own_work"
    for who in (OFFICER, ADMIN):
        with pytest.raises(NotAllowed):
            store.run(lambda u, w=who: quarantine.confirm(u, made.id, by=w, at=at))
    with pytest.raises(Conflict):
        store.run(lambda u: quarantine.let_go(u, marked, by=SECOND, at=at, reason="r"))
    with pytest.raises(sa.exc.DBAPIError):  # the store itself knows two persons apart
        store.run(
            lambda u: u.execute(
                t.purge.update().values(state="confirmed", settled_by=GUARD.id, settled_at=at)
            )
        )
    assert store.read(lambda u: reports.get(u, marked)).content.text == WORDS
    store.run(lambda u: quarantine.withdraw(u, made.id, by=GUARD, at=at))
    with pytest.raises(IllegalMove):
        store.run(lambda u: quarantine.confirm(u, made.id, by=SECOND, at=at))
    again = ordered(store, marked, at)
    store.run(lambda u: quarantine.confirm(u, again.id, by=SECOND, at=at))
    with pytest.raises(HubError):
        store.run(lambda u: quarantine.confirm(u, again.id, by=SECOND, at=at))
    acts = [e.act for e in store.read(lambda u: journal.entries(u, "report", marked))]
    assert acts == ["purge_order", "purge_withdraw", "purge_order", "purge_confirm"]


def test_two_confirmations_at_once_destroy_once(store, marked, at) -> None:
    made = ordered(store, marked, at)
    third = Person(id="per_s3", name="保密员三", organisation="", roles=frozenset({Role.SECURITY}))
    store.run(lambda u: people.add(u, third, login=third.id, password_hash="", at=at))

    def confirm(who) -> bool:
        try:
            store.run(lambda u: quarantine.confirm(u, made.id, by=who, at=at))
        except HubError:
            return False
        return True

    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(confirm, (SECOND, third))) == [False, True]
    acts = [e.act for e in store.read(lambda u: journal.entries(u, "report", marked))]
    assert acts.count("purge_confirm") == 1


def test_what_is_destroyed_is_said_to_be_and_its_hashes_and_the_journal_stay(
    store, marked, at, tmp_path
) -> None:
    files, thumbs = Blobs(tmp_path / "blobs"), []
    alone, shared = files.put(b"only here"), files.put(b"also elsewhere")
    other = filed(store, at, "甲村着火", sender="+8613900000007")

    def attach(unit) -> None:
        for name, names in ((marked, (alone, shared)), (other, (shared,))):
            report = reports.get(unit, name)
            kept = tuple(
                Attachment(sha256=n, name="a.pdf", media_type="application/pdf", declared_type="", size=9)
                for n in names
            )
            for one in names:
                blob_book.note(unit, one, 9, report.handling, at)
            content = Content(
                text=report.content.text, language="zh", facts=report.content.facts, attachments=kept
            )
            reports.revise(unit, report, content, by="x", at=at)
        row = {"report": marked, "sealed": b"s", "made_at": at}
        unit.execute(t.sketch.insert(), row)

    store.run(attach)
    raw, signer = store.read(lambda u: inbox.by_report(u, marked)).raw_sha256, Ed25519PrivateKey.generate()
    store.run(lambda u: roots.seal(u, signer, at))
    before = store.read(lambda u: roots.verify(u, signer.public_key(), {}))[1]
    made = ordered(store, marked, at)
    store.run(lambda u: quarantine.confirm(u, made.id, by=SECOND, at=at))
    later = at + FRESH + timedelta(days=400)
    sweeper = quarantine.Sweeper(store=store, blobs=files, thumbs=thumbs.append, clock=lambda: later)
    assert (sweeper.sweep(), sweeper.sweep()) == (1, 0)
    with pytest.raises(NotFound):
        files.get(alone)
    assert (files.get(shared), thumbs) == (b"also elsewhere", [alone])
    gone = store.read(lambda u: reports.get(u, marked))
    assert gone.content is DESTROYED
    assert [r.content for r in store.read(lambda u: reports.page(u, Filter(is_marked=True), limit=9))] == [
        DESTROYED
    ]
    for read in (
        lambda u: reports.version(u, marked, 1),
        lambda u: inbox.load(u, gone_inbound(u, marked), files.get),
    ):
        with pytest.raises(NotFound) as told:
            store.read(read)
        assert told.value.code == "erased"
    assert store.read(lambda u: inbox.by_report(u, marked)).raw_sha256 == raw
    assert not store.read(purges.is_any_held)
    assert store.read(lambda u: reports.get(u, other)).content.text == "甲村着火"
    bare = store.read(lambda u: u.scalar(sa.select(t.data_key.c.wrapped).where(t.data_key.c.owner == marked)))
    assert bare is None
    assert not store.read(lambda u: [row for row in u.rows(sa.select(t.sketch)) if row.report == marked])
    store.run(lambda u: roots.seal(u, signer, at))
    count, findings = store.read(lambda u: roots.verify(u, signer.public_key(), {}))
    assert count > 0 and all(one in before for one in findings)  # the kit begins no streams


def gone_inbound(unit, report: str) -> str:
    return inbox.by_report(unit, report).id


def test_a_file_that_somebody_has_just_come_with_is_left_alone(tmp_path) -> None:
    files = Blobs(tmp_path / "b")
    name = files.put(b"bytes")
    now = (tmp_path / "b" / name[:2] / name).stat().st_mtime
    old = FRESH.total_seconds() + 1
    assert not files.gone(name, at=now + 1, is_named=lambda: False)
    assert files.get(name) == b"bytes"
    assert not files.gone(name, at=now + old, is_named=lambda: True)
    assert files.get(name) == b"bytes"

    def comes_again() -> bool:
        files.put(b"bytes")
        return False

    assert files.gone(name, at=now + old, is_named=comes_again)
    assert files.get(name) == b"bytes"  # written anew while the old one lay aside
    assert files.gone(name, at=now + 10 * old, is_named=lambda: False)
    assert files.gone(name, at=now + 10 * old, is_named=lambda: False)
    with pytest.raises(NotFound):
        files.get(name)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [({"holder": "per_none"}, "/holder"), ({"holder": ADMIN.id}, "/holder"), ({"compartment": "marked"}, "/compartment"),
     ({"until": None}, "/until"), ({"until": timedelta(days=367)}, "/until"), ({"until": -timedelta(days=1)}, "/until"),
     ({"reason": " "}, "/reason")],
)  # fmt: skip
def test_a_grant_that_cannot_be_is_refused_with_its_flaw(store, marked, at, change, pointer) -> None:
    given = {
        "holder": OFFICER.id,
        "compartment": "social",
        "until": timedelta(days=1),
        "reason": "值班",
    } | change
    given["until"] = at + given["until"] if given["until"] else None
    with pytest.raises(BadInput) as refused:
        store.run(lambda u: grant_desk.give(u, by=ADMIN, at=at, **given))
    assert [f.pointer for f in refused.value.flaws] == [pointer]
    with pytest.raises(NotAllowed):
        store.run(lambda u: grant_desk.give(u, by=OFFICER, at=at, **given))
    assert store.read(lambda u: grants.newest(u, 9)) == []


def test_an_officer_who_calls_something_sensitive_without_a_grant_sees_it_no_more(store, marked, at) -> None:
    name = filed(store, at, "甲村某人", sender="+8613900000009")
    mine = store.seen_by(Eyes())
    mine.run(lambda u: desk.flag(u, name, by=OFFICER, at=at, is_sensitive=True, reason="涉及某人"))
    assert mine.read(lambda u: reports.get(u, name)) is None
    with pytest.raises(NotFound):
        mine.run(lambda u: desk.flag(u, name, by=OFFICER, at=at, is_sensitive=False, reason="r"))
    granted = store.seen_by(Eyes(granted=Compartment.SENSITIVE))
    granted.run(lambda u: desk.classify(u, name, by=OFFICER, at=at, event_code="14A02"))
    assert granted.read(lambda u: reports.get(u, name)) is None  # needs both now
    store.run(lambda u: desk.classify(u, name, by=OFFICER, at=at, event_code="12G01"))
    store.run(lambda u: compartments.unseal(u, name, Compartment.SENSITIVE, by="x", at=at, why="r"))
    assert mine.read(lambda u: reports.get(u, name)) is not None
    assert store.seen_by(HUB).read(lambda u: reports.get(u, name)).compartments == 0
    assert mint("grt", at).startswith("grt_") and PurgeState.ORDERED == "ordered"
