"""The citizen's form on a bad network, in a real browser: what it promised to keep arrives, and arrives once."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from domain.report import Report
from store import reports
from store import tables as t
from templates import citizen_pages
from tests.servers import need
from tests.web.api_world import World, served
from tests.web.bad_network import Network, network
from tests.web.screens import FLAGS, chromium, must_be_accessible

# What a browser does whose disk is full (Indexed Database API 3.0 §5.4); Chromium's own override of the quota does
# not reach a headless one.
FULL = """IDBObjectStore.prototype.add = function () {
    this.transaction.abort(); throw new DOMException("full", "QuotaExceededError"); };"""
SAID = citizen_pages.words()["zh-CN"]["said"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@contextmanager
def phone(browser: Browser, quick: World, **how: Any) -> Iterator[tuple[BrowserContext, Network]]:
    """A phone that has opened the form once, with its worker in force."""
    with served(quick.hub) as port, network(port) as net:
        context = browser.new_context(base_url=f"http://127.0.0.1:{net.port}", locale="zh-CN", **how)
        page = context.new_page()
        page.goto("/report")
        page.evaluate("navigator.serviceWorker.ready.then(() => 1)")
        page.close()
        try:
            yield context, net
        finally:
            context.close()


def away(context: BrowserContext, net: Network) -> None:
    net.is_down = True
    context.set_offline(True)


def back(context: BrowserContext, net: Network) -> None:
    net.is_down = False
    context.set_offline(False)


@lru_cache
def photo(width: int = 3000, height: int = 2000) -> bytes:
    """Taken in Hangzhou at eight in the morning of the zone it names."""
    made = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "Maker of the phone"
    exif.get_ifd(0x8769).update({0x9003: "2026:11:23 08:00:00", 0x9011: "+08:00"})
    exif.get_ifd(0x8825).update({1: "N", 2: (30.0, 16.0, 26.76), 3: "E", 4: (120.0, 9.0, 18.36)})
    Image.effect_noise((width // 4, height // 4), 60).convert("RGB").resize((width, height)).save(
        made, "JPEG", exif=exif
    )
    return made.getvalue()


def write(page: Page, text: str, *, photos: int = 1, tells_place: bool = False) -> None:
    page.get_by_label("发生了什么").fill(text)
    page.get_by_label("照片、视频或录音").set_input_files(
        [{"name": f"现场{n}.jpeg", "mimeType": "image/jpeg", "buffer": photo()} for n in range(photos)]
    )
    page.get_by_label("把照片里的拍摄位置").set_checked(tells_place)
    page.get_by_role("button", name="提交报告").click()


def rows(page: Page, state: str) -> Any:
    return page.locator(f"#kept li[data-state={state}]")


def arrived(quick: World) -> dict[str, Report]:
    """text -> report, of everything that came in."""
    quick.file_all()
    found = quick.hub.store.read(lambda u: [reports.get(u, r.id) for r in u.rows(t.report_row.select())])
    made = {one.content.text: one for one in found if one}
    assert len(made) == len(found) == quick.count(t.inbound)
    return made


def test_a_photo_without_words_waits_and_arrives_and_an_empty_form_says_what_is_missing(
    quick: World, browser: Browser
) -> None:
    with phone(browser, quick) as (context, net):
        page = context.new_page()
        page.goto("/report")
        write(page, " ", photos=0)
        expect(page.locator("#note")).to_have_text(SAID["no_text"])
        away(context, net)
        write(page, "")
        expect(rows(page, "waiting")).to_have_count(1)
        back(context, net)
        expect(page.locator(".code strong")).to_be_visible()
    (report,) = arrived(quick).values()
    assert (report.content.text, len(report.content.attachments)) == ("", 1)


def test_r2_h41_three_reports_with_photos_written_without_a_network_arrive_once_each(
    quick: World, browser: Browser
) -> None:
    with phone(browser, quick) as (context, net):
        away(context, net)
        page = context.new_page()
        page.goto("/report")
        expect(page.locator("#offline")).to_be_visible()
        for n in range(3):
            write(page, f"桥塌了，第{n}份", tells_place=n == 2)
            expect(page.locator("#note")).to_have_text(SAID["kept"])
            expect(rows(page, "waiting")).to_have_count(n + 1)
        must_be_accessible(page)
        page.close()
        page = context.new_page()
        page.goto("/report?lang=en")
        expect(rows(page, "waiting")).to_have_count(3)
        assert net.posts == [] and quick.count(t.inbound) == 0
        back(context, net)
        expect(rows(page, "sent")).to_have_count(3, timeout=15_000)
        assert "桥塌了" not in page.evaluate(
            "Outbox.box({name: 'tocsin-reports'}).all().then((all) => JSON.stringify(all))"
        )
    found = arrived(quick)
    assert set(found) == {f"桥塌了，第{n}份" for n in range(3)}
    for text, report in found.items():
        (kept,) = report.content.attachments
        with Image.open(io.BytesIO(quick.hub.blobs.get(kept.sha256))) as picture:
            assert max(picture.size) == 2048 and not picture.getexif().get(0x010F)
        assert [f.value for f in report.content.facts["time"] if f.origin == "exif"] == [
            "2026-11-23T08:00:00+08:00"
        ]
        assert ("position" in report.content.facts) is text.endswith("第2份")
        assert report.content.facts["written"][0].origin == "citizen"


def test_r2_an_answer_that_was_lost_after_the_commit_makes_no_second_report(
    quick: World, browser: Browser
) -> None:
    with phone(browser, quick) as (context, net):
        page = context.new_page()
        page.goto("/report")
        net.cuts = 1
        write(page, "堤坝渗水")
        assert net.was_cut.wait(10)
        assert quick.count(t.inbound) == 1
        page.wait_for_url("**/report/r/*", timeout=15_000)
        code = page.locator(".code strong").inner_text()
        assert len(net.posts) == 2
    (report,) = arrived(quick).values()
    assert report.code == code


def test_r2_a_tab_that_is_closed_while_it_sends_leaves_one_report(quick: World, browser: Browser) -> None:
    with phone(browser, quick) as (context, net):
        page = context.new_page()
        page.goto("/report")
        net.holds = 1
        write(page, "仓库起火")
        assert net.is_held.wait(10)
        page.close()
        page = context.new_page()
        page.goto("/report")
        net.go.set()
        expect(rows(page, "sent")).to_have_count(1, timeout=15_000)
    assert set(arrived(quick)) == {"仓库起火"}


def test_r2_two_tabs_that_wake_at_once_send_each_report_once(quick: World, browser: Browser) -> None:
    with phone(browser, quick) as (context, net):
        away(context, net)
        tabs = [context.new_page(), context.new_page()]
        for n, tab in enumerate(tabs):
            tab.bring_to_front()
            tab.goto("/report")
            write(tab, f"道路塌陷{n}")
            expect(rows(tab, "waiting")).to_have_count(n + 1)
        back(context, net)
        for tab in tabs:
            tab.wait_for_url("**/report/r/*", timeout=15_000)
        assert len(net.posts) == 2  # the lock of the outbox: not even the second try was made
    assert set(arrived(quick)) == {"道路塌陷0", "道路塌陷1"}


def test_r21_a_busy_server_is_asked_again_when_it_said_and_not_before(quick: World, browser: Browser) -> None:
    with phone(browser, quick) as (context, net):
        page = context.new_page()
        page.goto("/report")
        net.busy = 1
        begun = time.monotonic()
        write(page, "燃气泄漏")
        expect(page.locator("#kept")).to_contain_text(SAID["busy"])
        page.evaluate("dispatchEvent(new Event('online'))")
        page.wait_for_url("**/report/r/*", timeout=15_000)
        assert time.monotonic() - begun >= 2 and len(net.posts) == 2
    assert set(arrived(quick)) == {"燃气泄漏"}


def test_a_device_without_room_says_so_and_what_was_written_stays(quick: World, browser: Browser) -> None:
    with phone(browser, quick) as (context, net):
        page = context.new_page()
        page.goto("/report")
        write(page, "先前存下的")
        page.wait_for_url("**/report/r/*")
        page.add_init_script(FULL)
        away(context, net)
        page.goto("/report")
        write(page, "装不下的")
        expect(page.locator("#note")).to_have_text(SAID["no_room"])
        assert page.get_by_label("发生了什么").input_value() == "装不下的"
        assert page.locator("#files").evaluate("box => box.files.length") == 1
        must_be_accessible(page)
        expect(rows(page, "waiting")).to_have_count(0)
        back(context, net)
        page.get_by_role("button", name="提交报告").click()
        page.wait_for_url("**/report/r/*", timeout=15_000)
    assert set(arrived(quick)) == {"先前存下的", "装不下的"}


@pytest.mark.faults
def test_a_phone_that_dies_after_the_promise_still_has_the_report(
    quick: World, browser: Browser, tmp_path: Path
) -> None:
    (program,) = need("chromium")
    with served(quick.hub) as port, network(port) as net:

        def started() -> BrowserContext:
            return browser.browser_type.launch_persistent_context(
                tmp_path / "profile", executable_path=program, args=FLAGS, locale="zh-CN",
                base_url=f"http://127.0.0.1:{net.port}", service_workers="block",
            )  # fmt: skip

        context = started()
        page = context.new_page()
        page.goto("/report")
        net.is_down = True
        write(page, "山洪进村")
        expect(page.locator("#note")).to_have_text(SAID["kept"])
        debugger = context.new_cdp_session(page)
        with pytest.raises(Exception):  # noqa: B017 (the browser is gone before it can answer)
            debugger.send("Browser.crash")
        net.is_down = False
        context = started()
        page = context.new_page()
        page.goto("/report")
        expect(rows(page, "sent")).to_have_count(1, timeout=15_000)
        context.close()
    assert set(arrived(quick)) == {"山洪进村"}


def test_where_the_browser_has_no_worker_no_locks_and_no_sync_the_outbox_works(
    quick: World, browser: Browser
) -> None:
    """As on older iPhones."""
    with served(quick.hub) as port, network(port) as net:
        context = browser.new_context(
            base_url=f"http://127.0.0.1:{net.port}", locale="zh-CN", service_workers="block"
        )
        context.add_init_script(
            "for (const name of ['locks', 'serviceWorker', 'storage']) "
            "Object.defineProperty(Navigator.prototype, name, {get: () => undefined}); delete self.BroadcastChannel;"
        )
        page = context.new_page()
        page.goto("/report")
        net.is_down = True
        context.set_offline(True)
        write(page, "电线断落")
        expect(rows(page, "waiting")).to_have_count(1)
        back(context, net)
        page.wait_for_url("**/report/r/*", timeout=15_000)
        context.close()
    assert set(arrived(quick)) == {"电线断落"}


def test_what_the_server_will_never_take_is_shown_and_goes_back_into_the_form(
    quick: World, browser: Browser
) -> None:
    with phone(browser, quick) as (context, _):
        page = context.new_page()
        page.goto("/report")
        page.evaluate(
            "Outbox.box({name: 'tocsin-reports'}).keep({key: Outbox.ulid(), fields: {place: '江滨路'}, files: []})"
        )
        page.reload()
        expect(rows(page, "refused")).to_have_count(1)
        page.get_by_role("button", name="放回表格修改").click()
        assert page.get_by_label("在哪里").input_value() == "江滨路"
        write(page, "现在写全了", photos=0)
        page.wait_for_url("**/report/r/*")
    assert set(arrived(quick)) == {"现在写全了"}


def test_the_position_of_the_device_is_told_with_how_far_off_it_may_be(
    quick: World, browser: Browser
) -> None:
    place = {"latitude": 30.2741, "longitude": 120.1551, "accuracy": 12.0}
    with phone(browser, quick, geolocation=place, permissions=["geolocation"]) as (context, _):
        page = context.new_page()
        page.goto("/report")
        page.get_by_role("button", name="填入我现在的位置").click()
        expect(page.locator("#note")).to_contain_text("±12 m")
        write(page, "在这里", photos=0)
        page.wait_for_url("**/report/r/*")
    (fact,) = arrived(quick)["在这里"].content.facts["position"]
    assert (fact.value, fact.origin) == ("30.2741,120.1551", "citizen") and fact.note.startswith("±12 m 20")


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_large_letters_are_remembered_and_the_page_reads_itself_aloud(
    quick: World, browser: Browser, language: str
) -> None:
    spoken = "self.said = []; speechSynthesis.speak = (one) => self.said.push([one.lang, one.text]);"
    with phone(browser, quick, viewport={"width": 320, "height": 700}) as (context, _):
        page = context.new_page()
        page.add_init_script(spoken)
        page.goto(f"/report?lang={language}")
        words = citizen_pages.words()[language]
        size = "parseFloat(getComputedStyle(document.querySelector('label')).fontSize)"
        usual = page.evaluate(size)
        page.locator("#big").focus()
        page.keyboard.press("Space")
        assert page.evaluate(size) >= 1.45 * usual
        page.reload()
        assert page.evaluate(size) >= 1.45 * usual
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        must_be_accessible(page)
        page.get_by_role("button", name=words["aloud"]).click()
        said = page.evaluate("self.said")
        assert {one[0] for one in said} == {language}
        told = " ".join(one[1] for one in said)
        assert all(words[name] in told for name in ("form_title", "text", "text_hint", "send", "danger"))
        assert words["trap"] not in told and words["silence"] not in told
        page.goto(f"/report?lang={language}&big=0")
        assert page.evaluate(size) == usual


def test_large_letters_need_no_script(quick: World, browser: Browser) -> None:
    with served(quick.hub) as port:
        context = browser.new_context(
            java_script_enabled=False, locale="zh-CN", base_url=f"http://127.0.0.1:{port}"
        )
        page = context.new_page()
        page.goto("/report")
        page.get_by_role("link", name="大字版").click()
        expect(page.locator("html.big")).to_have_count(1)
        page.get_by_role("link", name="English").click()
        expect(page.locator("html.big[lang=en]")).to_have_count(1)
        context.close()


def test_a_new_worker_replaces_the_kept_files_and_an_answer_is_never_among_them(
    quick: World, browser: Browser
) -> None:
    with phone(browser, quick) as (context, _):
        page = context.new_page()
        page.goto("/report")
        write(page, "看看缓存", photos=0)
        page.wait_for_url("**/report/r/*")
        page.goto("/report")
        held = "caches.keys().then((names) => Promise.all(names.map((n) => caches.open(n).then((c) => c.keys()))))"
        kept = page.evaluate(
            f"{held}.then((all) => all.flat().map((one) => new URL(one.url)).map((u) => u.pathname))"
        )
        (worker,) = (context.request.get("/report/sw.js").text().splitlines()[1],)
        assert page.evaluate("caches.keys()") == [f"tocsin/report-{worker.split(chr(34))[1]}"]
        assert sorted(set(kept)) == sorted(
            {p for p in kept if p == "/report/app" or p.endswith((".js", ".css", ".png"))}
        )
        assert len(kept) == 6
