"""Status callbacks of a provider under test, signed as Twilio signs: HMAC-SHA1 over address and sorted form.

Written anew from "Webhooks Security" (twilio.com/docs), so that a mistake in the library's validator or in
ours does not cancel itself out here.
"""

import asyncio
import base64
import hashlib
import hmac
import random
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from tests.faults.plan import Step, Told

STATUSES = ("queued", "sent", "delivered")
_GAP_SECONDS = 0.02
_AT_ONCE = 16
_TRIES = 40  # a hub that is being restarted is called again: 40 * 0.25 s
_TRY_AGAIN_SECONDS = 0.25


def sign(url: str, form: Mapping[str, str], token: str) -> str:
    """X-Twilio-Signature."""
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


class Callbacks:
    """Calls back for every message taken, each along its step's way."""

    def __init__(self, *, account_sid: str, auth_token: str, seed: int) -> None:
        self._account_sid, self._token = account_sid, auth_token
        self._dice = random.Random(seed)
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def tell(self, url: str, *, sid: str, to: str, step: Step) -> None:
        """Begin to call back; with Told.BEFORE it returns when all has been told."""
        if not url or step.told is Told.NEVER:
            return
        if step.told is Told.BEFORE:
            await self._all(url, sid, to, list(STATUSES), self._token)
            return
        statuses, token = list(STATUSES), self._token
        if step.told is Told.SHUFFLED:
            statuses *= step.copies
            self._dice.shuffle(statuses)
        if step.told is Told.FORGED:
            token = "f" * 32
        wait = step.late_ms / 1000 if step.told is Told.LATE else _GAP_SECONDS
        task = asyncio.create_task(self._later(wait, url, sid, to, statuses, token))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _later(self, wait: float, url: str, sid: str, to: str, statuses: list[str], token: str) -> None:
        await asyncio.sleep(wait)
        await self._all(url, sid, to, statuses, token)

    async def _all(self, url: str, sid: str, to: str, statuses: list[str], token: str) -> None:
        for status in statuses:
            form = {"AccountSid": self._account_sid, "ApiVersion": "2010-04-01", "MessageSid": sid,
                    "MessageStatus": status, "SmsSid": sid, "SmsStatus": status, "To": to}  # fmt: skip
            async with self._gate:
                await self._insist(url, form, token)
            await asyncio.sleep(_GAP_SECONDS)

    async def _insist(self, url: str, form: Mapping[str, str], token: str) -> None:
        for _ in range(_TRIES):
            try:
                await asyncio.wait_for(post_form(url, form, token), 15)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                await asyncio.sleep(_TRY_AGAIN_SECONDS)
            else:
                return


async def post_form(url: str, form: Mapping[str, str], token: str) -> int:
    """Post a signed form over a connection of its own; the status. Raises OSError when there is no answer."""
    where = urlsplit(url)
    body = urlencode(form).encode()
    path = where.path + (f"?{where.query}" if where.query else "")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n"
        f"X-Twilio-Signature: {sign(url, form, token)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        writer.write(head.encode() + body)
        line = await reader.readline()
        if not line:
            raise ConnectionError("no answer")
        await reader.read()  # to the end, so that the hub is not reset in the middle of its answer
        return int(line.split()[1])
    finally:
        writer.close()
