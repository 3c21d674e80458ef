"""Many hands at once on one release: one outcome, and every try written down."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from approval import desk
from approval.attempts import attempt
from domain.errors import Conflict, HubError, IllegalMove, Refused
from domain.person import Person, Role
from domain.release import State
from store import journal, promises, releases
from store import people as people_book
from store.database import Store
from tests.approval import releases_made as made
from tests.conftest import ORGANISATION, open_store

HANDS = 50
PROCESSES = 5  # stores of their own, as the processes of a hub have them


@pytest.fixture
def stores(store, database_url: str) -> Iterator[list[Store]]:
    others = [open_store(database_url) for _ in range(PROCESSES - 1)]
    yield [store, *others]
    for other in others:
        other.close()


def at_once(works: list[Callable[[], Any]]) -> list[Any]:
    """What each gave or raised; all start together."""
    gate = threading.Barrier(len(works))

    def one(work: Callable[[], Any]) -> Any:
        gate.wait(20)
        try:
            return work()
        except HubError as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


def test_r7_h85_one_of_fifty_approvers_wins_and_all_tries_are_known(stores, store, people, areas, at) -> None:
    crowd = [
        Person(id=f"per_a{n}", name=f"a{n}", organisation=ORGANISATION, roles=frozenset({Role.APPROVER}))
        for n in range(HANDS)
    ]
    store.run(lambda u: [people_book.add(u, p, login=p.id, password_hash="", at=at) for p in crowd])
    release = made.submitted(store, people["officer"], at)

    def approve(n: int) -> Callable[[], Any]:
        by = crowd[n]
        return lambda: attempt(
            stores[n % PROCESSES],
            lambda u: desk.approve(u, release.id, digest=release.digest, by=by, at=at),
            act="approve", by=by, at=at, release_id=release.id,
        ).result(60)  # fmt: skip

    outcomes = at_once([approve(n) for n in range(HANDS)])
    winners = [o for o in outcomes if not isinstance(o, Exception)]
    assert [w.state for w in winners] == [State.APPROVED]
    assert all(isinstance(o, IllegalMove | Conflict) for o in outcomes if isinstance(o, Exception))
    assert len(store.read(lambda u: promises.of_release(u, release.id))) == 11
    assert len(store.read(lambda u: releases.votes(u, release.id, release.digest))) == 1
    acts = Counter(e.act for e in store.read(lambda u: journal.entries(u, "release", release.id)))
    assert acts == {"create": 1, "submit": 1, "approve": 1, "refused": HANDS - 1}


@pytest.mark.parametrize("rival", ["edit", "return", "reject", "stop"])
def test_r7_h85_an_approval_and_its_rival_do_not_both_have_their_way(
    stores, store, people, areas, at, rival
) -> None:
    def works(release) -> list[Callable[[], Any]]:
        officer, other = people["officer2"], people["approver2"]
        acts = {
            "edit": lambda u: desk.edit(u, release.id, release.draft, by=officer, at=at),
            "return": lambda u: desk.send_back(u, release.id, reason="x", by=other, at=at),
            "reject": lambda u: desk.reject(u, release.id, reason="x", by=other, at=at),
            "stop": lambda u: desk.stop(u, release.id, reason="x", by=officer, at=at),
        }
        return [
            lambda: stores[0].run(
                lambda u: desk.approve(u, release.id, digest=release.digest, by=people["approver"], at=at)
            ),
            lambda: stores[1].run(acts[rival]),
        ]

    for _ in range(6):
        release = made.submitted(store, people["officer"], at)
        approval, other = at_once(works(release))
        now = store.read(lambda u, i=release.id: releases.get(u, i))
        going = [
            d for d in store.read(lambda u, i=release.id: promises.of_release(u, i)) if d.state == "ready"
        ]
        if rival == "stop":  # before the approval there is nothing to stop; after it everything is stopped
            assert not isinstance(approval, Exception)
            assert (now.state is State.STOPPED) is (not going) is (not isinstance(other, Exception))
        elif isinstance(approval, Exception):
            assert isinstance(approval, Refused)
            assert not isinstance(other, Exception)
            assert going == []
        else:
            assert isinstance(other, Refused)
            assert (now.state, len(going)) == (State.APPROVED, 11)
