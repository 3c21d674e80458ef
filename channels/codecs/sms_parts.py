"""A long text as the parts that a phone network carries, and parts as the text that they were.

Sources: 3GPP TS 23.040 §9.2.3.24 (user data header: concatenation with 8 and with 16 bits), TS 23.038 §4 (data
coding), SMPP 3.4 §5.2.19 (data_coding) and §5.3.2.22 (sar_*).
"""

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from channels.codecs import gsm7
from channels.text import segments

UDHI = 0x40  # esm_class: the message begins with a header
GSM7, LATIN1, UCS2 = 0x00, 0x03, 0x08
MOST_PARTS = 255
FLASH, BINARY, GUESSED = "flash_sms", "binary_sms", "charset_guessed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Which part of which long text a message is."""

    reference: int
    total: int
    n: int  # from 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """What data_coding says."""

    alphabet: str  # gsm7 | latin1 | ucs2 | gbk | binary | ascii
    is_flash: bool = False  # class 0: shown at once, not kept


def cut(text: str, *, reference: int) -> tuple[int, list[bytes]]:
    """(data_coding, messages) of a text, each with its header where there are several; as `segments` counts."""
    counted = segments(text)
    is_gsm = counted.encoding == "GSM-7"
    bodies = [gsm7.encode(t) if is_gsm else t.encode("utf-16-be") for t in counted.texts]
    if len(bodies) > 1:
        heads = [bytes((5, 0, 3, reference & 0xFF, len(bodies), n)) for n in range(1, len(bodies) + 1)]
        bodies = [head + body for head, body in zip(heads, bodies, strict=True)]
    return GSM7 if is_gsm else UCS2, bodies


def whole(text: str) -> tuple[int, bytes]:
    """(data_coding, octets) of a text in one piece, for a message_payload."""
    is_gsm = segments(text).encoding == "GSM-7"
    return (GSM7, gsm7.encode(text)) if is_gsm else (UCS2, text.encode("utf-16-be"))


def header(data: bytes) -> tuple[Share | None, bytes, bool]:
    """(its part, the rest, whether a port makes it no text) of a message that begins with a header.

    A header that is longer than its message is none: all of it is text.
    """
    size = data[0] + 1 if data else 0
    if not data or size > len(data):
        return None, data, False
    share, has_port, at = None, False, 1
    while at + 2 <= size:
        kind, long = data[at], data[at + 1]
        value = data[at + 2 : min(at + 2 + long, size)]
        at += 2 + long
        if kind == 0x00 and len(value) == 3:
            share = share or _share(value[0], value[1], value[2])
        elif kind == 0x08 and len(value) == 4:
            share = share or _share(value[0] << 8 | value[1], value[2], value[3])
        elif kind in (0x04, 0x05):
            has_port = True
    return share, data[size:], has_port


def _share(reference: int, total: int, n: int) -> Share | None:
    """None where the numbers contradict each other: "the receiving entity shall ignore the whole element"."""
    return Share(reference=reference, total=total, n=n) if total > 1 and 1 <= n <= total else None


def coding_of(data_coding: int) -> Coding:
    """What the octets are. SMPP names 0 to 14 itself; above that it is the data coding scheme of TS 23.038 §4."""
    # 15 is reserved there, and 含GB汉字 in CMPP, SGIP and SMGP (Msg_Fmt), whose gateways in China hand it through.
    named = {0: "gsm7", 1: "ascii", 2: "binary", 3: "latin1", 4: "binary", 8: "ucs2", 15: "gbk"}
    if data_coding in named:
        return Coding(alphabet=named[data_coding])
    if data_coding & 0xF0 == 0xF0:  # data coding and message class
        return Coding(alphabet="binary" if data_coding & 0x04 else "gsm7", is_flash=data_coding & 0x03 == 0)
    if data_coding & 0xC0 == 0:  # general data coding
        alphabet = ("gsm7", "binary", "ucs2", "gsm7")[(data_coding >> 2) & 0x03]
        return Coding(alphabet=alphabet, is_flash=bool(data_coding & 0x10) and data_coding & 0x03 == 0)
    if data_coding & 0xF0 == 0xE0:  # a message waits, in UCS-2
        return Coding(alphabet="ucs2")
    return Coding(alphabet="gsm7" if data_coding & 0xE0 == 0xC0 else "binary")


def decode(octets: bytes, coding: Coding, *, default: str = "gsm7") -> tuple[str, list[str]]:
    """(text, findings). `default`: what this provider means by its default alphabet. Never raises."""
    findings = [FLASH] if coding.is_flash else []
    alphabet = default if coding.alphabet == "gsm7" else coding.alphabet
    if alphabet in ("gsm7", "ascii"):
        # Septets have no eighth bit: whoever sends one means another set, and says none.
        guessed = "" if octets.isascii() else _guessed(octets)
        findings += [GUESSED] if guessed else []
        return guessed or (gsm7.decode(octets) if alphabet == "gsm7" else octets.decode("latin-1")), findings
    if alphabet == "ucs2":
        return _wide(octets, findings)
    if alphabet == "gbk":
        return octets.decode("gb18030", "replace"), findings
    if alphabet == "binary":
        guessed = _guessed(octets)
        return guessed or octets.hex(), [*findings, BINARY, *([GUESSED] if guessed else [])]
    return octets.decode("latin-1"), findings


def _wide(octets: bytes, findings: list[str]) -> tuple[str, list[str]]:
    """UCS-2 with the higher octet first (TS 23.038 §6.2.3), unless a mark says otherwise; half a letter is none."""
    even = octets if len(octets) % 2 == 0 else octets[:-1]
    findings += [] if even == octets else [GUESSED]
    is_swapped = even.startswith(codecs.BOM_UTF16_LE)
    text = even.decode("utf-16-le" if is_swapped else "utf-16-be", "replace")
    return text.removeprefix("\ufeff"), findings


def _guessed(octets: bytes) -> str:
    """Eight bits that nobody names: UTF-8 or GB18030 where they hold as such and print, else ''."""
    for charset in ("utf-8", "gb18030"):
        try:
            text = octets.decode(charset)
        except UnicodeDecodeError:
            continue
        if text and all(c.isprintable() or c in "\r\n\t" for c in text):
            return text
    return ""


def join(parts: Sequence[tuple[int, int, Mapping[str, Any]]]) -> tuple[str, bool]:
    """(text, whether it is whole) of parts (n, total, body); [...] stands where one is missing.

    Octets are joined before they are decoded: some phones cut a letter in two. Of two with one number the first
    counts. A lone part is the text it is.
    """
    found: dict[int, Mapping[str, Any]] = {}
    for n, _, body in parts:
        found.setdefault(n, body)
    total = max((t for _, t, _ in parts), default=1)
    text, run, run_coding = "", b"", None
    for n in range(1, total + 1) if total > 1 else sorted(found):
        there = found.get(n)
        coding = int(there["coding"]) if there else None
        if run and coding != run_coding:
            text, run = text + _decoded(run, run_coding, parts), b""
        if there is None:
            text += "" if text.endswith("[...]") else "[...]"
            continue
        run, run_coding = run + bytes.fromhex(str(there["octets"])), coding
    text += _decoded(run, run_coding, parts) if run else ""
    return text, total == 1 or len(found) == total


def _decoded(
    octets: bytes, data_coding: int | None, parts: Sequence[tuple[int, int, Mapping[str, Any]]]
) -> str:
    default = str(parts[0][2].get("alphabet") or "gsm7")
    return decode(octets, coding_of(data_coding or 0), default=default)[0]
