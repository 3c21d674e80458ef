"""Senders and officers who do not give up: both walks, repeated by their senders until the hub has answered.

DOORS is the table of ways in: a row is a channel and a function that sends message `n` and raises unless it was taken.
"""

import asyncio
import http.client
import re
import smtplib
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tests.faults.callbacks import post_form
from tests.walks.houses import House

_GIVE_UP_SECONDS = 120.0
_AGAIN_SECONDS = 0.1
_LARGE = "x" * 400_000  # more than a row holds: a blob
FAILURES = (OSError, AssertionError, smtplib.SMTPException, http.client.HTTPException, TimeoutError)
Door = Callable[[House, str, int], None]


@dataclass
class Warned:
    """One release, as its officers know it."""

    id: str = ""
    digest: str = ""
    shown: dict[str, str] = field(default_factory=dict)  # channel and language -> SHA-256 that was approved
    is_approved: bool = False
    ending: str = ""  # stop, correct or cancel, once it was answered
    ended_at: float = 0.0  # CLOCK_BOOTTIME of that answer


@dataclass
class Answered:
    """What the hub has said yes to, and how often each was sent to get there."""

    reports: dict[str, int] = field(default_factory=dict)  # marker of the text -> times sent
    failures: list[str] = field(default_factory=list)
    warned: Warned = field(default_factory=Warned)


class Walkers:
    """Threads that walk walk A through every door and walk B once, against one hub, until they are told to end."""

    def __init__(
        self, made: House, stamp: str, *, area: str, ending: str, ends_after: float,
        more: Mapping[str, Door] | None = None, pauses: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        """`stamp`: a word that tells these messages from all others of the hub.

        `more`: further doors with their pauses; then nobody walks walk B.
        """
        self.answered = Answered()
        self._made, self._stamp = made, stamp
        self._area, self._ending, self._ends_after = area, ending, ends_after
        self._leaving = threading.Event()
        self._doors, self._pauses = {**DOORS, **(more or {})}, {**PAUSES, **(pauses or {})}
        self._threads = [
            threading.Thread(target=self._door, args=(name,), daemon=True) for name in self._doors
        ]
        if more is None:
            self._threads.append(threading.Thread(target=self._walk_b, daemon=True))

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def join(self) -> Answered:
        """Begin nothing more and wait until everything has been answered; what never was is in `failures`."""
        self._leaving.set()
        for thread in self._threads:
            thread.join(2 * _GIVE_UP_SECONDS)
            if thread.is_alive():
                self.answered.failures.append("a sender hangs")
        return self.answered

    def _door(self, name: str) -> None:
        n = 0
        while not self._leaving.wait(self._pauses[name]) or n == 0:
            marker = f"{name} {self._stamp}-{n}"

            def post(marker: str = marker, n: int = n) -> None:
                self._doors[name](self._made, marker, n)

            sent = insist(post)
            if not sent:
                self.answered.failures.append(f"{marker}: never answered")
                return
            self.answered.reports[marker] = sent
            n += 1

    def _walk_b(self) -> None:
        """A drafter, then an approver, who look at the state before they repeat an act that had no answer."""
        for act in (self._draft, self._submit, self._approve, self._end):
            if not insist(act, self.answered.failures.append):
                self.answered.failures.append(f"{act.__name__}: never answered")
                return

    def _state(self) -> str:
        return str(self._made.api("GET", f"/v1/releases/{self.answered.warned.id}")["state"])

    def _draft(self) -> None:
        api, key = self._made.api, {"Idempotency-Key": f"walk-b-{self._stamp}"}
        example = next(t for t in api("GET", "/v1/templates")["data"] if t["id"] == "heavy_rain")["example"]
        made = api("POST", "/v1/releases", {**example, "areas": [self._area]}, **key)
        self.answered.warned.id = made["id"]

    def _submit(self) -> None:
        warned, api = self.answered.warned, self._made.api
        if self._state() == "draft":
            api("POST", f"/v1/releases/{warned.id}/submit", {})
        release = api("GET", f"/v1/releases/{warned.id}")
        main = [a for a in release["artefacts"] if a["purpose"] == "main"]
        warned.digest = release["digest"]
        warned.shown = {f"{a['channel']} {a['language']}": a["sha256"] for a in main}

    def _approve(self) -> None:
        warned = self.answered.warned
        if self._state() == "submitted":
            body = {"digest": warned.digest}
            self._made.api("POST", f"/v1/releases/{warned.id}/approve", body, key="approver")
        warned.is_approved = True

    def _end(self) -> None:
        warned = self.answered.warned
        if self._ending == "none" or warned.ending:
            return
        if not self._ends_after < 0:
            self._leaving.wait(self._ends_after)
        self._ends_after = -1
        state = self._state()
        if self._ending == "stop" and state == "published":
            return  # all of it has left: there is nothing to stop
        if state in ("approved", "publishing", "published"):
            self._made.api("POST", f"/v1/releases/{warned.id}/{self._ending}", {"reason": "wrong"})
        warned.ending, warned.ended_at = self._ending, time.clock_gettime(time.CLOCK_BOOTTIME)


def insist(post: Callable[[], object], tells: Callable[[str], None] = lambda _: None) -> int:
    """Repeat until it is answered; how often it took, 0 when it never was, and then `tells` hears the last words."""
    end = time.monotonic() + _GIVE_UP_SECONDS
    times, last = 0, ""
    while time.monotonic() < end:
        times += 1
        try:
            post()
        except FAILURES as error:
            last = f"{type(error).__name__}: {error}"[:300]
            time.sleep(_AGAIN_SECONDS)
        else:
            return times
    tells(last)
    return 0


def sms_form(made: House, sid: str, text: str) -> dict[str, str]:
    """What Twilio posts for an SMS ("Messaging webhooks", request parameters)."""
    settings = made.settings
    return {"AccountSid": settings.twilio_account_sid, "ApiVersion": "2010-04-01", "NumMedia": "0", "Body": text,
            "From": f"+86139{int(sid[2:], 16) % 10**8:08d}", "To": settings.twilio_from, "MessageSid": sid,
            "SmsSid": sid, "SmsMessageSid": sid, "NumSegments": "1", "SmsStatus": "received"}  # fmt: skip


def sms(made: House, marker: str, n: int) -> None:
    """A provider's webhook: the same MessageSid again until it hears a 2xx."""
    sid = "SM" + marker.encode().hex().rjust(32, "0")[-32:]
    token = made.settings.twilio_auth_token.get_secret_value()
    status = asyncio.run(post_form(made.settings.twilio_webhook_url, sms_form(made, sid, marker), token))
    if status // 100 != 2:
        raise ConnectionError(status)


def mail(made: House, marker: str, n: int) -> None:
    """A mail server: the same Message-ID again until it hears 250; each fifth with a large attachment."""
    settings = made.settings
    head = f"From: a@example.org\r\nSubject: s\r\nMessage-ID: <{marker.replace(' ', '.')}@x>\r\n"
    text = f"{head}\r\n{marker}\r\n"
    if n % 5 == 4:
        text = (
            f"{head}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
            f"Content-Type: text/plain\r\n\r\n{marker}\r\n--b\r\nContent-Type: text/plain\r\n"
            f"Content-Disposition: attachment; filename=log.txt\r\n\r\n{_folded(_LARGE + marker)}\r\n--b--\r\n"
        )
    with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=20) as door:
        door.sendmail("a@example.org", ["report@tocsin.example"], text)


