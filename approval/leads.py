"""Where an author's words lead their reader: links and telephone numbers that are not ours (PROMISES H105)."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from domain.errors import Flaw

# Numbers that the public of the whole country knows: police, fire, ambulance, traffic, forest fire, citizens'
# hotline, production safety, emergency release, power, weather, earthquakes, fraud, health, consumers.
NATIONAL = frozenset({"110", "119", "120", "122", "12119", "12345", "12350", "12379", "95598", "12121", "12322",
                      "96110", "12320", "12315", "12306", "12395"})  # fmt: skip
# Any address with its scheme, and a bare name of a host; each with its path, in which dots are no further names.
_PATH = r"(?:[:/?#][^\s，。；、（）]*)?"
_LINK = re.compile(
    r"[a-z][a-z0-9+.-]*://([^\s/?#]*)[^\s，。；、（）]*"
    r"|(?<![A-Za-z0-9_.-])((?:[a-z0-9\u00c0-\u04ff-]+\.)+[a-z\u00c0-\u04ff]{2,24})(?![A-Za-z0-9-])" + _PATH,
    re.IGNORECASE,
)
# With its separators; not a decimal, nor a part of a Latin word (K1203+500).
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.+])\+?[(]?[0-9](?:[-() ]{0,2}[0-9]){2,18}(?![A-Za-z0-9_]|\.[0-9])")
_CALL = re.compile(
    r"(?:电话|热线|拨打|致电|请拨|联系|\bcall|\bdial|\btel|\bphone|\bhotline)\D{0,6}$", re.IGNORECASE
)
_LONG = 7  # digits that make a telephone number where nothing says so; counts of people have fewer
_LOOK_ALIKE = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")


def flaws(
    issuer: str, fields: Mapping[str, Any], *, public_url: str, numbers: Collection[str]
) -> Iterator[Flaw]:
    """What an author typed that leads elsewhere. `numbers`: those of this deployment, as people write them."""
    ours = (public_url.partition("://")[2] or public_url).partition("/")[0].partition(":")[0].lower()
    known = NATIONAL | {_digits(number) for number in numbers}
    typed = {"/issuer": issuer, **{f"/fields/{name}": value for name, value in fields.items()}}
    for pointer, value in typed.items():
        if not isinstance(value, str) or re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.+Z-]+", value):  # a time
            continue
        text = _plain(value)
        if word := _mixed(text):
            yield Flaw(pointer, f"mixes letters that look alike: {word}")
        elif link := _foreign(text, ours):
            yield Flaw(pointer, f"leads to a site that is not ours: {link}")
        elif number := _unknown(text, known, is_hotline=pointer == "/fields/hotline"):
            yield Flaw(pointer, f"holds a telephone number that is not in the book: {number}")


def _plain(text: str) -> str:
    """Full-width letters as their plain ones; a Chinese full stop between Latin letters, as browsers read it."""
    folded = unicodedata.normalize("NFKC", text)
    return re.sub(r"(?<=[A-Za-z0-9])[。｡](?=[A-Za-z0-9])", ".", folded)


def _mixed(text: str) -> str:
    """A word of Latin letters and of others that look like them; '' when there is none."""
    for word in re.findall(r"[^\W\d_]+", text):
        names = {unicodedata.name(c, "").partition(" ")[0] for c in word}
        if "LATIN" in names and names.intersection(_LOOK_ALIKE):
            return str(word)[:40]
    return ""


def _foreign(text: str, ours: str) -> str:
    for found in _LINK.finditer(text):
        host: str = (found[1] or found[2] or "").lower()
        if re.sub(r":[0-9]{1,5}$", "", host) != ours:
            return host[:60] or found[0][:60]
    return ""


def _unknown(text: str, known: Collection[str], *, is_hotline: bool) -> str:
    for found in _NUMBER.finditer(text):
        digits = _digits(found[0])
        is_said = is_hotline or len(digits) >= _LONG or _CALL.search(text[: found.start()])
        if is_said and digits not in known:
            return found[0].strip()[:30]
    return ""


def _digits(number: str) -> str:
    return re.sub(r"\D", "", number)
