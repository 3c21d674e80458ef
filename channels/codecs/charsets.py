"""Bytes to text when the declared character set is missing, wrong, broken or unknown."""

import codecs
import re

# What senders write, and the superset that reads it: gb2312 mail holds GBK and GB18030 letters (镕, 喆),
# and the WHATWG Encoding Standard §4.2 reads the Latin-1 labels as windows-1252.
ALIASES = {
    **dict.fromkeys(("gb2312", "gbk", "x-gbk", "cp936", "gb_2312-80", "euc-cn", "gb", "chinese"), "gb18030"),
    **dict.fromkeys(("gb18030-2005", "gb18030-2000", "gb18030-2022", "x-gb18030"), "gb18030"),
    **dict.fromkeys(("gb2312_charset", "csgb2312", "cn-gb", "gb2312-80", "ms936", "windows-936"), "gb18030"),
    **dict.fromkeys(
        ("x-mswin-936", "gbk2312", "gb-2312", "iso-ir-58", "cp54936", "cp1386", "936"), "gb18030"
    ),
    **dict.fromkeys(("hz-gb-2312", "hz-gb2312", "hzgb"), "hz"),
    **dict.fromkeys(("big5", "big-5", "x-big5", "cn-big5", "big5-eten"), "cp950"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji", "windows-31j"), "cp932"),
    **dict.fromkeys(("ks_c_5601-1987", "ks_c_5601", "euc-kr", "ksc5601", "korean"), "cp949"),
    **dict.fromkeys(("iso-2022-jp", "iso-2022-jp-ms", "csiso2022jp", "cp50220", "cp50221"), "iso2022_jp_ext"),
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1", "iso8859-1", "l1", "8859-1"), "cp1252"),
    **dict.fromkeys(("iso-8859-8-i", "iso-8859-8-e"), "iso-8859-8"),
    **dict.fromkeys(("unicode-1-1-utf-7", "utf7", "csutf7"), "utf-7"),
    **dict.fromkeys(("uft-8", "utf-8mb4", "utf8mb4", "unicode-1-1-utf-8", "unicode"), "utf-8"),
    **dict.fromkeys(("us-ascii", "ascii", "ansi_x3.4-1968", "7bit", "8bit", "us_ascii"), ""),
    **dict.fromkeys(("unknown-8bit", "x-unknown", "unknown", "default", "x-user-defined", "none"), ""),
    "tis-620": "cp874",
    "gb18030": "gb18030",
}
# Only character sets: Python also registers codecs (punycode, unicode_escape) that are none, or are slow.
_TEXT = re.compile(
    r"(utf|iso|cp|koi8|mac|gb|big5|euc|shift|hz|johab|kz|ptcp|tis|hp|latin|windows)", re.IGNORECASE
)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HZ = re.compile(rb"~\{(?:[!-w][!-~])+~\}")  # RFC 1843: a shifted run of GB2312 in seven bits
_CN = re.compile(
    rb"\x1b\$\)[AGE]|\x1b\$\*H|[\x0e\x0f]|\x1bN..|[^\x0e\x0f\x1b]+|\x1b", re.DOTALL
)  # RFC 1922 §3
_IS_CN = re.compile(rb"\x1b\$\)[AGE][^\x0e]{0,80}\x0e")
_JIS = re.compile(rb"\x1b[$(][@BJ]")  # RFC 1468 escapes
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_SHIFTED = re.compile(rb"\x1b|~\{")
_LATIN = ("cp1252", "iso8859-1", "iso8859-15")  # a sender's default; any other one-byte label was chosen
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_UTF16_BLANKS = re.compile(rb"(?:[\x01-\x7f]\x00){4}|(?:\x00[\x01-\x7f]){4}")
_ONE_BYTE = ("cp125", "iso8859")
_EAST_ASIAN = ("gb", "cp9", "big5", "euc")
SAMPLE = 20_000  # bytes judged when guessing; a page of text settles it
BROKEN_SHARE = 0.02  # of all letters; above it the declared set is not believed


def decode(data: bytes, declared: str = "") -> tuple[str, bool]:
    """The text of `data`, and whether its character set had to be guessed. Never raises.

    The ladder: byte order mark, the declared set (by its superset), UTF-8, the escapes of HZ and ISO-2022-JP,
    the East Asian set whose everyday letters fill the bytes best, Windows-1252 for a few accents, and
    UTF-8 with U+FFFD.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data.decode(name, "replace"), False
    name = codec(declared)
    if _is_disguised(data, name):
        name = ""
    if data.isascii() and name.startswith(_EAST_ASIAN) and _SHIFTED.search(data):
        return _seven_bit(data)
    if name and (text := _strict(data, name)) is not None:
        if _PRIVATE.search(text) and _is_big5(data[:SAMPLE], name):
            return data.decode("cp950", "replace"), True
        return text, False
    if data.isascii() and not name.startswith(("utf-16", "utf-32")):
        text, is_escaped = _seven_bit(data)
        return text, is_escaped or (bool(declared.strip()) and not name and _is_unknown(declared))
    if name and (text := _nearly(data, name)) is not None and (name != "utf-8" or _has_letters(text)):
        return text, True
    return _guess(data), True


def canonical(declared: str) -> str:
    """One spelling for a label, to see whether two encoded words share a set."""
    return codec(declared) or declared.strip().lower()


def codec(declared: str) -> str:
    """The Python codec for a label, or '' when it names none or only ASCII."""
    label = declared.strip(" \t\"'").lower()[:40]
    label = ALIASES.get(label, label)
    try:
        name = codecs.lookup(label).name if label else ""
    except (LookupError, ValueError):
        return ""
    return name if _TEXT.match(name) else ""


def _is_unknown(declared: str) -> bool:
    return declared.strip(" \t\"'").lower() not in ALIASES


def _strict(data: bytes, name: str) -> str | None:
    for candidate in (name, "big5hkscs") if name == "cp950" else (name,):
        try:
            return data.decode(candidate)
        except (UnicodeError, ValueError):
            continue
    return None


def _is_disguised(data: bytes, name: str) -> bool:
    """Whether a label that nearly any bytes satisfy stands on UTF-8, or a Latin one on Chinese."""
    if not name.startswith((*_ONE_BYTE, *_EAST_ASIAN)) or data.isascii():
        return False
    sample = data[:SAMPLE]
    is_latin = name.startswith(_ONE_BYTE)
    if (text := _strict_head(sample, "utf-8")) is not None:
        # Two bytes of GBK may look like one UTF-8 letter below U+0800 (联通); three in a row do not.
        return is_latin or any(letter > "\u07ff" for letter in text)
    return name in _LATIN and _is_written_in_pairs(sample) and _everyday(sample, "gb18030") > 0.9


def _is_written_in_pairs(sample: bytes) -> bool:
    """Whether high bytes stand together in even numbers, as Chinese does; accents stand alone."""
    runs = [len(run[0]) for run in _HIGH_RUN.finditer(sample)]
    high = sum(runs)
    return (high >= 8 and high / len(sample) > 0.3) or (
        max(runs, default=0) >= 4 and all(run % 2 == 0 for run in runs)
    )


def _is_big5(sample: bytes, name: str) -> bool:
    """Whether traditional Chinese stands under a label of GB2312: read as such it has private letters."""
    if name != "gb18030":
        return False
    return _everyday(sample, "cp950") > 0.9 and _everyday(sample, "gb18030") < 0.9


def _nearly(data: bytes, name: str) -> str | None:
    """The declared set with U+FFFD, when only few letters are damaged (a cut line, a lost byte)."""
    text = data.decode(name, "replace")
    broken = text.count("\ufffd")
    is_few = broken <= max(1, BROKEN_SHARE * len(text))
    is_chinese = name.startswith(_EAST_ASIAN) and sum(letter > "\u2e7f" for letter in text) > 2 * broken + 1
    return text if is_few and (len(text) > 10 * broken or is_chinese) else None


def _has_letters(text: str) -> bool:
    """Whether something beyond ASCII was read: else nothing shows that the bytes are of that set at all."""
    return any(letter > "\x7f" and letter != "\ufffd" for letter in text)


def _seven_bit(data: bytes) -> tuple[str, bool]:
    if _IS_CN.search(data):
        return _iso_2022_cn(data), True
    for pattern, name in ((_HZ, "hz"), (_JIS, "iso2022_jp_ext")):
        if pattern.search(data) and (text := _strict(data, name)) is not None:
            return text, True
    return data.decode("ascii"), False


def _iso_2022_cn(data: bytes) -> str:
    """RFC 1922, for which Python has no codec: GB2312 in shifted runs; CNS 11643 becomes U+FFFD, pair by pair."""
    out, is_shifted, is_gb = [], False, True
    for match in _CN.finditer(data):
        piece = match[0]
        if piece in (b"\x0e", b"\x0f"):
            is_shifted = piece == b"\x0e"
        elif piece.startswith(b"\x1bN"):
            out.append("\ufffd")
        elif piece.startswith(b"\x1b"):
            is_gb = piece.endswith(b"A") if piece[1:3] == b"$)" else is_gb
        elif not is_shifted:
            out.append(piece.decode("ascii", "replace"))
        elif is_gb:
            out.append(bytes(c | 0x80 if c > 0x20 else c for c in piece).decode("gb18030", "replace"))
        else:
            out.append("\ufffd" * (len(piece) // 2))
    return "".join(out)


def _guess(data: bytes) -> str:
    for name in ("utf-8", "utf-16-le" if _UTF16_BLANKS.search(data[:SAMPLE]) else ""):
        if name and (text := _strict(data, name)) is not None:
            return text
    sample = data[:SAMPLE]
    scores = {name: _everyday(sample, name) for name in ("gb18030", "cp950", "cp932", "euc_jp")}
    best = max(scores, key=lambda name: scores[name])  # equal scores: the first, this is a hub in China
    if scores[best] > 0.7:
        return data.decode(best, "replace")
    nearly = _nearly(data, "utf-8")
    if nearly is not None and _has_letters(nearly):
        return nearly
    text_or_none = _strict(data, "cp1252")
    return text_or_none if text_or_none is not None else data.decode("utf-8", "replace")


def _everyday(sample: bytes, name: str) -> float:
    """The share of everyday letters among the letters beyond ASCII when `sample` is read as `name`.

    Everyday: the first level of GB2312 (3,755 characters), of Big5 (5,401) or of JIS X 0208 (2,965), kana,
    and the punctuation of the set. 0.0 when the bytes are not of that set at all.
    """
    text = _strict_head(sample, name)
    letters = [c for c in text or "" if c > "\x7f"]
    if not letters:
        return 0.0
    return sum(_WEIGHT[name](c, c.encode(name)) for c in letters) / len(letters)


def _strict_head(sample: bytes, name: str) -> str | None:
    """Strict decoding that forgives a letter cut at the end, of the sample or by whoever cut the text."""
    try:
        return codecs.getincrementaldecoder(name)().decode(sample)
    except UnicodeError:
        return None


def _in_gb(letter: str, code: bytes) -> float:
    if len(code) != 2 or code[1] < 0xA1:
        return 0.0
    if "\u3040" <= letter <= "\u30ff":
        return 0.3
    return float(0xB0 <= code[0] <= 0xD7 or code[0] in (0xA1, 0xA3))


def _in_big5(_letter: str, code: bytes) -> float:
    return float(len(code) == 2 and 0xA1 <= code[0] <= 0xC6)


def _in_sjis(letter: str, code: bytes) -> float:
    if "\u3040" <= letter <= "\u30ff":
        return 1.0
    return float(len(code) == 2 and (code[0] == 0x81 or 0x88 <= code[0] <= 0x97))


def _in_euc_jp(letter: str, code: bytes) -> float:
    if "\u3040" <= letter <= "\u30ff":
        return 1.0
    return 0.9 * float(len(code) == 2 and (code[0] == 0xA1 or 0xB0 <= code[0] <= 0xCF))


_WEIGHT = {"gb18030": _in_gb, "cp950": _in_big5, "cp932": _in_sjis, "euc_jp": _in_euc_jp}
