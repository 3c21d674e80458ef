"""Departments that want to hear what becomes of their reports: their addresses, and each call to them."""

from enum import StrEnum

from domain.moves import Moves


class WebhookState(StrEnum):
    """Whether an address is called."""

    ACTIVE = "active"
    DISABLED = "disabled"  # it failed for a day, or said 410: nobody is told until somebody mends it
    REMOVED = "removed"  # by its department


class CallState(StrEnum):
    """Where one call stands."""

    PENDING = "pending"
    DELIVERED = "delivered"  # 2xx
    DROPPED = "dropped"  # every try failed, or the address is gone


WEBHOOKS = Moves(
    "webhook",
    WebhookState,
    {
        (WebhookState.ACTIVE, "disable"): WebhookState.DISABLED,
        (WebhookState.DISABLED, "enable"): WebhookState.ACTIVE,
        (WebhookState.ACTIVE, "remove"): WebhookState.REMOVED,
        (WebhookState.DISABLED, "remove"): WebhookState.REMOVED,
    },
)
CALLS = Moves(
    "webhook_call",
    CallState,
    {
        (CallState.PENDING, "answer"): CallState.DELIVERED,
        (CallState.PENDING, "drop"): CallState.DROPPED,
        (CallState.DROPPED, "replay"): CallState.PENDING,
    },
)
EVENTS = {  # an act in the journal of a report -> what the department hears of it
    "file": "report.created", "claim": "report.claimed", "release_claim": "report.released", "verify": "report.verified",
    "classify": "report.updated", "follow_up": "report.updated", "correction": "report.updated",
    "attach_upload": "report.updated", "write_back": "report.answered", "merge": "report.merged", "unmerge": "report.unmerged",
    "transfer": "report.transferred", "sign_for": "report.signed_for", "close": "report.closed", "reopen": "report.reopened",
}  # fmt: skip
