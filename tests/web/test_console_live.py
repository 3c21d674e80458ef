"""The live link of the desk over real sockets: nothing skipped, nothing told to who may not, no end delayed."""

import asyncio
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.errors import BadInput, Unavailable
from domain.person import Person, Role
from duty import grants as grant_duty
from duty import reports as duty
from duty import tasks as task_duty
from store import journal, people, stream
from store import tables as t
from store.grants import Grant
from store.stream import Cursor
from templates import pages
from tests.web.api_world import World, served
from tests.web.console_browser import add_person, call, enter, link_for
from web import live
from web.events import CHECK, EventStream
from web.live import Live

STATIC = Path(pages.__file__).parent / "console" / "static"
BOSS = Person(id="per_leader", name="管理员", organisation="", roles=frozenset({Role.ADMIN}))
PATIENCE = 60  # s: a stream that says nothing for so long has broken, however slow the machine


class Reader:
    """Reads a stream as a browser would."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.iter_lines()
        self.last_id = ""

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        name = ""
        for line in self._lines:
            field, _, value = line.partition(": ")
            if field == "id":
                self.last_id = value
            elif field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)

    def until(self, name: str) -> tuple[list[tuple[str, Any]], Any]:
        """(what came before, the data of the first event called `name`)."""
        before: list[tuple[str, Any]] = []
        for said, data in self:
            if said == name:
                return before, data
            before.append((said, data))
        raise AssertionError(f"the stream ended before {name}: {before}")


@contextmanager
def _log_in(hall: World, port: int, login: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
        answer = client.post(link_for(hall, login), headers={"Sec-Fetch-Site": "same-origin"})
        assert answer.status_code == 303
        yield client


@contextmanager
def _open(client: httpx.Client, **headers: str) -> Iterator[Reader]:
    with client.stream("GET", "/console/stream", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield Reader(answer)


def _act(hall: World, entity: str, act: str = "test", kind: str = "report") -> None:
    hall.hub.store.run(lambda unit: journal.append(unit, kind, entity, act, by="system", at=hall.clock()))


def test_a_report_is_told_by_its_id_and_what_happened_meanwhile_is_told_after_a_break(hall: World) -> None:
    with served(hall.hub) as port, _log_in(hall, port, "officer") as client:
        with _open(client) as reader:
            reader.until("beat")
            first = call(hall, "1", place="桥头", text="积水")
            before, told = reader.until("report")
            assert (told["id"], told["act"], set(told)) == (first, "file", {"kind", "id", "act", "at"})
            assert {name for name, _ in before} <= {"inbound", "beat"}
            mark = reader.last_id
        missed = [call(hall, str(n), place="桥头", text="积水") for n in range(2, 5)]
        with _open(client, **{"Last-Event-ID": mark}) as reader:
            assert [reader.until("report")[1]["id"] for _ in missed] == missed


def test_what_changes_between_the_page_and_its_stream_is_told(hall: World) -> None:
    with served(hall.hub) as port, _log_in(hall, port, "officer") as client:
        page = client.get("/console").text
        found = re.search(r'hx-sse:connect="(/console/stream\?after=[\w-]+)"', page)
        assert found
        report = call(hall, place="桥头", text="积水")
        with client.stream("GET", found[1]) as answer:
            assert Reader(answer).until("report")[1]["id"] == report


def test_five_thousand_events_arrive_once_and_in_order(quick: World) -> None:
    with served(quick.hub) as port, _log_in(quick, port, "officer") as client, _open(client) as reader:
        reader.until("beat")

        def write() -> None:
            for n in range(50):
                quick.hub.store.run(lambda unit, n=n: [
                    journal.append(unit, "report", f"r{n}-{m}", "file", by="x", at=quick.clock(), is_first=True)
                    for m in range(100)
                ])  # fmt: skip

        writer = threading.Thread(target=write)
        writer.start()
        told = [reader.until("report")[1]["id"] for _ in range(5000)]
        writer.join()
        assert told == [f"r{n}-{m}" for n in range(50) for m in range(100)]


def test_logins_and_people_are_never_told(quick: World) -> None:
    with served(quick.hub) as port, _log_in(quick, port, "officer") as client, _open(client) as reader:
        reader.until("beat")
        for kind in ("auth", "person", "key", "root"):
            _act(quick, "secret", kind=kind)
        _act(quick, "rep_1")
        before, _ = reader.until("report")
        assert {name for name, _ in before} <= {"beat"}


def test_every_piece_of_a_page_that_follows_something_is_told_of_it() -> None:
    written = "".join(path.read_text() for path in STATIC.parent.glob("*.html"))
    texts = re.sub(r"{[{%].*?[%}]}", "", written)  # what stands there is an id
    follows = {name for found in re.findall(r'data-live="([^"]+)"', texts) for name in found.split()}
    wanted = {re.split("[:/]", name)[0] for name in follows} - {""}
    (kinds,) = re.findall(r'data-kinds="([^"]+)"', texts)
    assert "task" in wanted and wanted <= set(kinds.split()) <= live.KINDS


def test_a_step_in_the_field_is_told_at_the_desk(quick: World) -> None:
    name = call(quick)
    quick.file_all()
    with served(quick.hub) as port, _log_in(quick, port, "officer") as client, _open(client) as reader:
        reader.until("beat")
        add_person(quick, "zhao", Role.FIELD)
        at, officer = (
            quick.clock(),
            Person(id="per_officer", name="", organisation="", roles=frozenset({Role.OFFICER})),
        )
        task = quick.hub.store.run(
            lambda u: task_duty.give(
                u,
                name,
                by=officer,
                at=at,
                person="per_zhao",
                what="看",
                where="",
                due_at=at + timedelta(hours=1),
            )
        )
        assert reader.until("task")[1]["id"] == task.id


def test_who_is_not_logged_in_hears_403_and_no_login_page(quick: World) -> None:
    with served(quick.hub) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/console/stream", timeout=PATIENCE)
        assert (answer.status_code, answer.content) == (403, b"")
        stolen = httpx.get(
            f"http://127.0.0.1:{port}/console/stream", cookies={"tocsin": "x" * 43}, timeout=PATIENCE
        )
        assert stolen.status_code == 403
        key = httpx.get(
            f"http://127.0.0.1:{port}/console/stream", headers=quick.headers("officer"), timeout=PATIENCE
        )
        assert key.status_code == 403


@pytest.mark.parametrize("mark", ["forged", "-1", "0", "A" * 43, "é", "9" * 5000, "' OR 1=1 --"])
def test_a_forged_mark_begins_at_the_head_and_says_so(quick: World, mark: str) -> None:
    old = call(quick, "1", place="桥头", text="积水")
    with (
        served(quick.hub) as port,
        _log_in(quick, port, "officer") as client,
        client.stream("GET", "/console/stream", params={"after": mark}) as answer,
    ):
        reader = Reader(answer)
        reader.until("reset")
        new = call(quick, "2", place="桥头", text="积水")
        before, told = reader.until("report")
        assert told["id"] == new != old
        assert all(name in ("beat", "inbound") for name, _ in before)


def test_a_mark_ahead_of_the_journal_is_of_a_restored_database(quick: World) -> None:
    ahead = live.write(quick.hub.keys.cursor, Cursor(0, 10**9))
    after = {"Last-Event-ID": ahead}
    with (
        served(quick.hub) as port,
        _log_in(quick, port, "officer") as client,
        _open(client, **after) as reader,
    ):
        reader.until("reset")


def test_a_page_that_missed_too_much_is_told_to_read_everything(quick: World) -> None:
    begin = live.write(quick.hub.keys.cursor, quick.hub.store.read(stream.head))
    quick.hub.store.run(lambda unit: [
        journal.append(unit, "report", f"r{n}", "file", by="x", at=quick.clock(), is_first=True)
        for n in range(live.REPLAY)
    ])  # fmt: skip
    after = {"Last-Event-ID": begin}
    with (
        served(quick.hub) as port,
        _log_in(quick, port, "officer") as client,
        _open(client, **after) as reader,
    ):
        before, _ = reader.until("reset")
        assert all(name == "beat" for name, _ in before)


def test_logging_out_ends_the_stream_of_that_session_only(quick: World) -> None:
    with (
        served(quick.hub) as port,
        _log_in(quick, port, "officer") as client,
        _log_in(quick, port, "officer2") as other,
    ):
        csrf = re.search(r'name="csrf" value="([^"]+)"', client.get("/console").text)
        assert csrf
        with _open(client) as reader, _open(other) as kept:
            reader.until("beat")
            headers = {"Sec-Fetch-Site": "same-origin"}
            assert client.post("/logout", data={"csrf": csrf[1]}, headers=headers).status_code == 303
            assert reader.until("bye")[1] == {"why": "session"}
            assert list(reader) == []
            _act(quick, "rep_1")
            kept.until("report")


def test_a_role_that_is_taken_away_ends_the_stream(quick: World) -> None:
    with served(quick.hub) as port, _log_in(quick, port, "officer") as client, _open(client) as reader:
        reader.until("beat")
        update = t.person.update().where(t.person.c.id == "per_officer").values(roles=[])
        quick.hub.store.run(lambda unit: unit.execute(update))
        assert reader.until("bye")[1] == {"why": "session"}
        assert client.get("/console/stream").status_code == 403


def test_an_expired_session_ends_its_stream(quick: World) -> None:
    with served(quick.hub) as port, _log_in(quick, port, "officer") as client, _open(client) as reader:
        reader.until("beat")
        quick.clock.forward(hours=13)
        assert reader.until("bye")[1] == {"why": "session"}


def _grant(hall: World, *, minutes: float) -> Grant:
    """A hidden report's compartment, to the officer, by the administrator."""
    at = hall.clock()

    def work(unit: Any) -> Grant:
        return grant_duty.give(unit, holder="per_officer", compartment="social", until=at + timedelta(minutes=minutes),
                               reason="专班", by=BOSS, at=at)  # fmt: skip

    return hall.hub.store.run(work)


