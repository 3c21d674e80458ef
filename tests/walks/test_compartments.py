"""What an officer without a grant cannot find anywhere: every page and every answer is searched for what is not his."""

import re
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from domain.brief import Kind
from domain.person import Role, Scope
from domain.report import State
from domain.secrecy import HUB, Compartment, Eyes
from duty import briefs as brief_desk
from duty import clocks as clock_desk
from duty import grants as grant_desk
from duty import incidents as incident_desk
from duty import reports as report_desk
from store import arrivals, compartments, grants, inbox, people, reports, scans, study
from store.reports import Filter
from tests.bulletin_kit import xml
from tests.corpus.mail_hub import open_door
from tests.documents_kit import docx
from tests.web.api_world import World, token, world
from tests.web.console_browser import Browser, add_person, enter
from web.console.routes import ACTS, routes
from web.live import Live

CANARY = "QXZKANARIENVOGEL"
HELD = "XVQZARTISCHOCKE"
MARKS = ("机密★1年\n关于某项工作的报告 ", "绝 密 ★ 关于某项工作的报告 ", "附件见内 ")
CROWD = "甲一区政府门前数百人聚集上访，堵塞道路，情绪激动 "
PLAIN = "甲一区桥下积水，车辆被困，请派人处理 "
STREAMS = ("/console/stream", "/v1/stream")  # without an end; tests/web/test_console_live.py hears them


@dataclass
class Town:
    """A hub into which mails have come."""

    world: World
    crowd: str
    marked: list[str]
    names: set[str]  # ids and codes that tell of the four


def _mail(n: int, text: str, *, attached: bytes = b"") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"] = f"bao{n}@dept.example.cn", "report@tocsin.example"
    mail["Subject"], mail["Message-ID"] = f"第{n}号来报", f"<m{n}@dept.example.cn>"
    mail.set_content(text)
    if attached:
        mail.add_attachment(attached, maintype="application", filename="详见附件.docx",
                            subtype="vnd.openxmlformats-officedocument.wordprocessingml.document")  # fmt: skip
    return mail


