"""When a text says that it happened: relative words, hours and days, as a span before its arrival."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九十")} | {"两": 2, "〇": 0}
_NUMBER = r"[0-9]{1,3}|[一二两三四五六七八九十]{1,3}"
_EN_NUMBER = {
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "ten": 10,
    "half": 0.5,
}

# Words without a number -> (how many minutes before arrival it began at the earliest, ended at the latest).
_SPANS = (
    (re.compile("就刚才|刚刚|刚才|刚掉|刚发生|刚撞|刚塌|才撞|就在刚|正在|just now|right now", re.I), (40, 0)),
    (re.compile("几分钟前|minutes ago", re.I), (30, 0)),
    (re.compile("半(?:个)?(?:多)?(?:小时|钟头)(?:之|以)?前|half an hour ago", re.I), (55, 15)),
    (re.compile("一刻钟(?:之|以)?前|a quarter of an hour ago", re.I), (30, 5)),
)
_AGO = re.compile(rf"({_NUMBER})(?:多|几)?个?(分钟|小时|钟头|天)(?:之|以)?前")
_EN_AGO = re.compile(r"\b(\d{1,3}|an?|one|two|three|four|five|six|ten)\s+(minute|hour|day)s?\s+ago\b", re.I)

_DAYS = (("前天", -2), ("昨天", -1), ("昨晚", -1), ("昨夜", -1), ("昨日", -1), ("yesterday", -1), ("last night", -1),
         ("今天", 0), ("今日", 0), ("今早", 0), ("今晨", 0), ("今晚", 0), ("this morning", 0), ("today", 0),
         ("tonight", 0))  # fmt: skip
# Parts of a day -> hours on its clock; a night goes on into the next day.
_PARTS = (("凌晨", (0, 6)), ("清晨", (4, 9)), ("今晨", (0, 9)), ("一早", (4, 10)), ("早上", (5, 10)), ("今早", (4, 10)),
          ("上午", (6, 12)), ("中午", (11, 14)), ("下午", (12, 19)), ("傍晚", (16, 20)), ("昨晚", (18, 29)),
          ("昨夜", (18, 30)), ("今晚", (18, 29)), ("半夜", (22, 29)), ("晚上", (18, 26)), ("last night", (18, 30)),
          ("this morning", (0, 12)), ("tonight", (18, 29)))  # fmt: skip
_CLOCK = re.compile(
    r"(?:(?<!\d)([0-3]?\d)日\s?)?(?<![\d.])([01]?\d|2[0-3])\s*(?:时|点(?!钟)|:|：)\s*([0-5]?\d)?(?!\d)\s*(?:分)?(许|左右)?"
)
_AHEAD = re.compile(
    "(?:预计|计划|拟|将|定于|预期|力争|争取|自|until|expected|by)[^，。；,;]{0,12}$"
)  # 预计22时恢复
_YESTERDAY = timedelta(
    hours=8
)  # a clock ahead of the arrival is that of the day before when that was so lately


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Within these it happened, as far as the text says; `is_said` when words say so and not only its arrival."""

    begins: datetime
    ends: datetime
    is_said: bool
    clock: datetime | None = None  # said to the minute


UNSAID = timedelta(hours=2)  # a text without a word of time: people report within it, where they can


def occurred(text: str, at: datetime, zone: ZoneInfo) -> Span:
    """When it happened, of a text that arrived at `at`."""
    lower = text.lower()
    clock, is_exact = _clock(lower, at, zone) or (None, False)
    found = next(_relative(lower, at), None) or _on_the_clock(lower, at, zone, clock, is_exact=is_exact)
    exact = clock if is_exact else None
    if found is None:
        return Span(begins=at - UNSAID, ends=at, is_said=False, clock=exact)
    begins, ends = found
    ends = min(ends, at)
    return Span(begins=min(begins, ends), ends=ends, is_said=True, clock=exact)


def number(text: str) -> int:
    """A count in digits or in Chinese, to 99; 0 for what is none."""
    if text.isascii() and text.isdigit():
        return int(text)
    head, ten, tail = text.partition("十")
    if not ten:
        return _DIGITS.get(text, 0) if len(text) == 1 else int("".join(str(_DIGITS.get(c, 0)) for c in text))
    return (_DIGITS.get(head, 1) if head else 1) * 10 + (_DIGITS.get(tail, 0) if tail else 0)


def _relative(text: str, at: datetime) -> Iterator[tuple[datetime, datetime]]:
    for pattern, (first, last) in _SPANS:
        if pattern.search(text):
            yield at - timedelta(minutes=first), at - timedelta(minutes=last)
    for match in _AGO.finditer(text):
        yield _ago(number(match[1]), {"分": 1, "天": 1440}.get(match[2][0], 60), at)
    for match in _EN_AGO.finditer(text):
        count = float(match[1]) if match[1].isdigit() else _EN_NUMBER.get(match[1], 1)
        yield _ago(count, {"m": 1, "d": 1440}.get(match[2][0], 60), at)


def _ago(count: float, minutes: int, at: datetime) -> tuple[datetime, datetime]:
    """People round: a quarter more and less than they say."""
    about = timedelta(minutes=count * minutes)
    return at - about * 1.3 - timedelta(minutes=5), at - about * 0.7 + timedelta(minutes=5)


def _clock(text: str, at: datetime, zone: ZoneInfo) -> tuple[datetime, bool] | None:
    """The first time of a clock that the text says and that is past; and whether it is said to the minute."""
    local = at.astimezone(zone)
    shift = _shift(text)
    part = next((hours for word, hours in _PARTS if word in text), None)
    for match in _CLOCK.finditer(text):
        if _AHEAD.search(text[: match.start()]) or (shift and not part and not match[1]):
            continue
        hour, minute = int(match[2]), int(match[3] or 0)
        if part and part[1] > 12 and hour < 12 and part[0] >= 11:
            hour += 12
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        day = (
            midnight - timedelta(days=_back(local, int(match[1])))
            if match[1]
            else midnight + timedelta(days=shift or 0)
        )
        moment = day + timedelta(hours=hour, minutes=minute)
        if moment > local + timedelta(minutes=10) and not match[1]:
            moment -= timedelta(days=1)
            if local - moment > _YESTERDAY:
                continue
        if moment <= local + timedelta(minutes=10):
            return moment, bool(match[3])
    return None


def _back(local: datetime, day: int) -> int:
    """How many days ago it was the `day` of a month; 0 for one ahead."""
    return next((n for n in range(15) if (local - timedelta(days=n)).day == day), 0)


def _shift(text: str) -> int | None:
    return max((days for word, days in _DAYS if word in text), default=None)  # 前天停了今天又停


def _on_the_clock(
    text: str, at: datetime, zone: ZoneInfo, clock: datetime | None, *, is_exact: bool
) -> tuple[datetime, datetime] | None:
    if clock:
        return clock - timedelta(minutes=20), clock + timedelta(minutes=25 if is_exact else 60)
    shift = _shift(text)
    part = next((hours for word, hours in _PARTS if word in text), None)
    day = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=shift or 0)
    if part:
        return day + timedelta(hours=part[0]), day + timedelta(hours=part[1])
    return (day, day + timedelta(days=1)) if shift is not None else None
