"""The five columns of the table of what still works, each tried through its real door; and where a trouble is told."""

import contextlib
import smtplib
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import httpx
import sqlalchemy as sa

from hub import birth, keys
from store import people as people_book
from store import tables as t
from tests.walks.houses import House, get, states
from tocsin import demo

FORM = {"text": "河堤漏水", "place": "江滨路", "contact": ""}


@dataclass
class Desk:
    """A hub of which a part is down."""

    made: House

    @cached_property
    def officer(self) -> httpx.Client:
        """A browser in which the officer has logged in; make it before anything breaks."""
        with self.store() as store:
            person = store.read(lambda unit: people_book.by_login(unit, "officer"))[0]
            link = demo.new_link(store, person, expires=datetime.now(UTC) + timedelta(minutes=10))
        site = self.made.url
        browser = httpx.Client(
            base_url=site, timeout=30, headers={"Origin": site, "Sec-Fetch-Site": "same-origin"}
        )
        browser.post(f"/login/{link.rpartition('/')[2]}")
        assert browser.get("/console").status_code == 200
        return browser

    @contextlib.contextmanager
    def store(self) -> Any:
        settings = self.made.settings
        opened = birth.open_store(settings, keys.load(settings.data_dir / "keys", may_make=False))
        try:
            yield opened
        finally:
            opened.close()

    def banners(self, language: str) -> dict[str, str]:
        """Trouble -> sentence on the desk's first page, in zh-CN or en."""
        page = self.officer.get(
            "/console", headers={"Accept-Language": language}, cookies={"lang": language}
        ).text
        parts = page.split('data-trouble="')[1:]
        return {
            part.partition('"')[0]: part.partition("<strong>")[2].partition("</strong>")[0] for part in parts
        }

    def troubles(self) -> set[str]:
        """What the metric says."""
        lines = get(f"{self.made.url}/metrics").decode().splitlines()
        named = [line for line in lines if line.startswith("tocsin_trouble{") and line.endswith(" 1.0")]
        return {line.split('"')[1] for line in named}

    def journal(self, trouble: str) -> list[str]:
        """The acts of a trouble, whichever machine it was on."""
        with self.store() as store:
            j = t.journal.c
            named = sa.or_(j.entity == trouble, j.entity.startswith(f"{trouble}@"))
            query = sa.select(j.act).where(j.kind == "trouble", named).order_by(j.seq)
            return store.read(lambda unit: [row.act for row in unit.rows(query)])

    def sms(self) -> int:
        """The status with which the SMS webhook answers."""
        return int(self.made.provider.text("+8613800138000", f"水 {datetime.now(UTC)}")["status"])

    def mail(self) -> int:
        """The code with which the mail door ends."""
        settings, now = self.made.settings, datetime.now(UTC).timestamp()
        text = f"From: a@example.org\r\nSubject: s\r\nMessage-ID: <{now}@x>\r\n\r\nmail {now}\r\n"
        try:
            with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=30) as line:
                line.sendmail("a@example.org", ["report@tocsin.example"], text)
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            return error.smtp_code
        return 250

    def form(self) -> tuple[int, str]:
        """How the citizen's form answers, and Retry-After."""
        answer = httpx.post(
            f"{self.made.url}/report", data={**FORM, "text": f"水 {datetime.now(UTC)}"}, timeout=30
        )
        return answer.status_code, answer.headers.get("retry-after", "")

    def api(self) -> tuple[int, str]:
        """How /v1/reports answers, and Retry-After."""
        key = {"Idempotency-Key": f"k{datetime.now(UTC).timestamp()}"}
        return self.post("/v1/reports", {"text": "水"}, key="department", **key)

    def post(self, path: str, body: Any, *, key: str = "officer", **headers: str) -> tuple[int, str]:
        """Status and Retry-After of a POST."""
        token = getattr(self.made.secrets, key)
        answer = httpx.post(
            f"{self.made.url}{path}",
            json=body,
            timeout=30,
            headers={"Authorization": f"Bearer {token}", **headers},
        )
        return answer.status_code, answer.headers.get("retry-after", "")

    def draft(self, area: str = "990101") -> str:
        """A draft of the example, for one district."""
        example = next(
            one for one in self.made.api("GET", "/v1/templates")["data"] if one["id"] == "heavy_rain"
        )["example"]
        key = {"Idempotency-Key": f"d{datetime.now(UTC).timestamp()}"}
        return str(self.made.api("POST", "/v1/releases", {**example, "areas": [area]}, **key)["id"])

    def submit(self, release: str) -> str:
        """Its digest."""
        return str(self.made.api("POST", f"/v1/releases/{release}/submit", {})["digest"])

    def approve(self, release: str, digest: str) -> int:
        """The status of the approval."""
        return self.post(f"/v1/releases/{release}/approve", {"digest": digest}, key="approver")[0]

    def release(self) -> str:
        """An approved release."""
        release = self.draft()
        assert self.approve(release, self.submit(release)) == 200
        return release

    def sent(self, release: str) -> tuple[int, int]:
        """(deliveries that a provider took, all)."""
        found = states(self.made, release)
        return sum(s in ("sent", "delivered", "accepted") for s in found.values()), len(found)

    def recall(self, release: str, act: str = "correct") -> int:
        """The status of a correction, or of cancel and stop."""
        return self.post(f"/v1/releases/{release}/{act}", {"reason": "误发"})[0]

    def ready(self) -> tuple[int, str]:
        """What a balancer hears."""
        answer = httpx.get(f"{self.made.url}/readyz", timeout=30)
        return answer.status_code, answer.json()["status"]

    def public(self) -> tuple[int, bytes]:
        """The public page as a reader gets it."""
        try:
            with urllib.request.urlopen(f"{self.made.url}/", timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, b""
