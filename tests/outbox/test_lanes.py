"""What is urgent, and what goes by another channel, does not wait behind the rest."""

from domain.artefact import Purpose
from domain.release import Colour
from outbox import lanes, relay, sweep
from store import promises, releases
from tests.outbox.outbox_kit import Wire, approve, outgoing, phones, subscribe


def due(store, at):
    found: dict[str, list[str]] = {}
    for job, row in store.read(lambda u: sweep.due(u, at)):
        found.setdefault(job, []).append(row)
    return found


def test_a_notice_to_many_hides_neither_a_red_warning_nor_a_mail(store, at, tmp_path):
    subscribe(store, at, phones(130_000 // 650))
    rings: list[tuple[str, str]] = []
    out = outgoing(store, at, tmp_path, wire=Wire(), bell=lambda job, row: rings.append((job, row)))
    _, many = approve(store, at, colour=None)
    _, red = approve(store, at, colour=Colour.RED)
    _, blue = approve(store, at, colour=Colour.BLUE)
    for dispatch in (*many, *red, *blue):
        relay.relay(out, dispatch)
    assert [(job, row.rpartition("-")[0]) for job, row in rings] == [
        ("deliver", many[0]), ("deliver_urgent", red[0]), ("deliver", blue[0]),
    ]  # fmt: skip
    found = due(store, at)
    assert next(iter(found)) == "deliver_urgent"
    assert {job: len(rows) for job, rows in found.items()} == {"deliver_urgent": 1, "deliver": 2}


def test_each_lane_has_a_list_of_its_own_in_the_sweep(store, at, tmp_path):
    subscribe(store, at, phones(3))
    out = outgoing(store, at, tmp_path, wire=Wire())
    for _ in range(205):  # the sweep takes 200 of a lane at a time
        _, (dispatch,) = approve(store, at, colour=None)
        relay.relay(out, dispatch)
    _, (urgent,) = approve(store, at, colour=Colour.ORANGE)
    relay.relay(out, urgent)
    found = due(store, at)
    assert (len(found["deliver"]), found["deliver_urgent"]) == (200, [f"{urgent}-0"])


def test_a_correction_is_urgent_whatever_it_corrects_and_a_lift_is_as_its_warning(store, at):
    release_id, _ = approve(store, at, colour=None)
    release = store.read(lambda u: releases.get(u, release_id))
    said = {p: lanes.lane_of(release, p, "sms") for p in Purpose}
    assert said == {Purpose.MAIN: "sms", Purpose.CORRECTION: "urgent", Purpose.LIFT: "sms"}
    assert lanes.job_of(lanes.lane_of(release, Purpose.MAIN, "email")) == "deliver_mail"
    (dispatch,) = store.read(lambda u: promises.of_release(u, release_id))
    assert dispatch.lane == "sms"
