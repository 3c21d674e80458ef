"""Every row and every non-row of the table of release moves, through the acts of the desk."""

from collections import deque
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from approval import desk
from domain.errors import IllegalMove, NotFound
from domain.release import MOVES, Release, State
from store import releases
from store import tables as t
from tests.approval import releases_made as made

LATER = timedelta(minutes=31)
ACTS = ("edit", "submit", "approve", "return", "reject", "stop", "lapse")
BY_ACT_OR_TIME = (State.DRAFT, State.SUBMITTED, State.RETURNED, State.REJECTED, State.APPROVED)


def act(store, people, name: str, release: Release, at):
    """The act as its usual person does it."""
    officer, approver = people["officer"], people["approver"]
    if name == "submit":
        bytes_ = made.frozen(store, release.id, at)
        return store.run(lambda u: desk.submit(u, release.id, bytes_, by=officer, at=at))
    work = {
        "edit": lambda u: desk.edit(u, release.id, release.draft, by=officer, at=at),
        "approve": lambda u: desk.approve(u, release.id, digest=release.digest, by=approver, at=at),
        "return": lambda u: desk.send_back(u, release.id, reason="改", by=approver, at=at),
        "reject": lambda u: desk.reject(u, release.id, reason="否", by=approver, at=at),
        "stop": lambda u: desk.stop(u, release.id, reason="停", by=officer, at=at),
        "lapse": lambda u: desk.lapse(u, release.id, at=at + LATER),
    }[name]
    return store.run(work)


def steps_from(start: State, wanted: State) -> list[str]:
    """The shortest way through the table."""
    ways = deque([(start, [])])
    seen = {start}
    while ways:
        state, way = ways.popleft()
        if state is wanted:
            return way
        for (before, action), after in MOVES.table.items():
            if before is state and after not in seen:
                seen.add(after)
                ways.append((after, [*way, action]))
    raise AssertionError(f"no way to {wanted}")


def brought_to(store, people, state: State, at) -> Release:
    """A release in `state`: by acts of the desk, then by what the outbox would do."""
    release = made.created(store, people["officer"], at)
    for action in steps_from(State.DRAFT, state):
        if action in ACTS:
            release = act(store, people, action, release, at)
        else:
            after = replace(release, state=MOVES.after(release.state, action))
            store.run(lambda u, b=release, a=after: releases.save(u, b, a, at))
            release = after
    return store.read(lambda u: releases.get(u, release.id))


@pytest.mark.parametrize("state", list(State))
def test_the_desk_does_what_the_table_allows_and_nothing_else(store, people, areas, at, state: State) -> None:
    release = brought_to(store, people, state, at)
    assert release.state is state
    for name in ACTS:
        if not MOVES.allows(state, name):
            with pytest.raises(IllegalMove):
                act(store, people, name, release, at)
            assert store.read(lambda u: releases.get(u, release.id)) == release, name
    for name in ACTS:
        if MOVES.allows(state, name):
            mine = brought_to(store, people, state, at)
            after = act(store, people, name, mine, at)
            assert after.state is MOVES.after(state, name), name
            assert store.read(lambda u, i=mine.id: releases.get(u, i)) == after, name


@pytest.mark.parametrize("name", [a for a in ACTS if a != "submit"])
def test_an_act_on_an_unknown_release_finds_nothing(store, people, areas, at, name: str) -> None:
    ghost = replace(made.created(store, people["officer"], at), id="rel_00000000000000000000000000")
    with pytest.raises(NotFound):
        act(store, people, name, ghost, at)


def test_only_an_approval_makes_promises(store, people, areas, at) -> None:
    for state in (State.DRAFT, State.SUBMITTED, State.RETURNED, State.REJECTED):
        brought_to(store, people, state, at)
    assert store.read(lambda u: u.scalar(sa.select(sa.func.count()).select_from(t.dispatch))) == 0
    release = brought_to(store, people, State.APPROVED, at)
    rows = store.read(lambda u: u.rows(sa.select(t.dispatch)))
    mains = [a for a in store.read(lambda u: releases.artefacts(u, release.id, release.digest))
             if a.purpose == "main"]  # fmt: skip
    assert {r.release for r in rows} == {release.id}
    assert {(r.artefact, r.sha256) for r in rows} == {(a.id, a.sha256) for a in mains}
    assert len(mains) == 11  # SMS, mail, post, notice and script in two languages, one alert for both
