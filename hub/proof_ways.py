"""How a synthetic report comes in where nobody calls, mails or posts a form: chat, SMS centre, fax folder, peers."""

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

from channels.codecs import smpp_pdu
from channels.codecs.smpp_pdu import Command, Pdu, Short
from domain import proof

ASCII = 1  # data_coding IA5: every letter of a mark is one octet
NOBODY = "000"

Way = Callable[[str, str], str]
Post = Callable[[str, str, dict[str, str]], str]  # address, body, headers -> ok, or why not
Hear = Callable[[Pdu], Coroutine[Any, Any, int]]  # what a message centre delivers -> its status


def chat(post: Post, url: str, *, bot: str, secret: str, clock: Callable[[], datetime]) -> Way:
    """An update as the bot's provider posts it; the chat is the bot's own number, which no person has."""

    def send(mark: str, name: str) -> str:
        number = int(name[:12], 16)  # of the update and of the message: 48 bits
        who = {"id": int(bot), "is_bot": True, "first_name": "proof"}
        message = {"message_id": number, "date": int(clock().timestamp()), "text": mark, "from": who,
                   "chat": {"id": int(bot), "type": "private", "first_name": "proof"}}  # fmt: skip
        headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": secret}
        return post(url, json.dumps({"update_id": number, "message": message}), headers)

    return send


def sms_centre(hear: Hear | None) -> Way:
    """A deliver_sm to the line's own reader. That the line itself is there is asked each half minute (enquire_link)."""

    def send(mark: str, _name: str) -> str:
        if hear is None:
            return "no_line"
        body = smpp_pdu.short(Short(source=NOBODY, dest=NOBODY, data_coding=ASCII, message=mark.encode()))
        status = asyncio.run(hear(Pdu(command=Command.DELIVER_SM, sequence=1, body=body)))
        return f"smpp_{status:02x}" if status else "ok"

    return send


def fax(folder: Path) -> Way:
    """A page in the drop folder, under a name of its own; the earlier ones that were put aside are taken away."""

    def send(mark: str, name: str) -> str:
        for old in (folder / "done").glob("*-proof-*.pdf"):
            old.unlink(missing_ok=True)
        half = folder / f".proof-{name}.part"
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(proof.page(mark))
        half.rename(folder / f"proof-{name}.pdf")
        return "ok"

    return send


def bulletin(post: Post, url: str, token: str) -> Way:
    """A bulletin that warns of nothing, pushed with a key that may do that and nothing else."""

    def send(mark: str, _name: str) -> str:
        headers = {"Content-Type": "application/cap+xml", "Authorization": f"Bearer {token}"}
        return post(url, proof.bulletin(mark).decode(), headers)

    return send
