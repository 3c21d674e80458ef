"""What goes with a report that is destroyed or bears a mark of secrecy, and what does not."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.errors import Conflict, NotFound, Unsure
from domain.further import UploadState
from domain.parcel import DeliveryState, DispatchState, ParcelState
from domain.person import Person, Role
from domain.secrecy import Compartment
from duty import quarantine
from outbox import recall
from store import compartments, exchanges, inbox, lookups, parcels, people, purges, reports, slices, uploads
from store import tables as t
from store.tables_further import upload
from tests.outbox.outbox_kit import Wire, outgoing, run_all
from tests.web.api_world import SMS_URL, World, signed, sms_form
from tests.web.console_browser import enter
from tests.web.test_api_uploads import DATA, begin, patch
from tests.web.test_two_way import NUMBER, THIN, all_reports, ask, lines, text_in

TWO = [
    Person(id=f"per_s{n}", name="保密员", organisation="", roles=frozenset({Role.SECURITY})) for n in (1, 2)
]
SECRET = "请勿外传：XVQZ"


def mark(hall: World, report: str) -> None:
    at = hall.clock()
    hall.hub.store.run(lambda u: compartments.seal(u, report, Compartment.MARKED, by="x", at=at, why="t"))


def destroy(hall: World, report: str) -> None:
    """By two, as the pages do it; its files are looked at when everything is old enough."""
    store, at = hall.hub.store, hall.clock()
    for person in TWO:
        if store.read(lambda u, p=person: people.by_login(u, p.id)) is None:
            store.run(lambda u, p=person: people.add(u, p, login=p.id, password_hash="", at=at))
    mark(hall, report)
    made = store.run(lambda u: quarantine.order(u, report, by=TWO[0], at=at, reason="密件"))
    store.run(lambda u: quarantine.confirm(u, made.id, by=TWO[1], at=at))


def swept(hall: World) -> None:
    later = hall.clock() + timedelta(days=400)
    quarantine.Sweeper(
        store=hall.hub.store, blobs=hall.hub.blobs, thumbs=lambda _: None, clock=lambda: later
    ).sweep()


def answers(hall: World) -> list[Any]:
    d, p, y = t.dispatch.c, t.parcel_row.c, t.delivery.c
    query = t.dispatch.select().with_only_columns(
        d.id,
        d.state.label("dispatch"),
        d.notice_payload,
        p.id.label("parcel_id"),
        p.state.label("parcel"),
        y.state,
    )
    query = query.join(t.parcel_row, p.dispatch == d.id).join(t.delivery, y.parcel == p.id)
    return hall.hub.store.read(lambda u: u.rows(query.where(d.notice == "answer")))


def asked(hall: World) -> str:
    """A report about which an officer has written, in words of his own."""
    text_in(hall, THIN, 1)
    (report,) = all_reports(hall)
    assert ask(enter(hall, "officer"), report.id, text=SECRET).status_code == 303
    return report.id


def test_a_report_that_was_made_of_an_answer_outlives_the_one_it_came_to(hall: World) -> None:
    first = asked(hall)
    text_in(hall, "另外，化工厂泄漏", 2)
    (_, said) = lines(hall, first)
    enter(hall, "officer").follow(f"/console/reports/{first}/separate", {"line": said.id})
    _, other = all_reports(hall)
    destroy(hall, first)
    store = hall.hub.store
    kept = store.read(lambda u: reports.get(u, other.id))
    assert kept and kept.content.text == "另外，化工厂泄漏"
    row = store.read(lambda u: inbox.by_report(u, other.id))
    assert row and b"%" in store.read(lambda u: inbox.load(u, row.id, hall.hub.blobs.get)).inbound.raw
    with pytest.raises(NotFound):
        store.read(lambda u: exchanges.of_report(u, first))


def test_what_has_not_left_when_a_mark_is_found_never_leaves(hall: World, tmp_path: Path) -> None:
    report = asked(hall)
    mark(hall, report)
    (one,) = answers(hall)
    assert (one.dispatch, one.parcel, one.state) == (
        DispatchState.STOPPED, ParcelState.STOPPED, DeliveryState.STOPPED
    )  # fmt: skip
    wire = Wire()
    run_all(outgoing(hall.hub.store, hall.clock(), tmp_path, wire=wire))
    assert len(wire.taken) == 1 and not any(
        SECRET.encode() in said for said in wire.payloads
    )  # the acknowledgement
    assert lines(hall, report)[0].state == "stopped"


@pytest.mark.parametrize(
    ("said", "lies_in"),
    [
        ("就是红头文件里说的 秘密★5年", Compartment.MARKED),
        ("甲一区政府门前数百人聚集上访，堵塞道路", Compartment.SOCIAL),
    ],
)
def test_an_answer_puts_its_report_where_a_first_message_would_lie(
    quick: World, said: str, lies_in: Compartment
) -> None:
    report, officer = asked(quick), enter(quick, "officer")
    assert officer.get(f"/console/reports/{report}").status_code == 200
    quick.clock.forward(seconds=1)
    form = signed(SMS_URL, sms_form(2, body=said, sender=NUMBER))
    assert quick.client.post("/hooks/sms/twilio", **form).status_code < 300
    quick.file_all()  # and nothing has studied it yet
    (now,) = all_reports(quick)
    assert said in now.content.text and now.compartments == lies_in
    assert officer.get(f"/console/reports/{report}").status_code == 404
    (answer,) = answers(quick)
    is_stopped = answer.state == DeliveryState.STOPPED
    assert is_stopped == (lies_in is Compartment.MARKED)


def test_a_call_under_way_may_still_be_answered_and_a_dead_one_is_unsure(hall: World, tmp_path: Path) -> None:
    report, store, at = asked(hall), hall.hub.store, hall.clock()
    (one,) = answers(hall)
    until = at + timedelta(seconds=60)
    held = store.run(lambda u: parcels.claim(u, one.parcel_id, at=at, until=until))
    assert held
    _, slots = store.run(lambda u: slices.go_on(u, held, [], most=1, at=at, until=until))
    assert slots
    mark(hall, report)
    assert not store.read(lambda u: parcels.is_held(u, held))  # the guard sees it before a call
    assert store.run(lambda u: recall.drain(u, at)) == 0
    assert store.run(lambda u: recall.drain(u, until)) == 1
    assert answers(hall)[0].state == "unsure" and store.run(lambda u: recall.drain(u, until)) == 0


def test_what_nobody_knows_the_end_of_is_not_sent_again_once_it_is_marked(
    quick: World, tmp_path: Path
) -> None:
    report, store = asked(quick), quick.hub.store
    run_all(outgoing(store, quick.clock(), tmp_path, wire=Wire(lambda _a, _n: Unsure("silence"))))
    (before,) = answers(quick)
    assert (before.state, before.parcel) == ("unsure", "settled")
    mark(quick, report)
    at = quick.clock()

    def again(unit: Any) -> tuple[bool, str]:
        lookups.enrol(unit, {"sms": timedelta(0)}, at)
        found = {task.parcel: task for task in lookups.take(unit, ["sms"], at, until=at, limit=9)}
        task = found[before.parcel_id]
        return lookups.may_leave(unit, task, at), lookups.send_again(unit, task, "absent", at).value

    assert store.run(again) == (False, "stopped")


def test_the_words_of_a_destroyed_report_are_in_no_notice_and_no_kept_answer(
    quick: World, tmp_path: Path
) -> None:
    first = asked(quick)
    made = quick.post("department", "/v1/reports", {"text": "有险情"}).json()
    quick.file_all()
    place = f"/v1/reports/{made['id']}/messages"
    assert quick.post("officer", place, {"text": SECRET}).status_code < 300
    run_all(
        outgoing(quick.hub.store, quick.clock(), tmp_path, wire=Wire())
    )  # sent: its words lie there all the same
    assert SECRET.encode() in answers(quick)[0].notice_payload
    for name in (first, made["id"]):
        destroy(quick, name)
    notices = quick.hub.store.read(
        lambda u: u.rows(t.dispatch.select().where(t.dispatch.c.notice.is_not(None)))
    )
    assert len(notices) == 2 and {row.notice_payload for row in notices} == {b""}
    assert {row.state for row in notices} == {"done"} and all(row.sha256 for row in notices)
    left = quick.hub.store.read(lambda u: u.rows(t.idempotency.select()))
    assert left == []  # neither what it was told with, nor what was said of it


def parts(hall: World) -> list[str]:
    return sorted(p.stem for p in (hall.hub.settings.data_dir / "uploads").glob("*.part"))


def state_of(hall: World, path: str) -> str:
    row = hall.hub.store.read(lambda u: u.row(upload.select().where(upload.c.id == path.rpartition("/")[2])))
    assert row
    return str(row.state)


def report_of(hall: World, path: str) -> str:
    return hall.hub.store.read(lambda u: uploads.report_of(u, path.rpartition("/")[2]))


def test_uploads_of_a_destroyed_report_end_with_it_and_stop_nobody_elses(hall: World) -> None:
    half, whole, other = begin(hall), begin(hall), begin(hall)
    assert patch(hall, half, 0, DATA[:1000]).status_code == 204
    assert patch(hall, whole, 0, DATA).status_code == 204
    assert patch(hall, other, 0, DATA[:2000]).status_code == 204
    for path in (half, whole):
        destroy(hall, report_of(hall, path))
    assert (state_of(hall, half), state_of(hall, whole), state_of(hall, other)) == (
        "given_up",
        "given_up",
        "open",
    )
    swept(hall)
    theirs = hall.hub.departments.uploads
    hall.clock.forward(days=9)
    theirs.tidy()
    assert parts(hall) == [] and state_of(hall, other) == "given_up"
    assert not any(path.is_file() for path in (hall.hub.settings.data_dir / "blobs").rglob("*"))
    assert patch(hall, half, 1000, DATA[1000:]).status_code == 404 and not theirs.attach(
        whole.rpartition("/")[2]
    )


def test_an_upload_left_from_before_its_report_was_destroyed_is_tidied_with_its_file(quick: World) -> None:
    """As a hub that destroyed it before this was known has it; and as a last part that comes during the destruction."""
    half, whole, late = begin(quick), begin(quick), begin(quick)
    assert patch(quick, half, 0, DATA[:1000]).status_code == 204
    assert patch(quick, whole, 0, DATA).status_code == 204
    theirs, store = quick.hub.departments.uploads, quick.hub.store
    before = {row.id: row.state for row in store.read(lambda u: u.rows(upload.select()))}
    begun = store.read(lambda u: uploads.get(u, late.rpartition("/")[2]))
    for path in (half, whole, late):
        destroy(quick, report_of(quick, path))

    def as_before(unit: Any) -> None:
        unit.connection.exec_driver_sql("DROP TRIGGER upload_moves")
        for name, state in before.items():
            if name != begun.id:
                unit.execute(
                    upload.update().where(upload.c.id == name).values(state=state, next_due=quick.clock())
                )
        unit.execute(t.purge.update().values(blobs=[], swept_at=quick.clock()))

    store.run(as_before)
    theirs.parts.begin(begun.id)
    with pytest.raises(Conflict) as refused:
        theirs.grown(begun, begun.length)
    assert refused.value.code == "upload_moved"
    quick.clock.forward(days=9)
    theirs.tidy()
    assert not theirs.attach(whole.rpartition("/")[2])
    theirs.tidy()
    swept(quick)
    assert {state_of(quick, path) for path in (half, whole)} == {"given_up"} and parts(quick) == []
    assert not any(path.is_file() for path in (quick.hub.settings.data_dir / "blobs").rglob("*"))


def test_a_file_that_waits_to_be_attached_elsewhere_is_not_deleted_with_another_report(quick: World) -> None:
    mine, other = begin(quick), begin(quick)
    for path in (mine, other):
        assert patch(quick, path, 0, DATA).status_code == 204
    theirs = quick.hub.departments.uploads
    assert theirs.attach(mine.rpartition("/")[2]) and state_of(quick, other) == UploadState.WHOLE
    destroy(quick, report_of(quick, mine))
    swept(quick)
    assert theirs.attach(other.rpartition("/")[2])
    found = quick.hub.store.read(lambda u: reports.get(u, report_of(quick, other)))
    assert found and quick.hub.blobs.get(found.content.attachments[0].sha256) == DATA
    assert quick.hub.store.read(purges.due) == []
