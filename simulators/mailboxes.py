"""The ground truth of the simulated relay: every mail it took, and whose mailbox holds it."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any


@dataclass(slots=True, kw_only=True)
class Mail:
    """A mail that was taken. `back` lists what was sent back about it: {back, at, answer}."""

    id: str
    sender: str  # of the envelope: where bounces go
    to: str
    raw: bytes
    at: datetime
    back: list[dict[str, Any]] = field(default_factory=list)

    def read(self) -> EmailMessage:
        """As the recipient's program reads it."""
        return message_from_bytes(self.raw, policy=policy.default)

    def shown(self) -> dict[str, Any]:
        """What the mailbox shows."""
        read = self.read()
        body = read.get_body(preferencelist=("plain",))
        return {
            "id": self.id,
            "from": str(read["from"]),
            "subject": str(read["subject"]),
            "text": body.get_content() if body else "",
            "language": str(read["content-language"] or ""),
            "at": self.at.isoformat(),
            "unsubscribe": str(read["list-unsubscribe"] or ""),
        }

    def to_json(self) -> dict[str, Any]:
        """A line of the ledger."""
        headers = [[name, str(value)] for name, value in self.read().items()]
        return {"id": self.id, "sender": self.sender, "to": self.to, "at": self.at.isoformat(),
                "headers": headers, "bytes": len(self.raw), "back": self.back}  # fmt: skip


class Mailboxes:
    """Mails in the order they were taken, and by mailbox."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    def take(self, *, sender: str, to: str, raw: bytes, at: datetime) -> Mail:
        """A new mail, there from now on."""
        mail = Mail(id=secrets.token_hex(8), sender=sender, to=to, raw=raw, at=at)
        self.mails.append(mail)
        return mail

    def shown(self) -> list[dict[str, Any]]:
        """[{address, messages: [{id, from, subject, text, language, at, unsubscribe}]}]."""
        by_address: dict[str, list[dict[str, Any]]] = {}
        for mail in self.mails:
            by_address.setdefault(mail.to, []).append(mail.shown())
        return [{"address": address, "messages": mails} for address, mails in by_address.items()]
