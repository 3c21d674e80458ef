"""What an answer of a relay proves: taken, refused for one recipient, refused for all, or not taken now.

Sources: RFC 5321 §4.2 (replies), §4.2.5 (after DATA), RFC 3463 (enhanced codes), RFC 4954 §6 (login).
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import Never, NotNow

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")


class Stage(StrEnum):
    """Where in the conversation an answer was given."""

    GREETING = "greeting"  # and EHLO, STARTTLS
    LOGIN = "login"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    END = "end"  # after the final dot


# (stage, code or its first digit) -> meaning; the longer code counts. `failed`: this one recipient, no other.
MEANS = {
    (Stage.GREETING, "5"): "never",  # 554 no SMTP service here (RFC 5321 §3.1), 502, 550 at EHLO
    (Stage.LOGIN, "5"): "never",  # 535 credentials invalid, 534 too weak (RFC 4954 §6)
    (Stage.MAIL, "5"): "never",  # 550 sender refused, 530 log in first, 552 too large: the same for each
    (Stage.RCPT, "5"): "failed",  # 550 5.1.1 no such mailbox, 5.2.2 full, 5.7.1 not from us to this one
    (Stage.RCPT, "503"): "not_now",  # bad sequence: we and the relay have lost each other
    (Stage.RCPT, "530"): "never",  # log in first (RFC 4954 §6)
    (Stage.RCPT, "2"): "taken",
    (Stage.RCPT, "252"): "taken",  # cannot verify, will try (RFC 5321 §3.5.3)
    (Stage.DATA, "5"): "failed",  # 554 no valid recipients
    (Stage.DATA, "503"): "not_now",
    (Stage.DATA, "530"): "never",
    (Stage.DATA, "354"): "taken",
    (Stage.END, "5"): "failed",  # 554 5.7.1 refused after a look, which may be this recipient's own filter
    (Stage.END, "2"): "taken",
    (Stage.MAIL, "2"): "taken",
    **{(stage, "4"): "not_now" for stage in Stage},  # 421 closing, 450 greylisted, 451, 452 no room, 454 TLS
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer of the relay."""

    stage: Stage
    code: int
    text: str = ""

    @property
    def name(self) -> str:
        """``550 5.1.1``: the reply code, with the enhanced one where the relay gives it."""
        found = _ENHANCED.match(self.text)
        return f"{self.code} {found[1]}" if found else str(self.code)


def judge(said: Said) -> bool:
    """True: taken, False: this recipient is refused.

    Raises NotNow or Never(code=the codes); NotNow(code="garbage") for an answer that is none, which at
    Stage.END the caller must not take for a proof.
    """
    digits = str(said.code)
    meaning = MEANS.get((said.stage, digits)) or MEANS.get((said.stage, digits[:1])) or "garbage"
    if len(digits) != 3 or meaning == "garbage":
        raise NotNow("no answer of an SMTP server", code="garbage")
    if meaning == "never":
        raise Never(f"refused at {said.stage}", code=said.name)
    if meaning == "not_now":
        raise NotNow(f"not taken at {said.stage}", code=said.name)
    return meaning == "taken"
