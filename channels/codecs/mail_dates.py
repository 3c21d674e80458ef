"""The date that a mail claims for itself; the clocks of the duty room run by the time of receipt."""

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz

from channels.codecs.mail_headers import words

FIELD_MAX = 100  # letters; RFC 5322 §3.3 needs 37 and a comment
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBERS = ("一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二")
_MONTH = re.compile("(十[一二]|[一二三四五六七八九十]|1[0-2]|[1-9])月")
_WEEKDAY = re.compile("(?:星期|周|礼拜)[一二三四五六日天],? *")
_ZONE = re.compile(r"\b(?:GMT|UTC)([+-][01]\d):?([0-5]\d)\b")


def claimed_date(value: bytes) -> str:
    """ISO 8601 with its offset (-0000 as UTC, RFC 5322 §3.3), or '' for what is no date. Never raises."""
    parts = parsedate_tz(_in_english(value[:FIELD_MAX]))
    if parts is None:
        return ""
    try:
        zone = timezone(timedelta(seconds=parts[9])) if parts[9] else UTC
        return datetime(*parts[:6], tzinfo=zone).isoformat()
    except (ValueError, OverflowError):
        return ""


def _in_english(value: bytes) -> str:
    """Programs that write dates in the language of their machine: 星期一, 23 十一月 2026; and GMT+08:00 for +0800."""
    text = _ZONE.sub(r"\1\2", value.decode("latin-1") if value.isascii() else words(value))
    return _MONTH.sub(_month, _WEEKDAY.sub("", text))


def _month(match: re.Match[str]) -> str:
    said = match[1]
    return _MONTHS[int(said) - 1 if said.isdecimal() else _NUMBERS.index(said)]
