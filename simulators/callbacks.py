"""Posts of a simulated Twilio to the hub, signed as Twilio signs them."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import aiohttp
from twilio.request_validator import RequestValidator

from simulators.phones import Message
from simulators.script import Calls, Rule

AT_ONCE = 64  # posts in flight: about what one hub process answers in parallel
ANSWER_BYTES = 64 << 10  # of TwiML, as at Twilio
TRIES = 2  # Twilio repeats a webhook once when it cannot connect ("Webhooks: connection overrides")


class Callbacks:
    """Every post to the hub, over one pool of connections."""

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        now: Callable[[], datetime],
        sent_after: timedelta,
        delivered_after: timedelta,
    ) -> None:
        self._account_sid = account_sid
        self._sign = RequestValidator(auth_token).compute_signature
        self._now = now
        self._steps = (timedelta(0), sent_after, sent_after + delivered_after)
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, message: Message, rule: Rule) -> None:
        """Let `message` go its way from queued to the rule's end, telling the hub at each step."""
        task = asyncio.create_task(self._follow(message, rule))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def announce(self, message: Message, status: str, *, is_forged: bool = False) -> None:
        """Post one status callback and write its answer into the ledger; nothing without an address."""
        if not message.callback_url:
            return
        form = {
            "AccountSid": self._account_sid,
            "ApiVersion": "2010-04-01",
            "From": message.sender,
            "MessageSid": message.sid,
            "MessageStatus": status,
            "SmsSid": message.sid,
            "SmsStatus": status,
            "To": message.to,
        }
        if message.service_sid:
            form["MessagingServiceSid"] = message.service_sid
        if message.error_code and status in ("failed", "undelivered"):
            form["ErrorCode"] = str(message.error_code)
        answer, _ = await self.post(message.callback_url, form, is_forged=is_forged)
        message.called.append({"status": status, "at": self._now().isoformat(), "answer": answer})

    async def post(self, url: str, form: Mapping[str, str], *, is_forged: bool = False) -> tuple[int, str]:
        """Status and text of the hub's answer; (0, class of the error) when none came."""
        signature = self._sign(url + "?" * is_forged, form)
        body = urlencode(form)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "X-Twilio-Signature": signature,
            "User-Agent": "TwilioProxy/1.1",
            "I-Twilio-Idempotency-Token": form.get("MessageSid") or form["CallSid"],
        }
        async with self._gate:
            for is_last in (False, True):
                try:
                    async with self._pool().post(url, data=body, headers=headers) as answer:
                        return answer.status, (await answer.content.read(ANSWER_BYTES)).decode(
                            "utf-8", "replace"
                        )
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    if is_last or not isinstance(error, aiohttp.ClientConnectorError):
                        return 0, type(error).__name__
        raise AssertionError

    async def _follow(self, message: Message, rule: Rule) -> None:
        late = timedelta(milliseconds=rule.late_ms) if rule.calls is Calls.LATE else timedelta(0)
        done = timedelta(0)
        told: list[str] = []
        for after, status in zip(self._steps, ("queued", "sent", rule.final), strict=True):
            await asyncio.sleep((after + late - done).total_seconds())
            done, late_done = after + late, status == rule.final
            message.status = status
            if late_done:
                message.error_code = rule.error_code or None
            told.append(status)
            if rule.calls is Calls.TWICE:
                told.append(status)
            if rule.calls not in (Calls.NONE, Calls.SHUFFLED):
                await self._tell(message, told, rule)
            if status == rule.final:
                break
        if rule.calls is Calls.SHUFFLED:
            told.reverse()
            await self._tell(message, told, rule)

    async def _tell(self, message: Message, told: list[str], rule: Rule) -> None:
        for status in told:
            await self.announce(message, status, is_forged=rule.calls is Calls.FORGED)
        told.clear()

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=15),  # Twilio waits 15 s for a webhook
                connector=aiohttp.TCPConnector(limit=AT_ONCE, keepalive_timeout=2),
            )
        return self._session

    def forget(self) -> None:
        """Drop what was still to be called back."""
        for task in self._tasks:
            task.cancel()

    async def aclose(self) -> None:
        """Stop; safe to call twice."""
        self.forget()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()


def form_of_inbound(
    *, account_sid: str, sid: str, sender: str, to: str, body: str, extra: Any
) -> dict[str, str]:
    """The form of an incoming message, with what Twilio adds to a Chinese mobile's number."""
    form = {
        "AccountSid": account_sid,
        "ApiVersion": "2010-04-01",
        "Body": body,
        "From": sender,
        "FromCity": "",
        "FromCountry": "CN",
        "FromState": "",
        "FromZip": "",
        "MessageSid": sid,
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsMessageSid": sid,
        "SmsSid": sid,
        "SmsStatus": "received",
        "To": to,
        "ToCity": "",
        "ToCountry": "CN",
        "ToState": "",
        "ToZip": "",
    }
    return form | {str(key): str(value) for key, value in dict(extra or {}).items()}
