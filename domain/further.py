"""What comes after a report: 续报, 更正 and files that are sent piece by piece."""

from enum import StrEnum

from domain.moves import Moves
from domain.report import State


class Further(StrEnum):
    """What a later message is to its report."""

    FOLLOW_UP = "follow_up"  # 续报: what was said stands, and this besides
    CORRECTION = "correction"  # 更正: this in place of what was said


# A report that somebody still works on is read again when it says more. What reaches one that is settled, merged or
# with another authority would be seen by nobody: it becomes a report of its own that names the first.
STILL_READ = frozenset({State.FILED, State.CLAIMED, State.VERIFIED})


class UploadState(StrEnum):
    """Where a file stands that is sent in parts."""

    OPEN = "open"  # some of it is here
    WHOLE = "whole"  # all of it is here, durable; to be looked at and attached
    KEPT = "kept"  # an attachment of the report
    GIVEN_UP = "given_up"  # by its sender, after a week without a part, or because its report was destroyed


UPLOADS = Moves(
    "upload",
    UploadState,
    {
        (UploadState.OPEN, "complete"): UploadState.WHOLE,
        (UploadState.OPEN, "give_up"): UploadState.GIVEN_UP,
        (UploadState.OPEN, "erase_upload"): UploadState.GIVEN_UP,  # its report was destroyed
        (UploadState.WHOLE, "erase_upload"): UploadState.GIVEN_UP,
        (UploadState.WHOLE, "attach_upload"): UploadState.KEPT,
    },
)
