"""What an officer's unit holds: no row about what he has no grant for, whoever wrote the query."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domain.exchange import Line
from domain.further import UploadState
from domain.handling import Handling
from domain.ids import mint
from domain.incident import Incident, IncidentState
from domain.notice import Notice, NoticeKind
from domain.person import Person, Role
from domain.secrecy import EVERY, HUB, NOBODY, Compartment, Eyes, codes, eyes_of, mark_in
from domain.task import Task, TaskState
from outbox import ledger
from store import (
    clocks,
    compartments,
    exchanges,
    grants,
    incidents,
    journal,
    people,
    reports,
    shelf,
    sight,
    stream,
    study,
    tasks,
    triages,
    uploads,
)
from store import tables as t
from store.columns import META
from store.grants import Grant
from store.reports import Filter
from store.tables_incidents import likeness, thread
from store.uploads import Upload
from tests.reports_kit import filed

SOCIAL, SENSITIVE, MARKED = Compartment
OFFICER = Person(id="per_o", name="值班员", organisation="", roles=frozenset({Role.OFFICER}))
GUARD = Person(id="per_s", name="保密员", organisation="", roles=frozenset({Role.SECURITY}))
ADMIN = Person(id="per_d", name="管理员", organisation="", roles=frozenset({Role.ADMIN}))

# String columns of 40 or 60 letters without a foreign key that name no report, incident, message or what is made of one.
OTHERS = {
    "artefact.area_variant", "brief.author", "brief.signed_by", "bulletin.ended_by", "bulletin.format",
    "bulletin.seal_reason", "bulletin_pair.by", "clock_rule.confirmed_by", "clock_stop.by", "data_key.owner",
    "delivery.code", "delivery.recipient", "dispatch.cursor", "dispatch.ends", "dispatch.notice", "exchange.by",
    "hub.instance", "idempotency.client", "incident.opened_by", "incident_news.person", "journal.act", "journal.by",
    "journal_head.entity", "known_reporter.by", "likeness.refused_by", "media.reason", "operation.by",
    "opt_out.inbound", "parcel.release", "peer.modified", "peer.reason", "peer_item.reason", "poll.code",
    "poll.source", "process.version", "proof.answer", "proof.proof", "provider.code", "provider.process",
    "receipt.code", "recipient.group", "release.from_bulletin", "release.template", "report_incident.added_by",
    "report_incident.removed_by", "report_incident.via", "report_triage.rule", "report_version.by", "ring.cause",
    "ring.slip", "scan.reason", "sender_block.by", "sender_block.lifted_by", "shelf.reason", "shelf.settled_by",
    "sight_grant.holder", "thread.by", "tombstone.by", "tombstone.release", "upload.client",
    "verdict.by", "handover.by", "body.by", "route_rule.by",
    "webhook.reason", "webhook_call.entry", "webhook_call.reason",
}  # fmt: skip


def test_every_column_that_may_name_a_report_is_known_to_the_sight_or_named_here() -> None:
    found = {
        f"{table.name}.{c.name}"
        for table in META.tables.values()
        for c in table.columns
        if isinstance(c.type, sa.String)
        and c.type.length in (40, 60)
        and not c.foreign_keys
        and c.name != "id"
        if c.name not in {name for name, _ in sight.columns_of(table)}
    }
    assert found == OTHERS
    for table in META.tables.values():  # a foreign key needs no list
        keys = {c.name for c in table.columns for k in c.foreign_keys if k.column.table is t.report_row}
        assert keys - {"merged_into", "from_report"} <= {name for name, _ in sight.columns_of(table)}, (
            table.name
        )


@pytest.fixture
def two(store, areas, at):
    """(seen by everybody, 14A) of one incident's worth of rows each."""
    for person in (OFFICER, GUARD, ADMIN):
        store.run(lambda u, p=person: people.add(u, p, login=p.id, password_hash="", at=at))
    return (
        filed(store, at, "甲村着火"),
        filed(store, at, "甲村数百人聚集 QXZ", event_code="14A02", sender="+8613900000002"),
    )


def seen(store, eyes, work):
    return store.seen_by(eyes).read(work)


