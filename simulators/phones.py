"""The ground truth of a simulated provider: every message it took, and which phone holds it."""

import asyncio
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO


@dataclass(slots=True, kw_only=True)
class Message:
    """A message the provider has taken. `called` lists its callbacks: {status, at, answer}."""

    sid: str
    to: str
    sender: str
    body: str
    at: datetime
    callback_url: str
    service_sid: str = ""
    status: str = "queued"
    error_code: int | None = None
    called: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """A line of the ledger."""
        return {
            "sid": self.sid,
            "to": self.to,
            "from": self.sender,
            "body": self.body,
            "at": self.at.isoformat(),
            "status": self.status,
            "error_code": self.error_code,
            "status_callback": self.callback_url,
            "callbacks": self.called,
        }


class Phones:
    """Messages by SID and by phone, in the order they were taken."""

    def __init__(self) -> None:
        self.messages: dict[str, Message] = {}
        self._of_phone: dict[str, list[Message]] = {}

    def take(
        self, *, to: str, sender: str, body: str, at: datetime, callback_url: str, service_sid: str
    ) -> Message:
        """A new message, there from now on."""
        message = Message(
            sid=new_sid(),
            to=to,
            sender=sender,
            body=body,
            at=at,
            callback_url=callback_url,
            service_sid=service_sid,
        )
        self.messages[message.sid] = message
        self._of_phone.setdefault(to, []).append(message)
        return message

    def find(self, *, to: str = "", sender: str = "") -> Iterable[Message]:
        """Newest first, as the provider lists them."""
        rows = self._of_phone.get(to, []) if to else list(self.messages.values())
        return (one for one in reversed(rows) if not sender or one.sender == sender)

    def outbox(self) -> list[dict[str, Any]]:
        """[{number, messages: [{sid, from, body, at, status}]}], each phone's messages in order."""
        return [
            {
                "number": number,
                "messages": [
                    {
                        "sid": m.sid,
                        "from": m.sender,
                        "body": m.body,
                        "at": m.at.isoformat(),
                        "status": m.status,
                    }
                    for m in messages
                ],
            }
            for number, messages in self._of_phone.items()
        ]

    def clear(self) -> None:
        """Forget everything."""
        self.messages.clear()
        self._of_phone.clear()


class LedgerFile:
    """An append-only file of JSON lines, on disk before write() returns; one fsync for all that wait."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("ab")
        self._lines: list[bytes] = []
        self._durable: asyncio.Future[None] | None = None  # of the lines that no fsync covers yet
        self._work: asyncio.Task[None] | None = None

    async def write(self, line: bytes) -> None:
        """Append `line` durably. Raises OSError when the disk refuses."""
        if self._durable is None:
            self._durable = asyncio.get_running_loop().create_future()
        self._lines.append(line + b"\n")
        durable = self._durable
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._drain())
        await asyncio.shield(durable)

    async def _drain(self) -> None:
        while self._durable is not None:
            lines, durable = self._lines, self._durable
            self._lines, self._durable = [], None
            try:
                await asyncio.to_thread(self._sync, b"".join(lines))
                durable.set_result(None)
            except OSError as error:
                durable.set_exception(error)

    def _sync(self, lines: bytes) -> None:
        self._file.write(lines)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def new_sid(prefix: str = "SM") -> str:
    """A SID as Twilio makes them: two letters and 32 hex digits."""
    return prefix + secrets.token_hex(16)


def as_resource(message: Message, *, account_sid: str, dates: Mapping[str, str | None]) -> dict[str, Any]:
    """The Message resource ("Message resource", properties), `dates` being its three RFC 2822 dates."""
    uri = f"/2010-04-01/Accounts/{account_sid}/Messages/{message.sid}"
    return {
        "account_sid": account_sid,
        "api_version": "2010-04-01",
        "body": message.body,
        "direction": "outbound-api",
        "error_code": message.error_code,
        "error_message": None,
        "from": message.sender or None,
        "messaging_service_sid": message.service_sid or None,
        "num_media": "0",
        "num_segments": "1",
        "price": None,
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json", "feedback": f"{uri}/Feedback.json"},
        "to": message.to,
        "uri": f"{uri}.json",
        **dates,
    }
