"""Sessions that somebody guesses, fixes or steals, and passwords that ten thousand addresses try."""

import itertools
import math
from collections import Counter

import pytest
from starlette.testclient import TestClient

from domain.person import Role
from store import people
from store import tables as t
from tests.web.api_world import SITE, World
from tests.web.console_browser import SECRET, Browser, add_person, enter, link_for, rain, stranger
from web.sessions import begin


def test_h102_ten_thousand_session_ids_have_no_order_no_repeat_and_128_bits(quick: World) -> None:
    person = add_person(quick, "zhang", Role.OFFICER)
    at, ids = quick.clock(), []

    def many(unit):
        for _ in range(10_000):
            ids.append(begin(unit, person, old="", at=at, hours=12))

    quick.hub.store.run(many)
    assert len(set(ids)) == 10_000
    assert min(map(len, ids)) * 6 >= 128  # six bits a letter
    rising = sum(b > a for a, b in itertools.pairwise(ids))
    assert abs(rising - 5000) < 6 * math.sqrt(10_000 / 12)  # of a random order; 6 sigma
    for place in range(40):
        letters = Counter(one[place] for one in ids)
        assert len(letters) == 64 and max(letters.values()) < 260, place  # 156 of each, 8 sigma
    stored = quick.hub.store.read(lambda unit: {row.token_hash for row in unit.rows(t.session.select())})
    assert not stored & set(ids)


def test_h102_h76_an_id_in_the_address_a_header_or_another_cookie_is_no_session(quick: World) -> None:
    officer = enter(quick, "officer")
    token = officer.client.cookies["tocsin"]
    for ask in (
        lambda c: c.get(f"/console?tocsin={token}&session={token}&sid={token}"),
        lambda c: c.get(f"/console;tocsin={token}"),
        lambda c: c.get("/console", headers={"Authorization": f"Bearer {token}", "X-Session": token}),
        lambda c: c.get(
            "/console", headers={"Cookie": f"Tocsin={token}; __Host-tocsin={token}; session={token}"}
        ),
    ):
        answer = ask(stranger(quick).client)
        assert answer.status_code in (303, 404)
        assert answer.headers.get("location", "/login") == "/login"


def test_h76_a_fixed_id_is_never_taken_and_ends_with_the_login(quick: World) -> None:
    add_person(quick, "zhang", Role.OFFICER, password=SECRET)
    victim = stranger(quick)
    victim.client.cookies.set("tocsin", "attacker-chose-this")
    assert victim.post("/login", {"login": "zhang", "password": SECRET}).status_code == 303
    names = [c.value for c in victim.client.cookies.jar if c.name == "tocsin"]
    assert names and names != ["attacker-chose-this"]
    thief = stranger(quick)
    thief.client.cookies.set("tocsin", "attacker-chose-this")
    assert thief.get("/console").headers["location"] == "/login"


@pytest.mark.parametrize("how", ["logout", "off", "expiry", "roles"])
def test_h76_a_stolen_cookie_is_worth_nothing_once_its_officer_is_out(quick: World, how: str) -> None:
    officer = enter(quick, "officer")
    thief = stranger(quick)
    thief.client.cookies.set("tocsin", officer.client.cookies["tocsin"])
    assert thief.get("/console").status_code == 200
    if how == "logout":
        officer.post("/logout")
    elif how == "off":
        quick.hub.store.run(lambda unit: people.set_active(unit, "officer", is_active=False))
    elif how == "expiry":
        quick.clock.forward(hours=13)
    else:
        quick.hub.store.run(
            lambda unit: unit.execute(
                t.person.update().where(t.person.c.id == "per_officer").values(roles=["auditor"])
            )
        )
        assert thief.post("/console/releases", rain()).status_code == 403
        return
    assert thief.get("/console").headers["location"] == "/login"


def test_h77_ten_thousand_addresses_shut_nobody_out(quick: World) -> None:
    """The account slows down for strangers; the officer's own browser and his one-time link do not."""
    add_person(quick, "zhang", Role.OFFICER, password=SECRET)
    known = stranger(quick)
    assert known.post("/login", {"login": "zhang", "password": SECRET}).status_code == 303
    known.get("/console")
    known.post("/logout")
    statuses = Counter()
    for n in range(60):  # one a second, each from elsewhere; of 10,000 the rest only hears 429
        address = f"10.{n % 7}.{n // 7}.9"
        client = TestClient(quick.client.app, base_url=SITE, follow_redirects=False, client=(address, 4000))
        statuses[Browser(client).post("/login", {"login": "zhang", "password": f"guess{n}"}).status_code] += 1
        quick.clock.forward(seconds=1)
    assert statuses[429] > 40 and statuses[401] + statuses[429] == 60
    assert known.post("/login", {"login": "zhang", "password": SECRET}).status_code == 303
    by_link = stranger(quick)
    assert by_link.post(link_for(quick, "zhang")).headers["location"] == "/console"
    quick.clock.forward(seconds=61)  # and the wait of everybody else ends
    assert stranger(quick).post("/login", {"login": "zhang", "password": SECRET}).status_code == 303
