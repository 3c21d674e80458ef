"""What is still taken from outside while the disk is full: recall, all-clear, receipts, and the way to them."""

import re

from starlette.requests import Request

from domain.errors import Unavailable
from hub.wiring import Hub

FORMS = ("/report", "/field")  # refuse by themselves, with what was typed
_READS = ("GET", "HEAD", "OPTIONS")
_STILL = re.compile(
    r"/(console|v1)/releases/[^/]+/(stop|cancel|lift|correct)"
    r"|/login(/.*)?|/logout|/hooks/dlr/.*|/hooks/voice/.*|/v1/citizen/reports"  # the last two refuse by themselves, too
)


def refuse(request: Request, hub: Hub) -> None:
    """Raises Unavailable(disk_full) for what has to wait: the doors close before a write fails (PROMISES F17)."""
    if request.method in _READS or hub.room.is_open:
        return
    path = request.url.path
    if path not in FORMS and not _STILL.fullmatch(path):
        raise Unavailable("the disk is full", code="disk_full")