def _crowd(hall: World) -> str:
    name = call(hall, text="甲一区政府门前数百人聚集上访")
    hall.file_all()
    return name


def test_a_grant_that_is_withdrawn_ends_the_stream_before_it_tells_more_and_another_page_lives_on(
    quick: World,
) -> None:
    given, hidden = _grant(quick, minutes=60), _crowd(quick)
    with (
        served(quick.hub) as port,
        _log_in(quick, port, "officer") as client,
        _log_in(quick, port, "officer2") as other,
        _open(client) as reader,
        _open(other) as kept,
    ):
        reader.until("beat")
        _act(quick, hidden)
        assert reader.until("report")[1]["id"] == hidden

        def withdraw(unit: Any) -> None:
            grant_duty.withdraw(unit, given.id, by=BOSS, at=quick.clock())
            journal.append(unit, "report", hidden, "test", by="system", at=quick.clock())

        quick.hub.store.run(withdraw)
        before, said = reader.until("bye")
        assert said == {"why": "sight"} and all(name == "beat" for name, _ in before)
        assert list(reader) == []
        _act(quick, "rep_1")
        assert kept.until("report")[1]["id"] == "rep_1"


def test_a_grant_that_is_given_is_seen_by_the_open_stream(quick: World) -> None:
    hidden = _crowd(quick)
    with served(quick.hub) as port, _log_in(quick, port, "officer") as client, _open(client) as reader:
        reader.until("beat")
        _act(quick, hidden)
        _act(quick, "rep_1")
        assert reader.until("report")[1]["id"] == "rep_1"  # of the other it hears nothing
        _grant(quick, minutes=60)
        _act(quick, hidden)
        _act(quick, "rep_2")
        assert reader.until("report")[1]["id"] == hidden


