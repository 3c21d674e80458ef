"""Reports upwards (信息专报): what one says, which number it bears, and how far it has got."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.moves import Moves

LONGEST_TITLE, LONGEST_BODY = 120, 8000
_DIGITS = "零一二三四五六七八九"


class Kind(StrEnum):
    """Which report of a matter it is."""

    FIRST = "first"  # 首报: as soon as anything is known; it may be thin
    FOLLOW_UP = "follow_up"  # 续报 n: only what is new
    VERIFICATION = "verification"  # 核报: the answer to an order to verify
    SUPPLEMENT = "supplement"  # 补报: elements that were missing
    DAILY = "daily"  # 日报
    FINAL = "final"  # 终报


NUMBERED = frozenset({Kind.FOLLOW_UP, Kind.DAILY, Kind.VERIFICATION, Kind.SUPPLEMENT})  # 续报一, 续报二 ...


class State(StrEnum):
    """How far it has got. From SIGNED on its words never change."""

    DRAFT = "draft"
    SIGNED = "signed"  # a leader has signed; it bears its number of the year
    SENT = "sent"  # 书面已报
    RECEIVED = "received"  # the superior has signed for it
    WITHDRAWN = "withdrawn"  # before anybody had signed


BRIEFS = Moves(
    "brief",
    State,
    {
        (State.DRAFT, "edit"): State.DRAFT,
        (State.DRAFT, "sign"): State.SIGNED,
        (State.DRAFT, "withdraw"): State.WITHDRAWN,
        (State.SIGNED, "send"): State.SENT,
        (State.SENT, "receive"): State.RECEIVED,
    },
)


class Way(StrEnum):
    """How it went up, and how the superior answered."""

    MAIL = "mail"
    FAX = "fax"
    PEER = "peer"
    HAND = "hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """One report upwards. Title and body are sealed with the key of the report it is of."""

    id: str
    report: str
    kind: Kind
    n: int  # of its kind and report, 1 for those that come once
    state: State
    title: str
    body: str
    missing: tuple[str, ...] = ()  # elements that were not known when it was written
    author: str
    created_at: datetime
    revision: int = 1
    to: str = ""  # 主送
    year: int | None = None
    number: int | None = None  # of the year, from the signature on
    signed_by: str = ""
    signed_at: datetime | None = None
    sent_at: datetime | None = None
    way: str = ""
    received_at: datetime | None = None
    received_by: str = ""
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def ordinal(self) -> str:
        """续报's number in words: 一, 十二; '' for what comes once."""
        return chinese(self.n) if self.kind in NUMBERED else ""


def chinese(n: int) -> str:
    """1 to 99 as Chinese says them in titles: 一, 十, 十二, 二十一; digits beyond."""
    if not 0 < n < 100:
        return str(n)
    tens, ones = divmod(n, 10)
    head = "" if tens == 0 else "十" if tens == 1 else f"{_DIGITS[tens]}十"
    return head + (_DIGITS[ones] if ones else "")
