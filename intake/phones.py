"""Telephone numbers as people and devices write them, as E.164 where that is certain."""

import re
import unicodedata
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberType

READ_MAX = 64  # letters; PROMISES H69: the finders are never given a long text

_DASHES = re.compile("[\u2010-\u2015\u2212\u301c\uff5e_]")
_PREFIX = re.compile(r"^\s*(?:tel|telephone|phone|手机|电话|联系电话)?\s*[:：]?\s*", re.IGNORECASE)
_CONTEXT = re.compile(r";phone-context=(\+\d{1,4})", re.IGNORECASE)  # RFC 3966 §5.1.5
# 转802, 分机 802, ext. 802, #802, and 总机-分机 of a full Chinese number: 0571-87051234-802.
_SAID = re.compile(
    r"[\s,;]*(?:转|轉|分机|分機|内线|內線|extension|ext|x|#)[\s.:=号]*(\d{1,6})\s*$", re.IGNORECASE
)
_DASHED = re.compile(r"^((?:(?:\+|00)86[- ]?)?(?:\(?0?\d{2,3}\)?[- ]?)?\d{7,8})-(\d{1,6})$")
_MOBILE = re.compile(r"(?:\+?86|0086)?(1[3-9]\d{9})")  # 工信部 电信网编号计划: 11 digits, 13 to 19
_SHORT = re.compile(r"[1-9]\d{2,5}")  # 110, 12345, 12379, 95598, 106550: no area code belongs before these
# Ports of SMS services, 106 and up to 17 digits more (工信部 电信网编号计划): names that nobody can call. With a country
# code ten digits are a number of Beijing, 010 6912 3456.
_PORT = re.compile(r"106\d{3,17}|(?:\+86|0086)106(?:\d{3,6}|\d{8,17})")
_LOCAL = re.compile(r"[2-8]\d{6,7}")  # local numbers of 7 or 8 digits; 1 and 9 begin short numbers

_SATELLITE = (
    "+870",
    "+881",
)  # ITU-T E.164.1: Inmarsat, and the global mobile systems: 5 to 10 $ for each text

_KINDS = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "fixed",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "mobile",  # North America: cannot be told apart, either may get SMS
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """One number. `e164` is '' for short numbers and for local ones whose area is not known."""

    e164: str
    extension: str
    kind: str  # mobile | fixed | short | satellite | other
    as_given: str


def phone(text: str, *, region: str = "CN", area_code: str = "") -> Phone | None:
    """The number that `text` is (not: contains among others), or None.

    `region` reads numbers without a country code; `area_code` (0571) completes local numbers of 7 or 8
    digits. A caller's number is a hint and never proof of who called (PROMISES H27).
    """
    given = text.strip()[:READ_MAX]
    plain = _plain(given)
    body, extension = _split(plain)
    digits = re.sub(r"[\s().-]", "", body)
    if region == "CN" and (found := _chinese(digits, extension, area_code, given)):
        return found
    return _by_library(body, extension, region, given)


def mobile_of(text: str, region: str) -> str:
    """E.164 of a mobile number of `region`, '' for anything else: fixed, foreign, premium, or no number."""
    found = phone(text, region=region)
    if found is None or found.kind != "mobile" or found.extension:
        return ""
    return found.e164 if found.e164.startswith(f"+{phonenumbers.country_code_for_region(region)}") else ""


def _plain(given: str) -> str:
    """Full-width letters, dashes and labels made plain: １３８ becomes 138."""
    text = _DASHES.sub("-", unicodedata.normalize("NFKC", given))
    text = _PREFIX.sub("", text)
    context = _CONTEXT.search(text)
    if not context:
        return text
    local = text[: context.start()] + text[context.end() :]
    return context[1] + local.strip().removeprefix("0") if context[1] == "+86" else context[1] + local.strip()


def _split(text: str) -> tuple[str, str]:
    """(number, extension)."""
    for pattern in (_SAID, _DASHED):
        if match := pattern.search(text.strip()):
            if pattern is _SAID and not re.search(r"\d", text[: match.start()]):
                continue
            number = text[: match.start()] if pattern is _SAID else match[1]
            return number.strip(), match[match.lastindex or 0]
    return text.strip(), ""


def _chinese(digits: str, extension: str, area_code: str, given: str) -> Phone | None:
    """What an expression settles 100 times faster than the library, or the library does not know."""
    if match := _MOBILE.fullmatch(digits):
        return Phone(e164=f"+86{match[1]}", extension=extension, kind="mobile", as_given=given)
    if _SHORT.fullmatch(digits) or _PORT.fullmatch(digits):
        return Phone(e164="", extension=extension, kind="short", as_given=given)
    if _LOCAL.fullmatch(digits):
        e164 = _valid(f"{_area(area_code)}{digits}", "CN") if area_code else ""
        return Phone(e164=e164, extension=extension, kind="fixed", as_given=given)
    return None


def _by_library(body: str, extension: str, region: str, given: str) -> Phone | None:
    try:
        number = phonenumbers.parse(body, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return Phone(
        e164=e164,
        extension=extension or number.extension or "",
        kind="satellite"
        if e164.startswith(_SATELLITE)
        else _KINDS.get(phonenumbers.number_type(number), "other"),
        as_given=given,
    )


def _valid(digits: str, region: str) -> str:
    """E.164 when the library knows such a number; '' otherwise (a new or a wrong area code)."""
    found = _by_library(digits, "", region, digits)
    return found.e164 if found else ""


def _area(code: str) -> str:
    """571 and 0571 are both written in settings; the trunk 0 is what the library expects."""
    return "0" + code.strip().removeprefix("+86").lstrip("0")