def test_a_report_of_a_compartment_is_in_no_list_no_count_and_under_no_name(store, two, at) -> None:
    fire, crowd = two
    for eyes, names in (
        (NOBODY, [fire]),
        (Eyes(granted=SOCIAL), [crowd, fire]),
        (Eyes(granted=MARKED), [fire]),
    ):
        page = seen(store, eyes, lambda u: reports.page(u, Filter(), limit=9))
        assert sorted(r.id for r in page) == sorted(names)
        assert seen(store, eyes, reports.counts) == {"filed": len(names)}
        found = seen(store, eyes, lambda u: reports.page(u, Filter(text="qxz"), limit=9))
        assert [r.id for r in found] == [n for n in names if n == crowd]
        assert (seen(store, eyes, lambda u: reports.get(u, crowd)) is not None) == (crowd in names)
        assert seen(store, eyes, lambda u: reports.versions(u, crowd)) == (1 if crowd in names else 0)
        acts = seen(
            store, eyes, lambda u: u.rows(sa.select(t.inbound.c.id).where(t.inbound.c.report == crowd))
        )
        assert len(acts) == (1 if crowd in names else 0)


def test_what_hangs_on_a_report_goes_with_it(store, two, at) -> None:
    fire, crowd = two
    made = Incident(id=mint("inc", at), title="群体事件", state=IncidentState.OPEN, revision=1, opened_by="x",
                    opened_at=at)  # fmt: skip

    def fill(unit):
        incidents.insert(unit, made)
        for name in two:  # an incident lies in the compartments of all its reports
            incidents.add(unit, name, made.id, by="x", at=at, score=None)
        incidents.propose(unit, fire, [(crowd, 0.9, [("words", 3)])], at)
        unit.add_once(thread, {"report": fire, "follows": crowd, "sign": "code", "state": "proposed",
                               "is_certain": False, "by": "x", "at": at})  # fmt: skip
        clocks.set_times(unit, crowd, {"occurred_at": at})
        kept = triages.Kept(version=1, scheme="s", event_code="14A02", rule="r", level=None, grade=None,
                            known=frozenset(), found={}, studied_at=at)  # fmt: skip
        triages.put(unit, crowd, kept)
        journal.append(unit, "report", crowd, "file", by="x", at=at)
        journal.append(unit, "incident", made.id, "open", by="x", at=at)

    store.run(fill)
    tables = (t.incident, t.report_incident, likeness, thread, t.report_timing, t.report_triage, t.journal,
              t.report_version, t.study)  # fmt: skip
    for eyes, sees in ((NOBODY, False), (Eyes(granted=SOCIAL), True), (HUB, True)):
        rows = {
            table.name: seen(store, eyes, lambda u, q=table: len(u.rows(sa.select(q)))) for table in tables
        }
        for name, n in rows.items():
            both = name in ("report_incident", "report_version", "study", "journal")
            arrived = 2 if name == "journal" else 0  # each began with a message
            assert n == (
                (2 + arrived if both else 1)
                if sees
                else (1 if name in ("report_version", "study", "journal") else 0)
            ), name
        assert (seen(store, eyes, lambda u: incidents.get(u, made.id)) is not None) is sees
        assert [c.other for c in seen(store, eyes, lambda u: incidents.candidates(u, fire))] == []
        assert seen(store, eyes, lambda u: incidents.of_reports(u, [fire])) == (
            {fire: made.id} if sees else {}
        )
    lying = store.read(lambda u: stream.lying_in(u, stream.after(u, stream.Cursor())))
    assert set(lying.values()) == {SOCIAL.value}
    assert len(lying) == 3  # arrival, report, incident


