"""One person on both sides of an approval: by the desk's own functions, by the API and by the console."""

import re

import pytest

from approval import desk
from domain.errors import Conflict, IllegalMove, NotAllowed
from domain.person import Role, Scope
from domain.release import State
from store import people as people_book
from store import promises, releases
from store import tables as t
from tests.approval import releases_made as made
from tests.corpus.hostile.test_outgoing_words import body_of
from tests.web.api_world import World
from tests.web.console_browser import add_person, enter, rain


def _state(hall: World, release_id: str) -> State:
    found = hall.hub.store.read(lambda unit: releases.get(unit, release_id))
    assert found
    return found.state


def test_r7_h83_submit_by_one_edit_by_another_approve_by_that_other_is_refused(
    store, people, areas, at
) -> None:
    """The flaw of Emergency Alerts: the edit voids the submission, and its editor is out for good."""
    a, b, c = people["officer"], people["approver"], people["approver2"]
    release = made.submitted(store, a, at)
    edited = store.run(lambda u: desk.edit(u, release.id, release.draft, by=b, at=at))
    assert edited.state is State.DRAFT and edited.digest == ""
    with pytest.raises((IllegalMove, Conflict)):
        store.run(lambda u: desk.approve(u, release.id, digest=release.digest, by=b, at=at))
    bytes_ = made.frozen(store, release.id, at)
    again = store.run(lambda u: desk.submit(u, release.id, bytes_, by=a, at=at))
    for digest in (again.digest, release.digest):
        with pytest.raises(NotAllowed) as refused:
            store.run(lambda u, digest=digest: desk.approve(u, release.id, digest=digest, by=b, at=at))
        assert refused.value.code == "own_work"
    assert store.read(lambda u: promises.of_release(u, release.id)) == []
    assert (
        store.run(lambda u: desk.approve(u, again.id, digest=again.digest, by=c, at=at)).state
        is State.APPROVED
    )


def test_r7_h83_h86_the_same_over_the_api(hall: World) -> None:
    place = hall.post("officer", "/v1/releases", body_of(hall)).headers["location"]
    release_id = place.rpartition("/")[2]
    first = hall.post("officer", f"{place}/submit").json()["digest"]
    changed = hall.client.patch(place, json={"issuer": "示例省水利厅"}, headers=hall.headers("approver"))
    assert (changed.status_code, changed.json()["state"]) == (200, "draft")
    assert hall.post("approver", f"{place}/approve", {"digest": first}).status_code == 409
    second = hall.post("officer", f"{place}/submit").json()["digest"]
    for digest, status in ((first, 403), (second, 403), (second.upper(), 403), (second[:32], 403)):
        answer = hall.post("approver", f"{place}/approve", {"digest": digest})
        assert answer.status_code == status, answer.text
    assert _state(hall, release_id) is State.SUBMITTED and hall.count(t.dispatch) == 0
    acts = hall.get("auditor", f"/v1/journal/release/{release_id}").json()["data"]
    assert [e["act"] for e in acts].count("refused") == 5


def test_r7_h83_the_same_in_the_console(hall: World) -> None:
    add_person(hall, "both", Role.OFFICER, Role.APPROVER)
    officer, both = enter(hall, "officer"), enter(hall, "both")
    path = officer.post("/console/releases", rain()).headers["location"].partition("?")[0]
    officer.follow(f"{path}/submit")
    page = both.get(path).text
    seen = {name: re.search(rf'name="{name}" value="([^"]*)"', page)[1] for name in ("digest", "revision")}  # type: ignore[index]
    editing = re.search(r'name="revision" value="([^"]*)"', both.get(f"{path}/edit").text)
    assert editing
    both.follow(f"{path}/edit", rain(**{"fields.rainfall_mm": "80", "revision": editing[1]}))
    assert both.post(f"{path}/approve", {**seen, "reach": "0"}).status_code in (403, 409)
    officer.get(path)
    officer.follow(f"{path}/submit")
    page = both.get(path).text
    assert f'action="{path}/approve"' not in page
    digest = re.search(r'<dd class="mono">([0-9a-f]{64})</dd>', page)
    assert digest
    assert both.post(f"{path}/approve", {"digest": digest[1], "reach": "0"}).status_code == 403
    assert _state(hall, path.rpartition("/")[2]) is State.SUBMITTED and hall.count(t.dispatch) == 0


def test_h83_a_second_key_of_one_person_is_that_person(quick: World) -> None:
    """Accounts, keys and sessions are many; who may approve is asked of the person behind them."""
    place = quick.post("approver", "/v1/releases", body_of(quick)).headers["location"]
    digest = quick.post("approver", f"{place}/submit").json()["digest"]

    def add(unit):
        people_book.add_key(unit, "key_second", "tocsin_test_" + "5e" * 32, name="second", organisation="示例省应急管理厅",
                            person_id="per_approver", scopes=set(Scope), at=quick.clock())  # fmt: skip

    quick.hub.store.run(add)
    headers = {"Authorization": "Bearer tocsin_test_" + "5e" * 32, "Content-Type": "application/json"}
    answer = quick.client.post(f"{place}/approve", json={"digest": digest}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "own_work")
    assert quick.count(t.dispatch) == 0
