"""Senders and officers who do not give up: both walks, repeated by their senders until the hub has answered."""

import asyncio
import http.client
import smtplib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.callbacks import post_form
from tests.walks.houses import House

_GIVE_UP_SECONDS = 120.0
_AGAIN_SECONDS = 0.15
_LARGE = "x" * 400_000  # more than a row holds: a blob


@dataclass
class Answered:
    """What the hub has said yes to, and how often each was sent to get there."""

    reports: dict[str, int] = field(default_factory=dict)  # marker of the text -> times sent
    failures: list[str] = field(default_factory=list)
    release: str = ""
    digest: str = ""
    shown: dict[str, str] = field(default_factory=dict)  # channel and language -> SHA-256 that was approved
    is_approved: bool = False


class Walkers:
    """Threads that walk walk A and walk B against one hub."""

    def __init__(self, made: House, *, sms: int, mails: int, api: int) -> None:
        self.answered = Answered()
        self._made = made
        work = (lambda: self._sms(sms), lambda: self._mail(mails), lambda: self._api(api), self._walk_b)
        self._threads = [threading.Thread(target=one, daemon=True) for one in work]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def join(self) -> Answered:
        """Wait until everything has been answered; what never was is in `failures`."""
        for thread in self._threads:
            thread.join(2 * _GIVE_UP_SECONDS)
            if thread.is_alive():
                self.answered.failures.append("a sender hangs")
        return self.answered

    def _sms(self, count: int) -> None:
        """A provider's webhook: the same MessageSid again until it hears a 2xx."""
        settings = self._made.settings
        for n in range(count):
            form = {"AccountSid": settings.twilio_account_sid, "ApiVersion": "2010-04-01", "NumMedia": "0",
                    "Body": f"sms {n} 河堤漏水", "From": f"+86139000{n:05d}", "To": settings.twilio_from,
                    "MessageSid": f"SM{n:032x}", "SmsSid": f"SM{n:032x}", "SmsMessageSid": f"SM{n:032x}",
                    "NumSegments": "1", "SmsStatus": "received"}  # fmt: skip

            def post(form: dict[str, str] = form) -> None:
                token = settings.twilio_auth_token.get_secret_value()
                status = asyncio.run(post_form(settings.twilio_webhook_url, form, token))
                if status // 100 != 2:
                    raise ConnectionError(status)

            self._insist(f"sms {n} 河堤漏水", post)

    def _mail(self, count: int) -> None:
        """A mail server: the same Message-ID again until it hears 250."""
        settings = self._made.settings
        for n in range(count):
            size = _LARGE if n % 5 == 4 else ""
            text = f"From: a@example.org\r\nSubject: s\r\nMessage-ID: <{n}@x>\r\n\r\nmail {n}\r\n"
            if size:
                text = (
                    f"From: a@example.org\r\nSubject: s\r\nMessage-ID: <{n}@x>\r\nMIME-Version: 1.0\r\n"
                    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
                    f"mail {n}\r\n--b\r\nContent-Type: text/plain\r\n"
                    f"Content-Disposition: attachment; filename=log.txt\r\n\r\n{_folded(size)}\r\n--b--\r\n"
                )

            def post(text: str = text) -> None:
                with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=20) as door:
                    door.sendmail("a@example.org", ["report@tocsin.example"], text)

            self._insist(f"mail {n}", post)

    def _api(self, count: int) -> None:
        """A department: the same Idempotency-Key again until it hears a 2xx."""
        for n in range(count):
            text = f"api {n} 道路塌陷"

            def post(n: int = n, text: str = text) -> None:
                key = {"Idempotency-Key": f"walk-a-{n}"}
                self._made.api("POST", "/v1/reports", {"text": text}, key="department", **key)

            self._insist(text, post)

    def _walk_b(self) -> None:
        """A drafter, then an approver, who look at the state before they repeat an act that had no answer."""
        api, told = self._made.api, self.answered
        found: dict[str, Any] = {}

        def draft() -> None:
            example = next(t for t in api("GET", "/v1/templates")["data"] if t["id"] == "heavy_rain")[
                "example"
            ]
            key = {"Idempotency-Key": "walk-b"}
            found["id"] = api("POST", "/v1/releases", {**example, "areas": ["990000"]}, **key)["id"]

        def submit() -> None:
            if api("GET", f"/v1/releases/{found['id']}")["state"] == "draft":
                api("POST", f"/v1/releases/{found['id']}/submit", {})
            release = api("GET", f"/v1/releases/{found['id']}")
            main = [a for a in release["artefacts"] if a["purpose"] == "main"]
            told.release, told.digest = release["id"], release["digest"]
            told.shown = {f"{a['channel']} {a['language']}": a["sha256"] for a in main}

        def approve() -> None:
            if api("GET", f"/v1/releases/{told.release}")["state"] == "submitted":
                api("POST", f"/v1/releases/{told.release}/approve", {"digest": told.digest}, key="approver")
            told.is_approved = True

        for act in (draft, submit, approve):
            if not self._try(act):
                told.failures.append(f"{act.__name__}: never answered")
                return

    def _insist(self, marker: str, post: Callable[[], None]) -> None:
        sent = self._try(post)
        if sent:
            self.answered.reports[marker] = sent
        else:
            self.answered.failures.append(f"{marker}: never answered")

    @staticmethod
    def _try(post: Callable[[], None]) -> int:
        """How often it took; 0 when it never was answered."""
        end = time.monotonic() + _GIVE_UP_SECONDS
        times = 0
        while time.monotonic() < end:
            times += 1
            try:
                post()
            except (OSError, AssertionError, smtplib.SMTPException, http.client.HTTPException, TimeoutError):
                time.sleep(_AGAIN_SECONDS)
            else:
                return times
        return 0


def _folded(text: str) -> str:
    return "\r\n".join(text[n : n + 76] for n in range(0, len(text), 76))


def markers(texts: Sequence[str]) -> list[str]:
    """The markers of reports in `texts`, each as often as it stands there."""
    return [
        line
        for text in texts
        for line in text.strip().splitlines()[:1]
        if line[:4] in ("sms ", "mail", "api ")
    ]
