"""Takes the pictures of the README: `make pictures` fills a demo hub, visits its screens and writes docs/images."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.e2e.hub_process import HubProcess, hub_process
from tests.e2e.keyboard import PATIENCE, Seat, seat
from tests.walks.houses import ROOT, until
from tests.web.screens import chromium

IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 200_000  # of one picture: the README is read over slow lines too
WIDE = {"width": 1280, "height": 800}
SMALL = {"width": 390, "height": 844}
TEXTS = (
    ("+8613900000021", "白沙县老桥桥面裂缝，有车掉下去，请快来人"),
    ("+8613900000022", "The river is over the road at Nanxi, two cars are stuck"),
    ("+8613900000023", "青石县石门水库下游河水漫上公路，河滩上还有人"),
)


def main() -> None:
    """Write every picture; a directory may be named to write elsewhere, and then a language."""
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    language = sys.argv[2] if len(sys.argv) > 2 else "zh-CN"
    where.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, hub_process(Path(data)) as hub, chromium() as browser:
        Camera(where, hub, browser, language).everything()


class Camera:
    """A hub, a browser and the directory the pictures go to."""

    def __init__(self, where: Path, hub: HubProcess, browser: Browser, language: str) -> None:
        self._where, self._hub, self._browser, self._language = where, hub, browser, language

    def everything(self) -> None:
        """The job from the text to the phones, in the order in which it is done."""
        how: dict[str, Any] = {"viewport": WIDE, "device_scale_factor": 1}
        with (
            seat(self._browser, self._hub.link("officer"), self._language, **how) as officer,
            seat(self._browser, self._hub.link("approver"), self._language, **how) as approver,
        ):
            report = self._desk(officer)
            release = self._composer(officer, report)
            self._approval(approver, release)
        self._public(release)

    def _desk(self, officer: Seat) -> str:
        page, hub = officer.page, self._hub
        page.goto("/console/shift")
        page.locator("#do-sign_on").click()
        page.goto("/console")
        expect(page.locator("#link")).to_have_text(officer.say("● 实时"))
        for sender, text in TEXTS:
            hub.text(sender, text)
            expect(page.locator("#rows tr").first).to_contain_text(text)
        page.locator("#rows tr", has_text="桥面裂缝").locator("a.open").click()
        page.locator("#do-claim").click()
        expect(page.locator("#r-acts")).to_contain_text(officer.say("由您受理"))
        page.goto("/console?view=all")
        page.locator("#rows tr", has_text="河水漫上公路").locator("a.open").focus()
        expect(page.locator("#link")).to_have_text(officer.say("● 实时"))
        self._take(page, "queue")
        page.keyboard.press("Enter")
        page.locator("#do-claim").click()
        page.locator("#f-event_code").select_option("11B03")
        page.locator("#f-grade").select_option("2")
        page.locator("#f-area").select_option("990103000000")
        page.get_by_role("button", name=officer.say("保存分类")).click()
        expect(page.locator("#r-head .tag.orange")).to_be_visible()
        report = page.url.rpartition("/")[2].partition("?")[0]
        page.goto(f"/console/reports/{report}")
        expect(page.locator("#link")).to_have_text(officer.say("● 实时"))
        self._take(page, "report")
        return report

    def _composer(self, officer: Seat, report: str) -> str:
        page = officer.page
        page.goto(f"/console/releases/new?from={report}")
        page.locator("[name='colour'][value='orange']").check()
        for name, value in (("hours", "3"), ("rainfall_mm", "50"), ("hotline", "12345")):
            page.locator(f"#f-fields-{name}").fill(value)
        page.locator("#f-fields-hotline").blur()
        expect(page.locator("#previews")).to_contain_text("降雨50毫米以上")
        expect(page.locator("#kept a")).to_be_visible()
        page.evaluate("scrollTo(0, 0)")
        self._take(page, "composer")
        page.get_by_role("button", name=officer.say("保存并提交审批")).click()
        expect(page.locator("#h-ask")).to_be_visible()
        return page.url.rpartition("/")[2].partition("?")[0]

    def _approval(self, approver: Seat, release: str) -> None:
        page = approver.page
        page.goto(f"/console/releases/{release}")
        expect(page.locator("#f-reach")).to_be_visible()
        expect(page.locator("#link")).to_have_text(approver.say("● 实时"))
        self._take(page, "approval")
        number = page.locator("label[for=f-reach]").inner_text()
        page.locator("#f-reach").fill("".join(c for c in number if c.isdigit()))
        page.keyboard.press("Enter")
        expect(page.locator("#numbers .sums").first).to_contain_text(
            f"20{approver.word('delivery', 'delivered')}"
        )
        page.emulate_media(color_scheme="dark")
        page.goto(f"/console/releases/{release}")
        expect(page.locator("#link")).to_have_text(approver.say("● 实时"))
        self._take(page, "monitor-dark")

    def _public(self, release: str) -> None:
        hub = self._hub
        until(lambda: hub.api("GET", f"/v1/releases/{release}")["state"] == "published", "published")
        tree = "" if self._language == "zh-CN" else f"/{self._language}"
        for path, name, size in (
            (f"{tree}/alerts/{release}/", "alert", {"width": 900, "height": 900}),
            (f"/report?lang={self._language}", "citizen-form", SMALL),
            (f"/demo/outbox?live=0&lang={self._language}", "phones", WIDE),
        ):
            context = self._browser.new_context(base_url=hub.url, locale=self._language, viewport=size)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.goto(path)
            self._take(page, name)
            context.close()

    def _take(self, page: Page, name: str) -> None:
        """A PNG of few colours, small enough for a README."""
        path = self._where / f"{name}.png"
        page.screenshot(path=str(path), animations="disabled")
        with Image.open(path) as taken:
            taken.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size > MOST_BYTES:
            raise SystemExit(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
