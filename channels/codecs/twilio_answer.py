"""What an answer of Twilio's Messages API proves: taken, refused, not taken, or nothing.

Sources: "Message resource", "Error and Warning Dictionary", "REST API response error 429" (twilio.com/docs).
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from domain.errors import Never, NotNow, Unsure
from domain.parcel import DeliveryState

WAIT_AT_LEAST, WAIT_AT_MOST = timedelta(seconds=1), timedelta(minutes=15)  # no Retry-After may park an alert

# Code -> what it means for us. A code in no row is a refusal of this one message when Twilio answered 4xx.
NOT_NOW = {
    "20429",  # "never processed and is always safe to retry" (error 20429)
    "21611",  # the sender's queue holds 10 hours; "thrown when attempting to create" (error 21611)
}
CONFIG = {
    "20003": "authenticate",  # wrong SID, token, or a suspended account
    "20005": "account not active",
    "20006": "access denied",
    "20404": "no such account",
    "21212": "From is not a valid number",
    "21603": "no From and no messaging service",
    "21606": "From is not ours or cannot send SMS",
    "21609": "StatusCallback is not valid",
    "21660": "From belongs to another account",
    "21701": "no such messaging service",
    "21703": "messaging service without numbers",
}
# Refusals of one address or text are answered FAILED with the code verbatim. Any other code of a 4xx is
# treated alike, so these are only named here: 21211 not a number, 21214 unreachable, 21408 no permission for
# the region, 21602 no body, 21610 opted out, 21612 no route, 21614 not a mobile, 21617 over 1600 characters.
AMBIGUOUS = {408, 425}  # "request timeout", "too early": a proxy may have handed the request on

STATES = {  # "Message resource", message status values
    **dict.fromkeys(("accepted", "scheduled", "queued", "sending"), DeliveryState.ACCEPTED),
    **dict.fromkeys(("sent", "partially_delivered"), DeliveryState.SENT),
    **dict.fromkeys(("failed", "undelivered", "canceled"), DeliveryState.FAILED),
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.READ,
}


def judge(status: int, raw: bytes, headers: Mapping[str, str]) -> None:
    """Return when Twilio took the message or refused it with a code of its own; else say what is proven.

    Raises NotNow, Never(code="config") or Unsure.
    """
    code = _code(raw)
    is_refusal = 400 <= status < 500
    if status == 429 or (is_refusal and code in NOT_NOW):
        wait = retry_after(headers.get("Retry-After", ""), date=headers.get("Date", ""))
        raise NotNow("throttled", code=code or "429", retry_after=wait)
    if status in (401, 403) or (is_refusal and code in CONFIG):
        raise Never(f"HTTP {status} {code} {CONFIG.get(code, '')}".strip(), code="config")
    if not (200 <= status < 300 or is_refusal) or status in AMBIGUOUS or (is_refusal and not code):
        raise Unsure(f"HTTP {status}", code=code or str(status))


def retry_after(value: str, *, date: str = "") -> timedelta:
    """How long to wait: seconds, or an HTTP date (RFC 9110 §10.2.3) less the answer's own `date`.

    Clamped; WAIT_AT_LEAST for anything else.
    """
    wait = WAIT_AT_LEAST
    if re.fullmatch(r"\s*\d{1,9}\s*", value, re.ASCII):
        wait = timedelta(seconds=int(value))
    else:
        try:
            wait = _moment(value) - _moment(date)
        except (ValueError, TypeError, OverflowError, IndexError):
            wait = WAIT_AT_LEAST
    return min(max(wait, WAIT_AT_LEAST), WAIT_AT_MOST)


def _moment(text: str) -> datetime:
    when = parsedate_to_datetime(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _code(raw: bytes) -> str:
    """Twilio's own error code of an answer, '' when the body is not Twilio's."""
    try:
        return str(int(json.loads(raw)["code"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