def test_what_is_called_by_an_id_of_its_own_goes_with_its_report_on_the_shelf_in_the_journal_and_in_notices(
    store, two, at
) -> None:
    for word, name in zip(("fire", "crowd"), two, strict=True):

        def fill(unit, word=word, name=name):
            task = Task(id=f"tsk_{word}", report=name, incident="", person="per_o", given_by="per_o", what="看", where="",
                        given_at=at, due_at=at, state=TaskState.GIVEN, revision=1, changed_at=at)  # fmt: skip
            tasks.insert(unit, task)
            upload = Upload(id=f"upl_{word}", report=name, client="key", name="a", declared_type="", length=9, got=0,
                            state=UploadState.OPEN, sha256="", next_due=at, changed_at=at)  # fmt: skip
            uploads.begin(unit, upload, at)
            line = Line(
                id=f"exc_{word}", report=name, is_ours=True, channel="sms", by="per_o", text="在哪", at=at
            )
            exchanges.add(unit, line, address="1")
            notice = Notice(kind=NoticeKind.ANSWER, about=line.id, channel="sms", address="1", language="zh-CN",
                            payload=b"x", expires=at)  # fmt: skip
            ledger.put_notice(unit, notice, at)
            journal.append(unit, "task", task.id, "give_task", by="x", at=at)
            journal.append(unit, "upload", upload.id, "upload", by="x", at=at)
            shelf.put(unit, "upload", "upload_forgotten", origin=upload.id, at=at)

        store.run(fill)
    for eyes, sees in ((NOBODY, ["fire"]), (Eyes(granted=SOCIAL), ["crowd", "fire"])):
        for column in (t.shelf.c.origin, t.journal.c.entity, t.dispatch.c.about):
            rows = seen(store, eyes, lambda u, c=column: u.rows(sa.select(c)))
            names = [str(row[0]) for row in rows]
            found = {n.partition("_")[2] for n in names if n.partition("_")[2] in ("fire", "crowd")}
            assert sorted(found) == sees, (column, names)
    lying = store.read(lambda u: stream.lying_in(u, stream.after(u, stream.Cursor())))
    told = store.read(lambda u: {e.seq: e.entity for e in stream.after(u, stream.Cursor())})
    assert {"tsk_crowd", "upl_crowd"} <= {told[seq] for seq in lying} and "tsk_fire" not in {
        told[seq] for seq in lying
    }


def test_nothing_is_seen_in_a_join_an_outer_join_or_a_count_either(store, two) -> None:
    fire, _ = two
    r, s = t.report_row, study.study
    outer = sa.select(s.c.report, r.c.id).select_from(s.outerjoin(r, r.c.id == s.c.report))
    assert seen(store, NOBODY, lambda u: [row.report for row in u.rows(outer)]) == [fire]
    one = sa.select(sa.func.count()).select_from(sa.select(r.c.id).subquery())
    assert seen(store, NOBODY, lambda u: u.scalar(one)) == 1
    both = sa.union_all(sa.select(r.c.code), sa.select(r.alias().c.code))
    assert len(seen(store, NOBODY, lambda u: u.rows(both))) == 2
    inside = sa.select(sa.literal(1)).where(sa.exists().where(r.c.event_code == "14A02"))
    assert seen(store, NOBODY, lambda u: u.row(inside)) is None


def test_whatever_shape_a_query_has_and_wherever_it_names_a_report(store, two) -> None:
    """Each finds both with the grant, as a count or as rows, and one of them without."""
    r, s, a = t.report_row, study.study, t.report_row.alias("a")
    named = sa.select(a.c.id).subquery()
    shapes = {
        "alias": sa.select(a.c.id),
        "only in WHERE": sa.select(sa.literal(1)).where(r.c.id != ""),
        "only in FROM": sa.select(sa.literal(1)).select_from(r),
        "only in a column's expression": sa.select(sa.func.lower(r.c.id)),
        "only in the order": sa.select(s.c.report).select_from(s).order_by(s.c.report),
        "itself": sa.select(a.c.id).select_from(r.join(a, r.c.id == a.c.id)),
        "alias behind an outer join": sa.select(s.c.report).select_from(s.outerjoin(a, a.c.id == s.c.report)),
        "a case": sa.select(sa.case((a.c.id != "", a.c.id), else_="")),
        "a list": sa.select(r.c.id).where(r.c.id.in_(two)),
        "IN a query": sa.select(s.c.report).where(s.c.report.in_(sa.select(a.c.id))),
        "a scalar": sa.select(s.c.report, sa.select(a.c.code).where(a.c.id == s.c.report).scalar_subquery()),
        "a query as FROM": sa.select(named.c.id),
        "a query by name": sa.select(sa.select(a.c.id).cte("cte").c.id),
        "two": sa.union(sa.select(r.c.id), sa.select(a.c.id)),
        "locked": sa.select(r.c.id).with_for_update(),
    }
    for name, query in shapes.items():
        for eyes, count in ((Eyes(granted=SOCIAL), 2), (NOBODY, 1), (Eyes(granted=MARKED), 1)):
            rows = seen(store, eyes, lambda u, q=query: u.rows(q))
            assert len(rows) == count, name
            assert count == 2 or not any(two[1] in map(str, row) for row in rows), name


