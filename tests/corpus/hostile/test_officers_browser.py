"""What a stranger's page and a stranger's words can do in an officer's browser: nothing."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lxml import etree
from lxml import html as lxml_html
from playwright.sync_api import Browser, expect
from starlette.routing import Route

from domain.artefact import Purpose
from domain.report import State
from store import releases, reports
from store import tables as t
from tests.corpus.hostile.canaries import CANARIES
from tests.web.api_world import World, served
from tests.web.console_browser import add_recipients, bring, call, enter, rain
from tests.web.screens import chromium, person_at
from web.console.routes import routes
from web.live import Live


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


class Evil(ThreadingHTTPServer):
    """Another site: it serves whatever page it is given."""

    page = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Evil)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.server.page.encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def evil() -> Iterator[Evil]:
    made = Evil()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def test_h36_no_word_of_a_stranger_runs_in_the_officers_browser(quick: World, browser: Browser) -> None:
    text = "\n".join(CANARIES)
    report = call(quick, text=text, place=CANARIES[1], name=CANARIES[0], caller=CANARIES[0])
    bring(
        quick,
        "email",
        f"From: x@y.example\r\nSubject: {CANARIES[0]}\r\n\r\n{text}".encode(),
        "message/rfc822",
    )
    with served(quick.hub) as port, person_at(browser, quick, port, "officer") as page:
        errors: list[str] = []
        page.add_init_script("window.boom = () => { window.boomed = true }")
        page.on("dialog", lambda dialog: errors.append(dialog.message))
        for path in (
            "/console",
            f"/console/reports/{report}",
            "/console/find?q=boom",
            f"/console/releases/new?from={report}",
        ):
            page.goto(path)
            expect(page.locator("main")).to_be_visible()
            assert page.evaluate("() => window.boomed === true") is False, path
            assert (
                page.locator("main script, main img[src=x], main [onerror], main a[href^=javascript]").count()
                == 0
            ), path
        assert errors == []


@pytest.mark.parametrize("channels", [("sms", "web_notice", "broadcast"), ("cap_feed",)])
def test_h36_the_words_of_an_author_are_text_in_every_artefact(
    quick: World, channels: tuple[str, ...]
) -> None:
    """Console, SMS, script, page, alert: each sink by its own parser. Marks of HTML never reach an alert at all."""
    officer = enter(quick, "officer")
    tags = {
        "fields.places_zh": '西山"><img src=x>',
        "fields.places_en": "<script>boom()</script>",
        "issuer": "台{{7*7}}<!--",
    }
    plain = {
        "fields.places_zh": "西山 & {{7*7}}",
        "fields.places_en": "a & b {{7*7}}",
        "issuer": "台{{7*7}}",
    }
    if "cap_feed" in channels:
        path = (
            officer.post("/console/releases", rain(channels=channels, **tags))
            .headers["location"]
            .partition("?")[0]
        )
        refused = officer.post(f"{path}/submit")
        assert refused.status_code == 422 and "CAP-R17" in refused.text and "<script>boom" not in refused.text
    fields = plain if "cap_feed" in channels else tags
    path = (
        officer.post("/console/releases", rain(channels=channels, **fields))
        .headers["location"]
        .partition("?")[0]
    )
    assert officer.post(f"{path}/submit").status_code == 303
    release_id = path.rpartition("/")[2]
    release = quick.hub.store.read(lambda unit: releases.get(unit, release_id))
    assert release
    found = quick.hub.store.read(lambda unit: releases.artefacts(unit, release_id, release.digest))
    assert {artefact.channel for artefact in found} == set(channels)
    for artefact in found:
        body = artefact.body.decode()
        assert "49" not in body.replace(release.identifier, "")
        if artefact.channel == "cap_feed":
            texts = "".join(etree.fromstring(artefact.body).itertext())
            assert fields["issuer"] in texts and "49" not in texts.replace(release.identifier, "")
            assert fields["fields.places_zh"] in texts or artefact.purpose is not Purpose.MAIN
        elif artefact.channel == "web_notice":
            page = lxml_html.fragment_fromstring(body, create_parent="div")
            assert page.xpath(".//script | .//img | .//comment()") == []
            assert "{{7*7}}<!--" in page.text_content()
        else:
            assert fields["issuer"] in body
    page = officer.get(path).text
    assert "<script>boom" not in page and "<img src=x" not in page and "台49" not in page


def test_h38_every_post_of_the_desk_refuses_a_form_of_another_site(quick: World) -> None:
    officer = enter(quick, "officer")
    posts = [
        r.path
        for r in routes(quick.hub, Live(quick.hub))
        if isinstance(r, Route) and "POST" in (r.methods or ())
    ]
    assert len(posts) > 15
    before = {table: quick.count(table) for table in (t.journal, t.release_row, t.report_row, t.slip)}
    for path in posts:
        place = re.sub(r"\{[^}]+\}", "x", path)
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"},
                        {"Origin": "null"}):  # fmt: skip
            answer = officer.client.post(place, data={"csrf": officer.csrf}, headers=headers)
            assert answer.status_code in (403, 404, 405), (path, headers, answer.status_code)
        for kind, raw in (("text/plain", b'{"csrf": "x"}'), ("application/json", b'{"csrf": "x"}')):
            answer = officer.client.post(
                place, content=raw, headers={"Content-Type": kind, "Sec-Fetch-Site": "same-origin"}
            )
            assert 400 <= answer.status_code < 500, (path, kind)
        answer = officer.client.post(place, data={"csrf": "wrong"}, headers={"Sec-Fetch-Site": "same-origin"})
        if not place.startswith("/login"):
            assert 400 <= answer.status_code < 500, path
    after = {table: quick.count(table) for table in before}
    assert {k.name: v for k, v in after.items() if k is not t.journal} == {
        k.name: v for k, v in before.items() if k is not t.journal
    }


def test_h38_a_browser_sends_no_cookie_with_the_form_of_another_site(
    quick: World, browser: Browser, evil: Evil
) -> None:
    report = call(quick, place="桥头", text="积水")
    with served(quick.hub) as port, person_at(browser, quick, port, "officer") as page:
        page.goto(f"/console/reports/{report}")
        csrf = page.locator("input[name=csrf]").first.get_attribute("value")
        target = f"http://127.0.0.1:{port}/console/reports/{report}/claim"
        evil.page = (
            f'<form id="f" method="post" action="{target}"><input name="csrf" value="{csrf}"></form>'
            "<script>document.getElementById('f').submit()</script>"
        )
        with page.expect_response(lambda answer: answer.url == target) as seen:
            page.goto(f"http://localhost:{evil.server_port}/")
        assert seen.value.status in (303, 403)
        assert "tocsin=" not in (seen.value.request.all_headers().get("cookie") or "")
        found = quick.hub.store.read(lambda unit: reports.get(unit, report))
        assert found and found.state is State.FILED


def test_h39_a_page_of_the_desk_is_shown_in_no_frame(quick: World, browser: Browser, evil: Evil) -> None:
    add_recipients(quick)
    officer = enter(quick, "officer")
    path = officer.post("/console/releases", rain()).headers["location"].partition("?")[0]
    officer.follow(f"{path}/submit")
    with served(quick.hub) as port, person_at(browser, quick, port, "approver") as page:
        evil.page = f'<iframe src="http://127.0.0.1:{port}{path}" style="opacity:0.01"></iframe>'
        page.goto(f"http://localhost:{evil.server_port}/", wait_until="load")
        frame = page.frames[-1]
        assert frame.url.startswith("chrome-error:") or frame.locator("form").count() == 0
        page.goto(path)  # the approval itself wants a number typed by hand, which no click gives
        expect(page.locator("form[action$='/approve'] input[name=reach]")).to_have_value("")
        assert (
            page.locator("form[action$='/approve'] input[name=reach]").get_attribute("required") is not None
        )
    with_headers = officer.get(path).headers
    assert "frame-ancestors 'none'" in with_headers["content-security-policy"]
    assert with_headers["x-frame-options"] == "DENY"
