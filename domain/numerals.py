"""Numbers as people write them in reports: 3, 1,200, 十二, 两三, 数十, a dozen, at least four."""

import re
from dataclasses import dataclass, replace

_DIGIT = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "俩": 2, "仨": 3}
_UNIT = {"十": 10, "百": 100, "千": 1000}
_VAGUE = {"数百": (200, 999), "几百": (200, 999), "数十": (20, 99), "几十": (20, 99), "十几": (11, 19), "好几": (3, 9),
          "数": (2, 9), "几": (2, 9), "多": (2, None), "若干": (2, None)}  # fmt: skip
_UP_TO_19 = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_ENGLISH = {word: n for n, word in enumerate(_UP_TO_19)} | {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "a": 1, "an": 1, "a dozen": 12, "both": 2,
}  # fmt: skip
_ENGLISH_VAGUE = {"several": (2, 9), "some": (2, None), "many": (2, None), "dozens": (24, 99), "a few": (2, 9),
                  "hundreds": (200, 999), "scores": (40, 99)}  # fmt: skip
MOST = 9_999_999  # more people than that are no number of victims

ONE_ZH = (
    "(?:[0-9０-９]{1,3}(?:[,，][0-9]{3})+|[0-9０-９]{1,7}|十几|好几|数百|几百|数十|几十"
    "|[零〇一二两俩仨三四五六七八九十百千]{1,7}|数|几|若干|多)"
)
ONE_EN = (
    r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,7}|a dozen|a few|"
    + "|".join(
        sorted(
            (w for w in [*_ENGLISH, *_ENGLISH_VAGUE] if " " not in w and w not in ("a", "an")), reverse=True
        )
    )
    + "|an|a)"
)
_PRE_ZH = "(?P<{p}pre>(?:至少|超过|逾|不少于|不低于|不足|不到|将近|近|大约|约|最多)?)"
_POST_ZH = "(?P<{p}post>(?:余|多|来|左右)?)"
_PRE_EN = (
    r"(?P<{p}pre>(?:at least|more than|over|at most|up to|fewer than|less than|about|around|nearly|some)?)\s*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A number or a range; `high` None: at least `low`."""

    low: int
    high: int | None

    @property
    def most(self) -> int:
        """The greater end as far as it is known."""
        return self.low if self.high is None else self.high


def expression(prefix: str, language: str) -> str:
    """A pattern for a number of people, with named groups that count() reads."""
    if language == "zh":
        number = f"(?P<{prefix}a>{ONE_ZH})(?:(?:至|到|-|－|–|—|~|～|、|或)(?P<{prefix}b>{ONE_ZH}))?"
        return _PRE_ZH.format(p=prefix) + number + _POST_ZH.format(p=prefix)
    number = rf"(?P<{prefix}a>{ONE_EN})(?:\s*(?:to|or|-|–)\s*(?P<{prefix}b>{ONE_EN}))?"
    return _PRE_EN.format(p=prefix) + number


def count(found: "re.Match[str]", prefix: str) -> Count | None:
    """What the groups of expression() say, or None when it is no number."""
    groups = found.groupdict()
    first = read(groups[f"{prefix}a"])
    if first is None:
        return None
    second = read(groups[f"{prefix}b"]) if groups.get(f"{prefix}b") else None
    made = replace(first, high=second.most) if second and second.most > first.low else first
    return _bent(made, (groups.get(f"{prefix}pre") or "").lower(), groups.get(f"{prefix}post") or "")


def read(text: str) -> Count | None:
    """One number: digits, Chinese numerals, English words."""
    word = text.strip().lower()
    if word in _VAGUE or word in _ENGLISH_VAGUE:
        low, high = (_VAGUE | _ENGLISH_VAGUE)[word]
        return Count(low=low or 0, high=high)
    if word in _ENGLISH:
        return Count(low=_ENGLISH[word], high=_ENGLISH[word])
    plain = word.replace(",", "").replace("，", "")
    if plain.isdecimal():
        value = int(plain)
    elif re.fullmatch("[二三四五六七八九两][三四五六七八九]", plain) and _DIGIT[plain[0]] < _DIGIT[plain[1]]:
        return Count(low=_DIGIT[plain[0]], high=_DIGIT[plain[1]])  # 三五人, 两三人
    else:
        return _chinese(plain)
    return Count(low=value, high=value) if value <= MOST else None


def _chinese(text: str) -> Count | None:
    """十二, 两百零三, 二〇; None for what is no number (百十)."""
    total, digit = 0, -1
    if not text:
        return None
    for letter in text:
        if letter in _DIGIT:
            digit = digit * 10 + _DIGIT[letter] if digit > 0 else _DIGIT[letter]
        elif letter in _UNIT:
            total += (digit if digit > 0 else 1) * _UNIT[letter]
            digit = -1
        else:
            return None
    value = total + max(digit, 0)
    return Count(low=value, high=value) if value <= MOST else None


def _bent(number: Count, before: str, after: str) -> Count:
    """With 至少, 近, 余 and their like around it."""
    if (
        before in ("至少", "不少于", "不低于", "at least")
        or after == "余"
        or (after == "多" and number.low >= 10)
    ):
        return replace(number, high=None)
    if before in ("超过", "逾", "more than", "over"):
        return Count(low=number.most + 1, high=None)
    if before in ("不足", "不到", "fewer than", "less than"):
        return Count(low=1, high=max(1, number.most - 1))
    if before in ("近", "将近", "nearly"):
        return Count(low=number.most * 4 // 5, high=number.most)
    if before in ("最多", "at most", "up to"):
        return Count(low=0, high=number.most)
    return number
