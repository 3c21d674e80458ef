"""How a time reads and how it is said aloud, in each language; all times are local and aware."""

from datetime import datetime

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def clock(at: datetime) -> str:
    """14:05."""
    return f"{at:%H:%M}"


def moment(at: datetime, language: str) -> str:
    """11月23日14:05 / 14:05 on 23 November."""
    if language == "zh-CN":
        return f"{at.month}月{at.day}日{clock(at)}"
    return f"{clock(at)} on {_day(at)}"


def stamp(at: datetime, language: str) -> str:
    """2026年11月23日14:05 / 14:05 on 23 November 2026."""
    said = moment(at, language)
    return f"{at.year}年{said}" if language == "zh-CN" else f"{said} {at.year}"


def spoken_clock(at: datetime, language: str) -> str:
    """14时05分 / 2:05 pm: what a speaker says where a reader sees 14:05."""
    if language == "zh-CN":
        return f"{at.hour}时{at:%M}分" if at.minute else f"{at.hour}时"
    minutes = f":{at:%M}" if at.minute else ""
    return f"{at.hour % 12 or 12}{minutes} {'am' if at.hour < 12 else 'pm'}"


def spoken(at: datetime, language: str) -> str:
    """11月23日14时05分 / 2:05 pm on 23 November."""
    if language == "zh-CN":
        return f"{at.month}月{at.day}日{spoken_clock(at, language)}"
    return f"{spoken_clock(at, language)} on {_day(at)}"


def _day(at: datetime) -> str:
    return f"{at.day} {_MONTHS[at.month - 1]}"