def _filled(made: World, count: int) -> Town:
    """`count` mails through the real door: three marked, the third only in its document, and one about a crowd."""
    secret = {3: MARKS[0] + HELD, count // 2: MARKS[1] + HELD, count - 2: MARKS[2]}
    with open_door(made.hub) as door, smtplib.SMTP(*door.door.address, timeout=60) as post:
        for n in range(count):
            text = CROWD + CANARY if n == 5 else secret.get(n, f"{PLAIN}{n}")
            document = docx("秘密★6个月", HELD) if n == count - 2 else b""
            refused = post.send_message(_mail(n, text, attached=document))
            assert refused == {}
    hub = made.hub
    for _ in range(count // 200 + 1):  # what one look of the sweep finds
        made.file_all()
    for _ in range(2):
        for scan_id in hub.store.read(lambda u: scans.due(u, made.clock())):
            hub.scanner.scan(scan_id)
        for name in hub.store.read(lambda u: study.due(u, made.clock(), limit=count)):
            hub.student.study(name)
    whole = hub.store.read(
        lambda u: [*reports.page(u, Filter(), limit=count), *reports.page(u, Filter(is_marked=True), limit=9)]
    )
    assert len(whole) == count
    (crowd,) = (r for r in whole if CANARY in r.content.text)
    marked = [r for r in whole if r.compartments & Compartment.MARKED]
    assert (crowd.compartments, len(marked)) == (Compartment.SOCIAL, 3)
    told = {name for r in (crowd, *marked) for name in (r.id, r.code)}
    return Town(world=made, crowd=crowd.id, marked=[r.id for r in marked], names=told)


def _work_on(town: Town) -> None:
    """An officer with the grant does with the crowd whatever can be done, so that it could show anywhere."""
    made, at = town.world, town.world.clock()
    hub = made.hub
    add_person(made, "granted", Role.OFFICER)
    add_person(made, "guard", Role.SECURITY)
    add_person(made, "boss", Role.ADMIN)
    who = hub.store.read(lambda u: people.get(u, "per_granted"))
    boss = hub.store.read(lambda u: people.get(u, "per_boss"))

    def give(unit: Any) -> None:
        people.add_key(unit, "key_granted", token("granted"), name="granted", organisation=who.organisation,
                       person_id=who.id, scopes=list(Scope), at=at)  # fmt: skip
        for holder in (who.id, "key_granted"):
            grant_desk.give(unit, holder=holder, compartment="social", until=at + timedelta(days=7), reason="专班",
                            by=boss, at=at)  # fmt: skip

    hub.store.run(give)
    seen = hub.store.seen_by(Eyes(granted=Compartment.SOCIAL))
    plain = seen.read(lambda u: [r for r in reports.page(u, Filter(), limit=9) if r.id != town.crowd])
    opened = seen.run(
        lambda u: incident_desk.open_incident(u, town.crowd, by=who, at=at, title=f"聚集 {CANARY}")
    )
    seen.run(lambda u: incident_desk.attach(u, opened.id, plain[0].id, by=who, at=at))
    town.names.add(opened.id)
    seen.run(
        lambda u: clock_desk.set_times(u, town.crowd, by=who, at=at, occurred_at=at - timedelta(hours=9))
    )
    made_brief = seen.run(lambda u: brief_desk.draft(u, town.crowd, by=who, at=at, kind=Kind.FIRST,
                                                     title=f"关于 {CANARY}", body=CANARY, to="省厅"))  # fmt: skip
    town.names.add(made_brief.id)
    draft = made.get("granted", "/v1/templates").json()["data"][0]["example"]
    draft["from_report"] = town.crowd
    answer = made.post("granted", "/v1/releases", draft)
    assert answer.status_code == 201, answer.text
    town.names.add(answer.json()["id"])
    seen.run(lambda u: report_desk.claim(u, town.crowd, by=who, at=at))
    _tell(town)


def _tell(town: Town) -> None:
    """A peer's bulletin that bears a mark, where no page shows it: in a parameter."""
    made = town.world
    alert = xml("b-held", made.clock()).replace("预计未来6小时有大暴雨。".encode(), HELD.encode())
    alert = alert.replace(
        b"</info>", "<parameter><valueName>p</valueName><value>秘密★</value></parameter></info>".encode()
    )
    headers = made.headers("peer", **{"Content-Type": "application/cap+xml"})
    assert made.client.post("/v1/bulletins", content=alert, headers=headers).status_code == 202
    for arrival_id in made.hub.store.read(lambda unit: arrivals.due(unit, made.clock())):
        made.hub.peers.reader.read(arrival_id)
    made.file_all()
    held = made.hub.store.read(lambda u: reports.page(u, Filter(is_marked=True), limit=9))
    (one,) = (r for r in held if r.channel == "peer")
    town.names |= {one.id, one.code, "b-held"}
    town.marked.append(one.id)


@pytest.fixture(scope="module")
def town(sqlite_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Fourteen mails; the long form has five hundred."""
    at = datetime.fromisoformat("2026-11-23T06:05:00+00:00")
    with world(tmp_path_factory.mktemp("town") / "data", at, model=sqlite_model) as made:
        found = _filled(made, 14)
        _work_on(found)
        yield found


def _paths(town: Town) -> list[str]:
    """Every GET route, its names filled with what is there and with what is not to be found."""
    ids = sorted(town.names)
    told = [n for n in ids if n not in town.marked[1:]]  # one of the three stands for them
    files = [
        a.sha256
        for r in town.marked
        for a in town.world.hub.store.read(lambda u, n=r: reports.get(u, n)).content.attachments
    ]
    fills = {"id": ids, "sha256": files, "n": ["1", "2"], "kind": ["report", "release"],
             "entity": told, "artefact": ["a"], "code": [n for n in ids if "-" in n], "pair": ["p"], "rest": [""]}  # fmt: skip
    found: list[str] = []
    for path in sorted(_templates(town.world)):
        names = re.findall(r"\{(\w+)(?::\w+)?\}", path)
        filled = [re.sub(r"\{(\w+):\w+\}", r"{\1}", path)]
        for name in names:
            values = fills.get(name, ["x"])
            if name == "id" or name.endswith("_id"):
                values = [one for one in told if _fits(one, path)] or told[:1]
            filled = [one.replace(f"{{{name}}}", value) for one in filled for value in values]
        found += filled
    words = (CANARY, HELD, "聚集", *(n for n in ids if "-" in n))
    found += [f"{at}?q={word}" for at in ("/console/find", "/v1/reports") for word in words]
    found += [f"/console?view={view}" for view in ("all", "mine", "filed", "claimed")]
    found += [f"/console/rows?view=all&channel=&ids={name}" for name in ids]
    found += [f"/v1/reports?status={state.value}&limit=200" for state in State]
    found += ["/v1/events?limit=500", "/v1/reports?limit=200", "/v1/incidents?limit=100", "/console/releases?view=drafts",
              "/console/incidents?view=all", "/console/clocks/late?format=csv"]  # fmt: skip
    return [one for one in found if not one.startswith(STREAMS)]


def _fits(name: str, path: str) -> bool:
    """Whether a page of this address is of things named so."""
    kinds = {"rep": "/reports/", "inc": "/incidents/", "rel": "/releases/", "brf": "/briefs/"}
    return kinds.get(name[:3], "/-/") in path


def _templates(made: World) -> set[str]:
    desk = {route.path for route in routes(made.hub, Live(made.hub)) if "GET" in (route.methods or ())}
    interface = {
        path
        for path, acts in made.get("officer", "/api/openapi.json").json()["paths"].items()
        if "get" in acts
    }
    return desk | {path if path.startswith("/v1") else f"/v1{path}" for path in interface}


def _holds(body: bytes, asked: str, names: set[str]) -> list[str]:
    """What of the four an answer tells that its own address did not hold."""
    text = body.decode("utf-8", "replace")
    return [name for name in (CANARY, HELD, *names) if name in text and name not in asked]


def _walked(
    town: Town, browser: Browser | None, key: str, *, may_not_know: bool = True
) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    paths = _paths(town)
    desk = [p for p in paths if p.startswith("/console")]
    assert len(desk) > 60 and len(paths) - len(desk) > 60
    for path in paths:
        if path.startswith("/console") and browser is not None:
            answer = browser.client.get(path)
        elif path.startswith("/v1") and key:
            answer = town.world.get(key, path)
        else:
            continue
        assert answer.status_code < 500, (path, answer.text[:300])
        if found := _holds(answer.content, path, town.names):
            told[path] = found
        is_theirs = any(name in path for name in town.names) and "ids=" not in path and "?q=" not in path
        if is_theirs and answer.status_code == 403 and may_not_know:
            assert _is_refused_anyway(town, browser, key, path), path
    return told


def _is_refused_anyway(town: Town, browser: Browser | None, key: str, path: str) -> bool:
    """403 is for who may never see such a page; then it is the same for what does not exist."""
    for name in town.names:
        path = path.replace(name, "rep_none")
    answer = (
        browser.client.get(path) if path.startswith("/console") and browser else town.world.get(key, path)
    )
    return bool(answer.status_code == 403)


def test_who_has_no_grant_finds_nothing_of_the_four_on_any_page_or_in_any_answer(town: Town) -> None:
    assert _walked(town, enter(town.world, "officer"), "auditor") == {}


def test_with_the_grant_the_crowd_is_there_and_the_marked_ones_are_not(town: Town) -> None:
    told = _walked(town, enter(town.world, "granted"), "granted", may_not_know=False)
    assert {
        f"/v1/reports/{town.crowd}",
        f"/console/reports/{town.crowd}",
        "/console/clocks",
        "/console/briefs",
    } <= set(told)
    assert all(found != [] and HELD not in found for found in told.values())
    marked = {n for n in town.names if n in town.marked}
    assert not any(marked & set(found) for found in told.values())


def test_the_security_officer_sees_the_three_on_their_shelf_and_not_the_crowd(town: Town) -> None:
    guard = enter(town.world, "guard")
    shelf = guard.get("/console/quarantine").text
    assert all(f"/console/reports/{name}" in shelf for name in town.marked)
    assert town.crowd not in shelf
    assert (
        HELD
        in guard.get(f"/console/reports/{town.marked[0]}").text
        + guard.get(f"/console/reports/{town.marked[1]}").text
    )
    assert guard.get(f"/console/reports/{town.crowd}").status_code == 404
    assert enter(town.world, "officer").get("/console/quarantine").status_code == 404


def test_the_figures_of_an_officer_are_counted_with_his_own_sight(town: Town) -> None:
    hub = town.world.hub
    whole = hub.store.seen_by(HUB).read(reports.counts)
    mine = hub.store.seen_by(Eyes()).read(reports.counts)
    assert sum(whole.values()) == 11 and sum(mine.values()) == 10  # the three are in nobody's queue
    page = enter(town.world, "officer").get("/console/counts").text
    assert re.search(r"\b10\b", page) and not re.search(r"\b11\b", page)


def test_a_grant_that_is_withdrawn_ends_at_once(town: Town) -> None:
    made, browser = town.world, enter(town.world, "granted")
    assert browser.get(f"/console/reports/{town.crowd}").status_code == 200
    boss = enter(made, "boss")
    page = boss.get("/console/grants").text
    given = made.hub.store.read(lambda u: [g for g in grants.newest(u, 9) if g.holder == "per_granted"])
    assert given[0].id in page
    boss.follow(f"/console/grants/{given[0].id}/withdraw")
    assert browser.get(f"/console/reports/{town.crowd}").status_code == 404
    assert (
        made.get("granted", f"/v1/reports/{town.crowd}").status_code == 404
    )  # a key sees no more than its person
    until = f"{made.clock() + timedelta(days=2):%Y-%m-%dT%H:%M}"
    boss.follow(
        "/console/grants",
        {"holder": "per_granted", "compartment": "social", "until": until, "reason": "再授权"},
    )
    assert browser.get(f"/console/reports/{town.crowd}").status_code == 200


def test_no_act_tells_that_something_is_there(town: Town) -> None:
    officer = enter(town.world, "officer")
    officer.get("/console")
    for path in ACTS:
        if "{id}" not in path:
            continue
        for act in ("claim", "flag", "sign", "attach", "let_go"):
            there = officer.post(
                path.replace("{id}", town.crowd).replace("{act}", act).replace("{pair}", "p"), {"reason": "r"}
            )
            gone = officer.post(
                path.replace("{id}", "rep_none").replace("{act}", act).replace("{pair}", "p"), {"reason": "r"}
            )
            assert there.status_code == gone.status_code != 500, (
                path,
                act,
                there.status_code,
                gone.status_code,
            )


@pytest.mark.faults
def test_neither_approver_nor_administrator_nor_department_finds_any_of_it(town: Town) -> None:
    assert _walked(town, enter(town.world, "approver"), "officer") == {}
    assert _walked(town, enter(town.world, "boss"), "department") == {}


@pytest.mark.faults
def test_of_five_hundred_mails_the_four_are_invisible_without_the_grant(
    database_url: str, tmp_path: Path, at: datetime
) -> None:
    with world(tmp_path / "data", at, url=database_url) as made:
        found = _filled(made, 500)
        _work_on(found)
        assert _walked(found, enter(made, "officer"), "officer") == {}
        assert CANARY in made.get("granted", f"/v1/reports/{found.crowd}").text


def test_what_is_found_to_be_marked_afterwards_is_gone_in_the_same_moment(town: Town) -> None:
    store, at = town.world.hub.store, town.world.clock()
    seen = store.seen_by(Eyes())
    name = seen.read(lambda u: reports.page(u, Filter(), limit=1))[0].id
    stays = store.run(
        lambda u: compartments.seal(u, name, Compartment.MARKED, by="system", at=at, why="mark_in_file")
    )
    assert stays and seen.read(lambda u: reports.get(u, name)) is None
    assert seen.read(lambda u: inbox.by_report(u, name)) is None
    assert store.run(lambda u: compartments.unseal(u, name, Compartment.MARKED, by="x", at=at, why="no mark"))
    assert seen.read(lambda u: reports.get(u, name)) is not None
