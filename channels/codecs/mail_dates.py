"""The date that a mail claims for itself; the clocks of the duty room run by the time of receipt."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz

FIELD_MAX = 100  # letters; RFC 5322 §3.3 needs 37 and a comment


def claimed_date(value: bytes) -> str:
    """ISO 8601 with its offset (-0000 as UTC, RFC 5322 §3.3), or '' for what is no date. Never raises."""
    parts = parsedate_tz(value[:FIELD_MAX].decode("latin-1"))
    if parts is None:
        return ""
    try:
        zone = timezone(timedelta(seconds=parts[9])) if parts[9] else UTC
        return datetime(*parts[:6], tzinfo=zone).isoformat()
    except (ValueError, OverflowError):
        return ""