def test_a_grant_that_runs_out_ends_the_stream_within_five_seconds_whatever_is_told_meanwhile(
    quick: World,
) -> None:
    _grant(quick, minutes=60)
    with served(quick.hub) as port, _log_in(quick, port, "officer") as client, _open(client) as reader:
        reader.until("beat")
        began = time.monotonic()
        quick.clock.forward(hours=2)
        late = threading.Timer(3.5, _act, (quick, "rep_1"))  # waiting from then on would make it eight
        late.start()
        assert reader.until("bye")[1] == {"why": "sight"}
        late.join()
        assert time.monotonic() - began < CHECK + 3  # of which three are the machine's


def test_a_hub_that_leaves_ends_every_stream_at_once(quick: World) -> None:
    with served(quick.hub) as port, _log_in(quick, port, "officer") as client, _open(client) as reader:
        reader.until("beat")
        quick.hub.stopping.set()
        assert [name for name, _ in reader if name != "beat"] == []
        assert client.get("/console/stream").status_code == 503


def test_a_fifth_page_of_one_session_takes_the_place_of_the_first(quick: World) -> None:
    with served(quick.hub) as port, _log_in(quick, port, "officer") as client:
        first = client.stream("GET", "/console/stream")
        reader = Reader(first.__enter__())
        reader.until("beat")
        others = [client.stream("GET", "/console/stream") for _ in range(live.PER_SESSION)]
        kept = [Reader(other.__enter__()) for other in others]
        for other in kept:
            other.until("beat")
        assert reader.until("bye")[1] == {"why": "displaced"}
        _act(quick, "rep_1")
        for other in kept:
            other.until("report")
        for opened in (first, *others):
            opened.__exit__(None, None, None)


