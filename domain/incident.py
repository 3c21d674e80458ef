"""An incident: what several reports tell of, and how one report follows another."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.moves import Moves


class IncidentState(StrEnum):
    """Where an incident stands."""

    OPEN = "open"
    MERGED = "merged"  # 并入: it is the same as another one; its reports stand there
    CLOSED = "closed"  # 办结


MOVES = Moves(
    "incident",
    IncidentState,
    {
        (IncidentState.OPEN, "attach_incident"): IncidentState.OPEN,
        (IncidentState.OPEN, "detach_incident"): IncidentState.OPEN,
        (IncidentState.OPEN, "split_incident"): IncidentState.OPEN,
        (IncidentState.OPEN, "merge_incident"): IncidentState.MERGED,
        (IncidentState.MERGED, "unmerge_incident"): IncidentState.OPEN,
        (IncidentState.OPEN, "close_incident"): IncidentState.CLOSED,
        (IncidentState.CLOSED, "reopen_incident"): IncidentState.OPEN,
    },
)


class ThreadState(StrEnum):
    """Whether one report follows another."""

    PROPOSED = "proposed"  # a sign, no proof: an officer looks at it
    LINKED = "linked"  # 续报
    DETACHED = "detached"  # an officer says that it does not


THREADS = Moves(
    "thread",
    ThreadState,
    {
        (ThreadState.PROPOSED, "link"): ThreadState.LINKED,
        (ThreadState.PROPOSED, "unlink"): ThreadState.DETACHED,
        (ThreadState.LINKED, "unlink"): ThreadState.DETACHED,
        (ThreadState.DETACHED, "link"): ThreadState.LINKED,
    },
)


class Sign(StrEnum):
    """By what a report is taken to follow another."""

    CODE = "code"  # the other's short code stands in its text, or its token in the address
    MAIL = "mail"  # it answers a mail of ours, or one of the other report's
    NUMBER = "number"  # from an address that was told of the other report a while ago


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What several reports tell of."""

    id: str
    title: str
    state: IncidentState
    revision: int
    opened_by: str
    opened_at: datetime
    event_code: str = ""
    area: str = ""
    merged_into: str = ""
    closed_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """One report in one incident."""

    report: str
    incident: str
    added_by: str
    added_at: datetime
    score: float | None  # what the hub had thought of it; None: it had not proposed it


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """One report that follows, or may follow, another."""

    report: str
    follows: str
    sign: Sign
    state: ThreadState
    is_certain: bool  # the hub linked it itself
    by: str
    at: datetime
