"""What the simulated relay does with the next mails: its kind of rules."""

from dataclasses import dataclass
from enum import StrEnum

from simulators.script import AnyRule


class Stage(StrEnum):
    """Where in the conversation a rule works. Before RCPT nobody is named: there only `to` = * matches."""

    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    END = "end"  # after the final dot


class Act(StrEnum):
    """What happens there. `..._taken`: the mail is in its mailbox, though the caller is not told so."""

    TAKE = "take"
    REFUSE = "refuse"  # with the rule's `reply`
    DROP = "drop"  # the connection breaks instead of an answer
    DROP_TAKEN = "drop_taken"
    HANG = "hang"  # no answer, ever
    HANG_TAKEN = "hang_taken"
    GARBAGE = "garbage"  # an answer that no SMTP server gives
    GARBAGE_TAKEN = "garbage_taken"


class Back(StrEnum):
    """What comes back later to the envelope sender of a mail that was taken."""

    NOTHING = "nothing"
    FAILED = "failed"  # a delivery status notification, RFC 3464, of this action
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    PLAIN = "plain"  # 系统退信: a bounce without a delivery-status part
    AWAY = "away"  # an auto-reply


@dataclass(frozen=True, slots=True, kw_only=True)
class MailRule(AnyRule):
    """One rule for a mail."""

    stage: Stage = Stage.END
    act: Act = Act.TAKE
    reply: str = "550 5.1.1 no such mailbox"
    delay_ms: int = 0  # before the act
    back: Back = Back.NOTHING
    back_ms: int = 0  # after the mail was taken
    status: str = "5.1.1"  # of what comes back


USUAL = MailRule()