def test_h40_a_process_bears_two_hundred_streams_and_one_that_left_makes_room(quick: World) -> None:
    async def crowd() -> None:
        running = Live(quick.hub)
        listeners = [await running.open(f"s{n}", Cursor()) for n in range(live.AT_ONCE)]
        with pytest.raises(Unavailable) as refused:
            await running.open("one more", Cursor())
        assert refused.value.code == "too_many_streams"
        running.close(listeners[0])
        await running.open("one more", Cursor())
        assert running.count == live.AT_ONCE
        quick.hub.stopping.set()

    asyncio.run(crowd())


def test_who_joins_while_the_reader_of_the_last_one_leaves_is_told_all_the_same(quick: World) -> None:
    async def walk() -> list[str]:
        running = Live(quick.hub)
        head = await asyncio.to_thread(quick.hub.store.read, stream.head)
        running.close(await running.open("first", head))
        async with running._news:  # somebody looks for news just then, and the leaving reader waits for him
            await asyncio.sleep(3 * live.POLL)
            listener = await running.open("second", head)
        await asyncio.to_thread(_act, quick, "late")
        told = running.listen(listener, lambda: 1.0)
        for _ in range(30):  # an empty batch says that a second brought nothing
            if batch := await anext(told):
                quick.hub.stopping.set()
                return [entry.entity for entry in batch]
        return []

    assert asyncio.run(walk()) == ["late"]


def test_a_reader_that_takes_nothing_is_let_go_and_the_others_go_on(quick: World) -> None:
    async def stuck() -> None:
        running = Live(quick.hub)
        listener = await running.open("slow", quick.hub.store.read(stream.head))

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def none() -> str:
            return ""

        async def all_of(batch: Any) -> Any:
            return batch

        answer = EventStream(
            quick.hub, running, listener, must_reload=False, choose=all_of, why_not=none, slow=0.01
        )
        await answer({"type": "http"}, receive, send)
        assert running.count == 0

    asyncio.run(stuck())


def test_marks_are_ours_alone(quick: World) -> None:
    key = quick.hub.keys.cursor
    mark = live.write(key, Cursor(7, 42))
    assert live.read(key, mark) == Cursor(7, 42)
    for n in range(len(mark)):
        forged = mark[:n] + ("A" if mark[n] != "A" else "B") + mark[n + 1 :]
        if n < len(mark) - 1:  # the last letter of base64 holds bits that mean nothing
            with pytest.raises(BadInput):
                live.read(key, forged)
    with pytest.raises(BadInput):
        live.read(b"another key", mark)