def api(made: House, marker: str, n: int) -> None:
    """A department: the same Idempotency-Key again until it hears a 2xx."""
    key = {"Idempotency-Key": marker.replace(" ", ".")}
    made.api("POST", "/v1/reports", {"text": marker}, key="department", **key)


def slip(made: House, marker: str, n: int) -> None:
    """A call slip: saved again until it is kept."""
    key = {"Idempotency-Key": marker.replace(" ", ".")}
    made.api("POST", "/v1/calls", {"caller": "0571-88001234", "place": "江滨路88号", "text": marker}, **key)


def form(made: House, marker: str, n: int) -> None:
    """The citizen's form: the same page sent again until its receipt comes back."""
    token = marker.encode().hex().rjust(32, "0")[-32:]
    fields = urlencode({"text": marker, "once": token, "place": "江滨路"}).encode()
    citizen = {"X-Forwarded-For": f"198.51.100.{n % 250 + 1}"}  # one address alone is slowed down
    request = urllib.request.Request(f"{made.url}/report", fields, citizen)
    with urllib.request.urlopen(request, timeout=30) as answer:
        page, place = answer.read().decode(), answer.geturl()
    if "/report/r/" not in place or not re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}", page):
        raise ConnectionError(place)


DOORS: dict[str, Door] = {"sms": sms, "mail": mail, "api": api, "slip": slip, "form": form}
PAUSES = {"sms": 0.1, "mail": 0.3, "api": 0.3, "slip": 0.4, "form": 0.4}  # seconds between two messages


def _folded(text: str) -> str:
    return "\r\n".join(text[n : n + 76] for n in range(0, len(text), 76))


OUTSIDE = ("voice", "cti", "chat", "smpp", "import", "tus", "push", "pull", "fax")  # rows of outside.py
_MARKER = re.compile(rf"\b(?:{'|'.join((*DOORS, *OUTSIDE))}) \w+-\d+\b")


def markers(texts: Sequence[str]) -> list[str]:
    """The markers of reports in `texts`, each as often as it stands there."""
    return [found[0] for text in texts if (found := _MARKER.search(text))]
