"""Header fields of a mail: RFC 2047 words, RFC 2231 parameters and addresses, in linear time."""

import binascii
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from channels.codecs.charsets import canonical, decode
from channels.codecs.plain_text import one_line

Fields = tuple[tuple[str, bytes], ...]

FIELD = re.compile(rb"([!-9;-~]{1,100})[ \t]*:[ \t]*(.*)", re.DOTALL)  # RFC 5322 §2.2
# RFC 2047 §2, read leniently: blanks in Q text and a stray "?" are common, and so are words far beyond 75 letters.
# Linear: Base64 ends at any "?", Q text is bounded.
WORD = re.compile(
    rb"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,40})?\?([bBqQ])\?((?<=[bB]\?)[^?]{0,40000}|(?:[^?]|\?(?!=)){0,2000})\?="
)
_NOT_BASE64 = bytes(set(range(256)) - set((string.ascii_letters + string.digits + "+/").encode()))
_FOOTER = re.compile(rb"\r?\n[ \t]{0,80}\r?\n[A-Za-z0-9+/ \t]{0,200}[^A-Za-z0-9+/=\s]")
_PADDING = re.compile(rb"={1,2}[ \t]*(?:[\r\n]+|\Z)")
_BASE64_LINE = re.compile(  # whole quads, the last one perhaps padded; some programs pad too much
    rb"((?:[A-Za-z0-9+/]{4}){1,1000}+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?|[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)"
    rb"={0,2}[ \t]*(?:[\r\n]+|\Z)"
)
PIECES_MAX = 20_000  # lines of Base64 behind a padding; a text of 1 MB has that many
_ADDRESS_PIECES = re.compile(
    rb'(?P<word>=\?[^?\s]{1,60}\?[bBqQ]\?[^?]{0,2000}\?=)|(?P<quoted>"(?:[^"\\]|\\.){0,300}")'
    rb"|(?P<angle><[^<>]{0,1000}>)|(?P<mark>[(),;:\\])|(?P<plain>[^=\"<(),;:\\]+|.)",
    re.DOTALL,
)
_PARAMETER = re.compile(
    rb';\s*([^\s=;]{1,60})\s*=\s*("(?:[^"\\]|\\.)*+"|(?:=\?[^?;]*\?[bBqQ]\?[^?]*\?=|[^;])*)'
)
# The same where a letter takes two bytes and the second may be a backslash. Possessive ("*+"): bytes that can be
# read as one letter or as two would else be tried in every way, 2 to the power of their number.
_PARAMETER_OF_PAIRS = re.compile(_PARAMETER.pattern.replace(rb'(?:[^"', rb'(?:[\x81-\xfe][\x40-\xfe]|[^"', 1))
_SHIFTED = re.compile(rb"\x1b\$|~\{")  # ISO-2022 and HZ
_LOOKS_LIKE_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_NAME_AND_ADDRESS = re.compile(r"([^<>]{0,200})<([^\s@<>]{1,64}@[^\s@<>]{1,255})>")
_MARKS_IN_LETTERS = re.compile(rb"[\x81-\xfe]\\|\x1b\$|~\{")
COMMENT_MAX = 1_000  # bytes of a comment that may be the sender's name, as RFC 822 mailers put it
# A word whose end a relay or a forwarding program cut off with the field.
_CUT_WORD = re.compile(rb"=\?[^?\s*]{1,60}\?[bBqQ]\?[^?\s]{4,2000}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A name for people and the address proper; either may be ''."""

    name: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """A field such as Content-Type: its value and the names of its parameters in lower case."""

    value: str
    by_name: Mapping[str, bytes]
    read: frozenset[str] = frozenset()  # those that RFC 2231 gave a charset: UTF-8 by now

    def text(self, name: str, hint: str = "") -> str:
        """A parameter as text: RFC 2231 has been undone, RFC 2047 words and raw bytes are read here."""
        return words(self.by_name.get(name, b""), "utf-8" if name in self.read else hint)


NOTHING = Parameters(value="", by_name=MappingProxyType({}))


def words(value: bytes, hint: str = "") -> str:
    """A field's text: encoded words, and raw bytes of the set `hint` or a guessed one. Not yet cleaned.

    Adjacent words of one set are joined as bytes before decoding, because senders cut letters in two.
    """
    out: list[str] = []
    held, held_set, end = b"", "", 0
    if _CUT_WORD.search(value[-2_100:]):
        value += b"?="
    for match in WORD.finditer(value):
        between = value[end : match.start()]
        word_set = match[1].decode("latin-1")
        if held_set and not between.strip() and canonical(word_set) == canonical(held_set):
            held += _word_bytes(match)
        else:
            out.append(decode(held, held_set)[0] if held_set else "")
            out.append(_raw(between, hint) if between.strip() or not held_set else "")
            held, held_set = _word_bytes(match), word_set
        end = match.end()
    out.append(decode(held, held_set)[0] if held_set else "")
    out.append(_raw(value[end:], hint))
    return "".join(out)


def parameters(value: bytes) -> Parameters:
    """Content-Type and its like: RFC 2045 §5.1 with RFC 2231 continuations. Never raises."""
    pieces: dict[str, dict[int, tuple[bool, bytes]]] = {}
    plain: dict[str, bytes] = {}
    value = decode(value)[0].encode() if value.isascii() and _SHIFTED.search(value) else value
    for match in (_PARAMETER if _is_utf8(value) else _PARAMETER_OF_PAIRS).finditer(value):
        name, text = match[1].decode("latin-1").lower(), _unquoted(match[2].strip())
        base, star, rest = name.partition("*")
        if not star:
            plain.setdefault(base, text)
            continue
        number, is_coded = rest.rstrip("*"), rest == "" or rest.endswith("*")
        if not number or (number.isdecimal() and len(number) < 4):
            pieces.setdefault(base, {}).setdefault(int(number or 0), (is_coded, text))
    for base, numbered in pieces.items():
        plain[base] = _joined(numbered)
    kind = value.split(b";")[0].strip().decode("latin-1").lower()
    return Parameters(value=kind, by_name=plain, read=frozenset(pieces))


def addresses(value: bytes, hint: str = "", *, most: int = 100) -> list[Address]:
    """Up to `most` addresses of a list; comments at any depth and groups are skipped without recursion."""
    found: list[Address] = []
    for name, angle, comment in _entries(_splittable(value, hint)):
        text = one_line(words(name, hint), limit=200).strip("\"' ")
        address = one_line(words(angle, "utf-8"), limit=320).replace(" ", "")  # RFC 6532: raw bytes are UTF-8
        if not angle and (whole := _NAME_AND_ADDRESS.fullmatch(text)):  # both in one encoded word
            text, address = whole[1].strip("\"' "), whole[2]
        elif not angle and (bare := _LOOKS_LIKE_ADDRESS.search(text)):
            text, address = one_line(words(comment, hint), limit=200), bare[0][:320]
        if text or address:
            found.append(Address(name=text, address=address))
        if len(found) >= most:
            break
    return found


def _splittable(value: bytes, hint: str = "") -> bytes:
    """The field with its raw letters as UTF-8, where a byte of theirs looks like a mark of the syntax.

    The second byte of a letter of GBK, Big5 or Shift JIS may be a backslash, and the seven-bit sets of
    ISO-2022 and HZ use quotes, commas and parentheses for letters.
    """
    return decode(value, hint)[0].encode("utf-8", "replace") if _MARKS_IN_LETTERS.search(value) else value


def _entries(value: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """(display name, address in angle brackets, first comment) of each entry of an address list, as bytes."""
    name, angle, comment, depth = bytearray(), b"", bytearray(), 0
    for match in _ADDRESS_PIECES.finditer(value):
        kind, piece = match.lastgroup, match[0]
        if piece in (b"(", b")"):
            depth = max(0, depth + (1 if piece == b"(" else -1))
        elif depth or piece == b"\\":
            comment += piece if depth == 1 and len(comment) < COMMENT_MAX else b""
        elif piece in (b",", b";"):
            yield bytes(name), angle, bytes(comment)
            name, angle, comment = bytearray(), b"", bytearray()
        elif piece == b":":
            name = bytearray()  # the name of a group, RFC 5322 §3.4
        elif kind == "angle":
            angle = piece[1:-1].strip()
        else:
            name += _unquoted(piece)
    yield bytes(name), angle, bytes(comment)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _word_bytes(match: re.Match[bytes]) -> bytes:
    text = match[3]
    if match[2] in b"bB":
        return base64_bytes(text)
    return binascii.a2b_qp(text.replace(b" ", b"_").replace(b"\r", b"").replace(b"\n", b""), header=True)


def base64_bytes(data: bytes) -> bytes:
    """Base64 read up to its padding; letters outside the alphabet and a missing end are forgiven.

    Behind an empty line and behind the padding only whole lines of Base64 go on (some programs encode a text piece by piece): a
    footer that a list or a virus scanner has put there is none.
    """
    footer = _FOOTER.search(data)
    data = data[: footer.start()] if footer else data
    end = data.find(b"=")
    if end < 0:
        return _base64_piece(data)
    out, after = [_base64_piece(data[:end])], _PADDING.match(data, end)
    while after and len(out) < PIECES_MAX and (line := _BASE64_LINE.match(data, after.end())):
        out.append(_base64_piece(line[1]))
        after = line
    return b"".join(out)


def _base64_piece(data: bytes) -> bytes:
    letters = data.translate(None, _NOT_BASE64)
    letters = letters[:-1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def _raw(value: bytes, hint: str) -> str:
    if value.isascii() and b"\x1b" not in value and b"~{" not in value:
        return value.decode("ascii")
    return decode(value, hint if hint and not canonical(hint).startswith("cp125") else "")[0]


def _unquoted(text: bytes) -> bytes:
    if len(text) >= 2 and text[:1] == b'"' == text[-1:]:
        return re.sub(rb"\\([\"\\])", rb"\1", text[1:-1])  # only these two: Windows paths hold bare "\"
    return text.strip(b'"')


def _joined(numbered: Mapping[int, tuple[bool, bytes]]) -> bytes:
    """RFC 2231 §3 and §4: the parts in order, percent-decoded; returned as UTF-8."""
    label, data = "", b""
    for number in sorted(numbered):
        is_coded, text = numbered[number]
        if number == min(numbered) and is_coded and text.count(b"'") >= 2:
            label_bytes, _, text = text.split(b"'", 2)
            label = label_bytes.decode("latin-1")
        data += unquote_to_bytes(text) if is_coded else text
    if WORD.search(data):
        return data  # encoded words inside a continuation: against the RFC, sent by several webmails
    return decode(data, label)[0].encode("utf-8", "replace")
