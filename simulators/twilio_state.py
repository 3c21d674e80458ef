"""The state of a simulated Twilio: its account, what it has taken, and what it will do next."""

import base64
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request

from simulators.callbacks import Callbacks
from simulators.phones import LedgerFile, Message, Phones, as_resource
from simulators.script import USUAL, Calls, Rule, Script


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioSimConfig:
    """What a simulator is told once. `inbound_url` is the hub's webhook for incoming messages."""

    account_sid: str
    auth_token: str
    number: str  # that phones text to, E.164
    inbound_url: str
    now: Callable[[], datetime]
    sent_after: timedelta = timedelta(milliseconds=50)
    delivered_after: timedelta = timedelta(milliseconds=200)
    ledger_path: Path | None = None
    voice_url: str = ""  # the hub's webhook for calls
    api_url: str = ""  # where this simulator is reached: recordings are named under it


class Simulator:
    """The state of one simulated Twilio. The demo page reads phones()."""

    def __init__(self, config: TwilioSimConfig) -> None:
        self.config = config
        self.script = Script(USUAL)
        self.book = Phones()
        self.media: dict[str, tuple[str, bytes]] = {}  # name -> type and bytes, of messages texted to the hub
        self.recordings: dict[str, bytes] = {}  # SID -> WAV
        self.callbacks = Callbacks(
            account_sid=config.account_sid,
            auth_token=config.auth_token,
            now=config.now,
            sent_after=config.sent_after,
            delivered_after=config.delivered_after,
        )
        self._login = base64.b64encode(f"{config.account_sid}:{config.auth_token}".encode()).decode()
        self._file = LedgerFile(config.ledger_path) if config.ledger_path else None

    def phones(self) -> list[dict[str, Any]]:
        """[{number, messages: [{sid, from, body, at, status}]}]."""
        return self.book.outbox()

    def knows(self, request: Request, account: str) -> bool:
        """Whether Basic auth and the account of the path are right."""
        scheme, _, login = request.headers.get("authorization", "").partition(" ")
        is_login = scheme.lower() == "basic" and hmac.compare_digest(login.encode(), self._login.encode())
        return is_login and account == self.config.account_sid

    async def take(self, form: dict[str, str], rule: Rule) -> Message:
        """The message exists from here on, on disk too when there is a ledger file."""
        message = self.book.take(
            to=form["To"],
            sender=form.get("From") or self.config.number,
            body=form["Body"],
            at=self.config.now(),
            callback_url=form.get("StatusCallback", ""),
            service_sid=form.get("MessagingServiceSid", ""),
        )
        if self._file is not None:
            await self._file.write(json.dumps(message.to_json(), ensure_ascii=False).encode())
        if rule.calls is Calls.EARLY:
            await self.callbacks.announce(message, "queued")
            await self.callbacks.announce(message, "sent")
        self.callbacks.follow(message, rule)
        return message

    def resource(self, message: Message) -> dict[str, Any]:
        """The Message resource as GET and POST answer it."""
        at = format_datetime(message.at)
        sent = at if message.status in ("sent", "delivered", "undelivered") else None
        dates = {"date_created": at, "date_updated": at, "date_sent": sent}
        return as_resource(message, account_sid=self.config.account_sid, dates=dates)

    async def aclose(self) -> None:
        """Stop calling back and close the ledger; safe to call twice."""
        await self.callbacks.aclose()
        if self._file is not None:
            self._file.close()
