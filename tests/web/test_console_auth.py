"""Coming in and going out: passwords, one-time links, sessions, and forms that are really ours."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from starlette.testclient import TestClient

from domain.person import Person, Role
from store import journal, people
from store import tables as t
from tests.web.api_world import World, world
from tests.web.console_browser import OURS, SECRET, Browser, add_person, enter, link_for, stranger, words
from web import auth
from web.throttle import FREE_ACCOUNT, FREE_ADDRESS, LONGEST


@pytest.fixture
def hall(database_url: str, tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at, url=database_url) as made:
        yield made


@pytest.fixture
def quick(tmp_path: Path, at: datetime) -> Iterator[World]:
    with world(tmp_path / "data", at) as made:
        yield made


def _log_in(browser: Browser, login: str, password: str):
    return browser.post("/login", {"login": login, "password": password})


def _acts(hall: World, entity: str) -> list[tuple[str, str]]:
    rows = hall.hub.store.read(lambda unit: journal.entries(unit, "auth", entity))
    return [(row.act, row.detail["means"]) for row in rows]


def test_h76_a_right_password_opens_a_shift_and_logout_ends_it_at_once(hall: World) -> None:
    add_person(hall, "zhang", Role.OFFICER, password=SECRET)
    browser = stranger(hall)
    answer = _log_in(browser, "zhang", SECRET)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    token = browser.client.cookies["tocsin"]
    assert browser.get("/console").status_code == 200
    assert (
        hall.hub.store.read(lambda unit: [r for r in unit.rows(t.session.select()) if r.token_hash == token])
        == []
    )
    answer = browser.post("/logout")
    assert answer.headers["location"] == "/login?done=out"
    browser.client.cookies.set("tocsin", token)  # who kept the cookie gains nothing
    assert browser.get("/console").headers["location"] == "/login"
    assert _acts(hall, "per_zhang") == [("login", "password"), ("logout", "session")]


def test_h76_a_login_brings_a_new_token_and_ends_the_session_the_browser_had(quick: World) -> None:
    browser = enter(quick, "officer")
    old = browser.client.cookies["tocsin"]
    browser.post(link_for(quick, "officer"))
    assert browser.client.cookies["tocsin"] != old
    at = quick.clock()
    assert quick.hub.store.read(lambda unit: people.session(unit, old, at)) is None


def test_h77_wrong_password_and_unknown_account_get_the_same_answer(hall: World) -> None:
    add_person(hall, "zhang", Role.OFFICER, password=SECRET)
    wrong = _log_in(stranger(hall), "zhang", "nonsense")
    unknown = _log_in(stranger(hall), "nobody", "nonsense")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.text.replace("zhang", "nobody") == unknown.text
    assert _acts(hall, "per_zhang") == [("failure", "password")]
    assert _acts(hall, "unknown") == [("failure", "password")]


def test_h77_the_hash_for_unknown_accounts_costs_what_a_fresh_one_costs() -> None:
    assert PasswordHasher().check_needs_rehash(auth.NOBODY) is False


def test_h76_an_account_switched_off_stays_out_and_its_sessions_end(quick: World) -> None:
    add_person(quick, "zhang", Role.OFFICER, password=SECRET)
    browser = stranger(quick)
    _log_in(browser, "zhang", SECRET)
    quick.hub.store.run(lambda unit: people.set_active(unit, "zhang", is_active=False))
    assert browser.get("/console").headers["location"] == "/login"
    assert _log_in(stranger(quick), "zhang", SECRET).status_code == 401


def test_h77_failures_make_an_account_slower_and_never_lock_it(quick: World) -> None:
    add_person(quick, "zhang", Role.OFFICER, password=SECRET)
    for _ in range(FREE_ACCOUNT):
        assert _log_in(stranger(quick), "zhang", "wrong").status_code == 401
    slow = _log_in(stranger(quick), "zhang", SECRET)
    assert (slow.status_code, slow.headers["retry-after"]) == (429, "1")
    assert "账号没有被锁定" in words(slow.text)
    waits = []
    for _ in range(9):
        quick.clock.forward(seconds=LONGEST.total_seconds())
        assert _log_in(stranger(quick), "zhang", "wrong").status_code == 401
        waits.append(int(_log_in(stranger(quick), "zhang", SECRET).headers["retry-after"]))
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 60]
    quick.clock.forward(seconds=LONGEST.total_seconds())
    assert _log_in(stranger(quick), "zhang", SECRET).status_code == 303


def test_h77_a_browser_the_officer_has_used_before_is_not_slowed_by_strangers(quick: World) -> None:
    add_person(quick, "zhang", Role.OFFICER, password=SECRET)
    add_person(quick, "li", Role.OFFICER, password=SECRET)
    browser = stranger(quick)
    _log_in(browser, "zhang", SECRET)
    browser.post("/logout", {"csrf": "x"})
    for _ in range(FREE_ACCOUNT):
        _log_in(stranger(quick), "zhang", "wrong")
        _log_in(stranger(quick), "li", "wrong")
    assert _log_in(stranger(quick), "zhang", SECRET).status_code == 429
    assert _log_in(browser, "zhang", SECRET).status_code == 303
    assert _log_in(browser, "li", SECRET).status_code == 429  # its cookie speaks for one account only
    device = browser.client.cookies.get("tocsin-device", path="/login")
    forged = stranger(quick)
    forged.client.cookies.set("tocsin-device", f"{'0' * 32}.{device.partition('.')[2]}")
    assert _log_in(forged, "zhang", SECRET).status_code == 429


def test_h77_one_address_that_tries_many_accounts_gets_slower(quick: World) -> None:
    for n in range(FREE_ADDRESS):
        assert _log_in(stranger(quick), f"guess{n}", "wrong").status_code == 401
    assert _log_in(stranger(quick), "another", "wrong").status_code == 429
    assert stranger(quick).post("/login/guessed").status_code == 429


def test_looking_at_a_one_time_link_uses_nothing_up_and_pressing_it_does(hall: World) -> None:
    link = link_for(hall, "officer")
    scanner, browser = stranger(hall), stranger(hall)
    for _ in range(3):
        assert "一次性登录" in words(scanner.get(link).text)
    assert "set-cookie" not in scanner.get(link).headers
    assert browser.post(link).headers["location"] == "/console"
    again = stranger(hall).post(link)
    assert again.status_code == 403
    assert "已用过" in words(again.text)
    assert "set-cookie" not in again.headers
    assert _acts(hall, "per_officer") == [("login", "link")]
    assert _acts(hall, "unknown") == [("failure", "link")]


def test_an_old_link_opens_nothing(quick: World) -> None:
    link = link_for(quick, "officer", minutes=10)
    quick.clock.forward(minutes=11)
    assert stranger(quick).post(link).status_code == 403


def test_a_session_is_over_with_the_shift(quick: World) -> None:
    browser = enter(quick, "officer")
    quick.clock.forward(hours=11, minutes=59)
    assert browser.get("/console").status_code == 200
    quick.clock.forward(minutes=2)
    assert browser.get("/console").headers["location"] == "/login"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://other.127.0.0.1:8000"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9000"},
    ],
)  # fmt: skip
def test_h38_a_form_of_another_site_does_nothing_even_with_cookie_and_token(
    quick: World, headers: dict[str, str]
) -> None:
    browser = enter(quick, "officer")
    fields = {"csrf": browser.csrf, "place": "桥头", "slip": "1"}
    assert browser.client.post("/console/calls", data=fields, headers=headers).status_code == 403
    assert (
        browser.client.post("/login", data={"login": "x", "password": "y"}, headers=headers).status_code
        == 403
    )
    assert browser.client.post(link_for(quick, "officer"), headers=headers).status_code == 403
    assert quick.count(t.inbound) == 0


@pytest.mark.parametrize("csrf", ["", "wrong", "é", "x" * 5000])
@pytest.mark.parametrize(
    "path", ["/console/calls", "/console/releases", "/logout", "/console/shelf/x/settle"]
)
def test_a_form_without_this_sessions_token_is_refused(quick: World, path: str, csrf: str) -> None:
    browser = enter(quick, "officer")
    answer = browser.post(path, {"csrf": csrf, "place": "桥头"})
    assert answer.status_code == 403
    assert "操作没有执行" in words(answer.text)
    assert quick.count(t.inbound) == 0


def test_the_token_of_another_session_is_no_use(quick: World) -> None:
    mine, other = enter(quick, "officer"), enter(quick, "officer2")
    assert mine.post("/console/calls", {"csrf": other.csrf, "place": "桥头"}).status_code == 403


def test_h38_only_real_forms_are_read(quick: World) -> None:
    browser = enter(quick, "officer")
    body = f"csrf={browser.csrf}&place=x"
    for kind in ("text/plain", "application/json", "multipart/form-data; boundary=x"):
        headers = {**OURS, "Content-Type": kind}
        assert browser.client.post("/console/calls", content=body, headers=headers).status_code == 400
    big = f"csrf={browser.csrf}&text={'a' * 1_000_001}"
    headers = {**OURS, "Content-Type": "application/x-www-form-urlencoded"}
    assert browser.client.post("/console/calls", content=big, headers=headers).status_code == 413
    assert quick.count(t.inbound) == 0


@pytest.mark.parametrize(
    "path",
    [
        "/console",
        "/console/find",
        "/console/shelf",
        "/console/calls/new",
        "/console/releases",
        "/console/reports/x",
    ],
)
def test_nothing_of_the_desk_is_shown_without_a_session(quick: World, path: str) -> None:
    answer = stranger(quick).get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert answer.text == ""


def test_h76_h38_behind_https_the_cookie_is_bound_to_the_host(
    quick: World, tmp_path: Path, at: datetime
) -> None:
    settings = quick.hub.settings.model_copy(update={"secure_cookies": True})
    keeper = auth.give(_with(quick, settings), auth.go("/console"), "token")
    cookie = keeper.headers["set-cookie"]
    assert cookie.startswith("__Host-tocsin=token;")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie


def _with(hall: World, settings):
    return type(hall.hub)(
        **{f: getattr(hall.hub, f) for f in hall.hub.__dataclass_fields__} | {"settings": settings}
    )


def test_pages_may_load_nothing_and_be_framed_by_nobody(quick: World) -> None:
    browser = enter(quick, "officer")
    for path in ("/login", "/console", "/console/releases"):
        headers = browser.get(path).headers
        policy = headers.get("content-security-policy", "")
        if headers.get("location"):
            continue
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


def test_the_language_is_chosen_by_a_click_and_kept(quick: World) -> None:
    browser = enter(quick, "officer")
    answer = browser.get("/console?view=all&lang=en")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console?view=all")
    page = browser.get("/console?view=all").text
    assert '<html lang="en">' in page
    assert "New call slip" in words(page)
    assert browser.get("/console?lang=xx").status_code == 200


def test_the_language_of_a_person_is_that_of_his_pages(quick: World) -> None:
    person = Person(
        id="per_smith", name="Smith", organisation="x", roles=frozenset({Role.OFFICER}), language="en"
    )
    quick.hub.store.run(
        lambda unit: people.add(unit, person, login="smith", password_hash="", at=quick.clock())
    )
    assert "New call slip" in words(enter(quick, "smith").get("/console").text)


def test_a_client_that_is_no_browser_may_log_in(quick: World) -> None:
    client: TestClient = stranger(quick).client
    assert client.post(link_for(quick, "officer")).headers["location"] == "/console"