def test_every_page_takes_scripts_from_the_hub_alone_and_none_from_a_string(quick: World) -> None:
    answer = enter(quick, "officer").get("/console")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "connect-src 'self'" in policy
    assert not re.search(r"\son\w+=|hx-on|js:|javascript:", answer.text)
    config = re.search(r"<meta name=\"htmx-config\" content='([^']+)'", answer.text)
    assert config
    settings = json.loads(config[1])
    assert settings["sse"] == {"pauseOnBackground": False, "reconnectMaxDelay": 5000}  # trap T1
    assert settings["noSwap"] == [204, 304, "4xx", "5xx"]
    assert "<script" not in quick.client.get("/login").text


def test_scripts_may_be_cached_for_ever_and_are_those_of_their_makers(quick: World) -> None:
    sources = (STATIC / "SOURCES.md").read_text()
    for address, body in pages.scripts().items():
        answer = quick.client.get(f"/console/static/{address}")
        assert answer.content == body
        assert answer.headers["content-type"].startswith("text/javascript")
        assert "immutable" in answer.headers["cache-control"]
        name = re.sub(r"-[0-9a-f]{12}", "", address)
        if name != "desk.js":
            assert f"| `{name}` |" in sources
            assert hashlib.sha384(body).hexdigest() in sources
    assert len((STATIC / "desk.js").read_text().splitlines()) <= 200
    for path in ("htmx.js", "desk-000000000000.js", "..%2fSOURCES.md", "SOURCES.md", "LICENSE.htmx"):
        assert quick.client.get(f"/console/static/{path}").status_code in (400, 404)


def test_rows_asked_for_by_name_tell_which_left_the_view(quick: World) -> None:
    report, other = call(quick, "1", place="桥头", text="积水"), call(quick, "2", place="路口", text="树倒")
    browser = enter(quick, "officer")
    officer = quick.hub.store.read(lambda unit: people.get(unit, "per_officer"))
    quick.hub.store.run(lambda unit: duty.claim(unit, report, by=officer, at=quick.clock()))
    page = browser.get(
        f"/console/rows?view=filed&channel=&ids={report},{other},rep_x,{'9' * 3000}", **{"HX-Request": "1"}
    )
    rows = dict(re.findall(r'<tr id="row-(rep_\w+)"[^>]*?( class="out")?>', page.text))
    assert rows == {report: ' class="out"', other: ""}
    assert "<html" not in page.text
    assert f'data-post-a="/console/reports/{other}/claim"' in page.text
    assert f'data-post-a="/console/reports/{report}/claim"' not in page.text
    mine = browser.get("/console?view=mine").text
    assert report in mine
    assert other not in mine
    counts = browser.get("/console/counts?view=mine&channel=", **{"HX-Request": "1"}).text
    assert re.search(r'aria-current="true">我的 <b>1</b>', counts)
    auditor = enter(quick, "auditor").get(f"/console/rows?view=all&channel=&ids={other}").text
    assert "data-post-a" not in auditor
    assert "data-href-r" not in auditor


def test_a_page_without_javascript_renews_itself_and_has_every_act_as_a_form(quick: World) -> None:
    add_person(quick, "both", Role.OFFICER, Role.LEADER)
    report = call(quick, place="桥头", text="积水")
    browser = enter(quick, "both")
    page = browser.get("/console").text
    assert '<noscript><meta http-equiv="refresh" content="20"></noscript>' in page
    page = browser.get(f"/console/reports/{report}").text
    acts = set(re.findall(r'<form method="post" action="([^"]+)"', page))
    assert {f"/console/reports/{report}/{act}" for act in ("claim", "classify")} <= acts
    assert "data-filter" in page
    assert re.search(r'<div hidden><input class="filter"', page)  # shown by the script alone