def test_a_mark_seals_a_report_from_birth_and_whenever_it_is_said(store, areas, at) -> None:
    marked = filed(store, at, "关于某事的报告", facts={"subject": "机密★1年 会议通知"})
    plain = filed(store, at, "秘密调查")
    of = lambda name: store.read(lambda u: reports.get(u, name)).compartments  # noqa: E731
    assert (of(marked), of(plain)) == (MARKED, 0)
    assert of(filed(store, at, "x", event_code="14B01")) == SOCIAL
    before = store.read(lambda u: reports.get(u, plain))
    content = type(before.content)(text="补充：绝密 ★ 长期", language="zh", facts={})
    store.run(lambda u: reports.revise(u, before, content, by="x", at=at))
    assert of(plain) == MARKED
    (entry,) = store.read(lambda u: journal.entries(u, "report", plain))
    assert (entry.act, entry.detail["compartments"], entry.detail["lay_in"]) == ("seal", ["marked"], 0)
    assert not store.run(lambda u: compartments.seal(u, plain, MARKED, by="x", at=at, why="again"))
    assert store.run(lambda u: compartments.unseal(u, plain, MARKED, by="x", at=at, why="no mark"))
    assert of(plain) == 0


def test_a_grant_is_of_one_compartment_until_its_end_or_its_withdrawal(store, two, at) -> None:
    def give(holder, compartment, hours):
        made = Grant(id=mint("grt", at), holder=holder, compartment=compartment, given_by=ADMIN.id, given_at=at,
                     until=at + timedelta(hours=hours), reason="值班")  # fmt: skip
        store.run(lambda u: grants.add(u, made))
        return made.id

    eyes = lambda later=0: store.read(  # noqa: E731
        lambda u: grants.of_person(u, OFFICER, at + timedelta(hours=later)).granted
    )
    assert eyes() == 0
    first = give(OFFICER.id, "social", 2)
    give(OFFICER.id, "sensitive", 5)
    assert (eyes(), eyes(3), eyes(5)) == (SOCIAL | SENSITIVE, SENSITIVE, 0)
    assert store.run(lambda u: grants.withdraw(u, first, by=ADMIN.id, at=at))
    assert not store.run(lambda u: grants.withdraw(u, first, by=ADMIN.id, at=at))
    assert eyes() == SENSITIVE
    of_key = lambda person: store.read(lambda u: grants.of_key(u, "key_1", person, at).granted)  # noqa: E731
    assert (of_key(OFFICER), of_key(None)) == (0, 0)  # a key needs one of its own
    give("key_1", "social", 1)
    give("key_1", "sensitive", 1)
    assert (of_key(OFFICER), of_key(None)) == (SENSITIVE, SOCIAL | SENSITIVE)
    with pytest.raises(sa.exc.DBAPIError):
        give(OFFICER.id, "marked", 1)  # nobody is given that: it goes with the role
    with pytest.raises(sa.exc.DBAPIError):  # who gave it and until when stays as it was written
        store.run(lambda u: u.execute(t.sight_grant.update().values(until=at + timedelta(days=99))))


def test_eyes_see_what_lies_only_in_what_they_were_given() -> None:
    assert eyes_of(GUARD, []).granted == MARKED
    assert eyes_of(GUARD, ["social", "marked", "no_such"]).granted == MARKED | SOCIAL
    assert eyes_of(OFFICER, ["social"]).sights == (0, 1)
    assert HUB.sights == tuple(range(EVERY + 1))
    assert not Eyes(granted=SOCIAL).see(SOCIAL | SENSITIVE)
    assert codes(SOCIAL | MARKED) == ["social", "marked"]
    assert Handling.SENSITIVE.value == "sensitive"


@pytest.mark.parametrize(
    ("text", "degree"),
    [
        ("机密★1年", "secret"), ("机密★", "secret"), ("绝密★长期", "top_secret"), ("秘密★6个月", "confidential"),
        ("机 密 ★ １ 年", "secret"), ("机　密★", "secret"), ("機密★5年", "secret"), ("绝密\u200b★", "top_secret"),
        ("密级：秘密\n★", "confidential"), ("秘密☆", "confidential"), ("秘密★机密★", "secret"), ("机密⭐️1年", "secret"),
        ("秘密", ""), ("这是秘密", ""), ("机密文件丢失★★★", ""), ("五★酒店的秘密", ""), ("密★", ""), ("机★密", ""),
        ("商密★3年", ""), ("内部★", ""),
    ],
)  # fmt: skip
def test_a_mark_is_the_degree_with_its_star(text: str, degree: str) -> None:
    assert mark_in(text) == degree
    assert mark_in(f"{text}某某市应急管理局文件") == degree
