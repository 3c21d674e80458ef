"""Every error this system raises on purpose.

HubError
├── Refused              the caller may not do this (shown to the officer, answered 4xx)
│   ├── IllegalMove      the thing is not in a state that allows the action
│   ├── NotAllowed       the rank, the scope or a second pair of eyes is missing
│   └── Conflict         what the caller saw is not what is there now
├── NotFound             nothing of that name that this caller may know of
├── BadInput             what came in cannot be understood; never retried
├── Unavailable          the hub cannot keep it now; the caller tries again
│   └── CommitUnknown    the store did not say whether it kept the work: read it again by key
├── Tampered             bytes or rows are not what their digest says
└── DeliveryError        a wire could not deliver
    ├── NotNow           provably not taken; try again later
    ├── Never            will always be refused
    └── Unsure           may or may not have been taken; never repeated blindly
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong with an input: `pointer` is an RFC 6901 pointer or a rule id."""

    pointer: str
    detail: str


class HubError(Exception):
    """Base of every error raised on purpose; anything else is a bug. `code` is stable and public."""

    code = "error"

    def __init__(self, detail: str = "", *, code: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        if code:
            self.code = code


class Refused(HubError):
    """The request is understood and denied."""

    code = "refused"


class IllegalMove(Refused):
    """The action is not in the table for the present state."""

    code = "illegal_move"


class NotAllowed(Refused):
    """The person lacks the role or scope, or is approving his own work."""

    code = "not_allowed"


class Conflict(Refused):
    """Somebody was faster, or the digest or revision shown is no longer the one in force."""

    code = "conflict"


class NotFound(HubError):
    """No such thing, or none the caller may know of: the answer is the same."""

    code = "not_found"


class BadInput(HubError):
    """The input can never be accepted, however often it is sent."""

    code = "bad_input"

    def __init__(self, detail: str = "", *, code: str = "", flaws: Sequence[Flaw] = ()) -> None:
        super().__init__(detail, code=code)
        self.flaws = tuple(flaws)


class Unavailable(HubError):
    """Nothing was kept; the caller is told to try again."""

    code = "unavailable"


class CommitUnknown(Unavailable):
    """The connection ended at COMMIT: the work may be in. Re-read by key before repeating."""

    code = "commit_unknown"


class Tampered(HubError):
    """Stored bytes or rows do not match their digest."""

    code = "tampered"


class DeliveryError(HubError):
    """A delivery did not end in an answer of the provider for each address."""

    code = "delivery"


class NotNow(DeliveryError):
    """Throttled, or unreachable before anything was sent."""

    code = "not_now"

    def __init__(
        self, detail: str = "", *, code: str = "", retry_after: timedelta | None = None, is_down: bool = False
    ) -> None:
        """`is_down`: nobody was there to say so, as opposed to a provider that refuses for now."""
        super().__init__(detail, code=code)
        self.retry_after = retry_after
        self.is_down = is_down


class Never(DeliveryError):
    """Configuration, address or content that the provider will always refuse."""

    code = "never"


class Unsure(DeliveryError):
    """Something was sent and no definite answer came."""

    code = "unsure"
