"""A release on its way to the public, and the moves it may make."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.handling import Handling
from domain.moves import Moves


class Kind(StrEnum):
    """What sort of release it is; inside the digest."""

    WARNING = "warning"  # 预警
    RESPONSE_START = "response_start"  # 应急响应启动
    RESPONSE_ADJUST = "response_adjust"  # 应急响应调整
    RESPONSE_END = "response_end"  # 应急响应终止
    NOTICE = "notice"  # 提示公告
    SITUATION = "situation"  # 情况通报
    CLARIFICATION = "clarification"  # 澄清


class Colour(StrEnum):
    """Warning colour, 突发事件应对法 art. 63: red is the first level."""

    RED = "red"
    ORANGE = "orange"
    YELLOW = "yellow"
    BLUE = "blue"

    @property
    def severity(self) -> str:
        """CAP 1.2 §3.2.2 severity: Red Extreme .. Blue Minor (our mapping, docs/decisions/0004)."""
        return {"red": "Extreme", "orange": "Severe", "yellow": "Moderate", "blue": "Minor"}[self.value]


class State(StrEnum):
    """Where a release stands. Only APPROVED bytes ever leave the building."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    REJECTED = "rejected"
    APPROVED = "approved"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    STOPPED = "stopped"  # 停止发送: technical, messages nobody
    CANCELLED = "cancelled"  # 解除: the danger is over
    CORRECTED = "corrected"  # 误发更正: it was a false alarm
    SUPERSEDED = "superseded"
    UNLIFTED = "unlifted"  # 到期未解除: expired, not lifted, still current
    EXPIRED = "expired"


# APPROVED too: an officer who sees a false alarm a second after the approval must not be told to wait for a lane.
_ENDABLE = (State.APPROVED, State.PUBLISHING, State.PUBLISHED, State.STOPPED, State.UNLIFTED)

MOVES = Moves(
    "release",
    State,
    {
        (State.DRAFT, "edit"): State.DRAFT,
        (State.DRAFT, "submit"): State.SUBMITTED,
        (State.SUBMITTED, "return"): State.RETURNED,
        (State.RETURNED, "edit"): State.DRAFT,
        (State.SUBMITTED, "edit"): State.DRAFT,
        (State.SUBMITTED, "lapse"): State.DRAFT,
        (State.SUBMITTED, "reject"): State.REJECTED,
        (State.SUBMITTED, "vote"): State.SUBMITTED,
        (State.SUBMITTED, "approve"): State.APPROVED,
        (State.APPROVED, "start"): State.PUBLISHING,
        (State.PUBLISHING, "finish"): State.PUBLISHED,
        (State.APPROVED, "stop"): State.STOPPED,
        (State.PUBLISHING, "stop"): State.STOPPED,
        **{(s, "cancel"): State.CANCELLED for s in _ENDABLE},
        **{(s, "correct"): State.CORRECTED for s in _ENDABLE},
        **{(s, "supersede"): State.SUPERSEDED for s in _ENDABLE},
        (State.PUBLISHED, "overdue"): State.UNLIFTED,
        (State.PUBLISHED, "expire"): State.EXPIRED,
    },
)

CURRENT = frozenset({State.APPROVED, State.PUBLISHING, State.PUBLISHED, State.UNLIFTED})


LIFE_THREAT = frozenset({Colour.RED, Colour.ORANGE})  # these go before all others, and may come twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Whom a release reaches by address; empty `areas` means the release's own areas."""

    areas: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()  # empty: every group
    languages: tuple[str, ...] = ()  # empty: the release's languages, others get its first


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What an author writes; every field is an input of the freeze."""

    kind: Kind
    issuer: str  # 发布单位, as printed
    organisation: str
    handling: Handling
    template: str
    template_version: int
    event_code: str
    areas: tuple[str, ...]
    fields: Mapping[str, Any]
    channels: tuple[str, ...]
    languages: tuple[str, ...]
    audience: Audience
    expires: datetime
    effective: datetime | None = None
    onset: datetime | None = None
    review_by: datetime | None = None
    grade: int | None = None  # event grade 1..4
    colour: Colour | None = None  # warning colour
    response_level: int | None = None  # 1..4
    from_report: str = ""
    from_bulletin: str = ""  # of a peer
    supersedes: str = ""
    repeat_unsure: bool = (
        False  # what nobody knows the end of is sent once more: better twice than not at all
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release and where it stands. `revision` is the edit counter of the draft."""

    id: str
    draft: Draft
    state: State
    revision: int
    author: str
    editors: frozenset[str] = field(default=frozenset())  # everyone who changed any version, the author too
    created_at: datetime
    submitted_by: str = ""
    submitted_at: datetime | None = None
    sent: datetime | None = None  # frozen at submit; CAP sent
    identifier: str = ""  # frozen at submit; CAP identifier
    digest: str = ""
    list_version: int = 0
    reach: int = 0
    approved_at: datetime | None = None
    ended_reason: str = ""
