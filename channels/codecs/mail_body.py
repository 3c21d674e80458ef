"""Which parts of a mail are its words, and those words as clean text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from channels.codecs.charsets import decode
from channels.codecs.files import HEAD, UNKNOWN, sniff
from channels.codecs.html_text import safe_html, text_of
from channels.codecs.mime import Part, Walk, first
from channels.codecs.old_codings import bare_base64
from channels.codecs.plain_text import clean

READ_MAX = 4 << 20  # bytes of one text part; the original is kept whole
TEXTS_MAX = 50  # text parts that are joined; digests and long reports stay below
PAGES_MAX = 10  # HTML parts that are parsed; each may take 0.3 s when it was made to
# What programs put into the plain half of a mail whose words are in the HTML half.
_STUB = re.compile(
    r"html|网页格式|不支持|无法显示|view (?:this|it) in|your (?:e-?mail|mail) (?:client|reader)",
    re.IGNORECASE,
)
_PAGE = re.compile(
    r"\s{0,100}(?:<!doctype html|<html[\s>]|<(div|p|table|span|font|body|center)\b[^<>]{0,150}>)",
    re.IGNORECASE,
)
_STUB_MAX = 300  # characters
_CONTROLS = re.compile(rb"[\x01-\x08\x10-\x1a\x1c-\x1f]")  # NUL stands in UTF-16; SO, SI and ESC in ISO-2022
CONTROLS_SHARE = 0.03  # damaged text stays below; of random bytes they are a tenth
CONTROLS_FEW = 3  # in a line or two a stray one is a large share, and says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The words, the page they may come from, and which leaves they were (by identity)."""

    text: str
    html: str  # sanitised; '' when the mail has none
    page: str  # as decoded: cid: references are looked for in it
    charset: str  # declared for the first text, a hint for raw header bytes
    used: frozenset[int]
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    part: Part
    text: str
    page: str
    safe: str
    is_guessed: bool


def compose(walk: Walk) -> Body:
    """Plain text where there is some, else the text of the HTML; several texts of a mixed mail in order."""
    found = list(_texts(walk))
    chosen = _chosen(found)
    findings = []
    if any(w.is_guessed for w in chosen):
        findings.append("charset_guessed")
    if chosen and all(w.safe for w in chosen):
        findings.append("html_only")
    paged = next((w for w in found if w.safe), None)
    charset = next((w.part.content_type.text("charset") for w in found), "")
    return Body(
        text="\n\n".join(w.text for w in chosen if w.text),
        html=paged.safe if paged else "",
        page=paged.page if paged else "",
        charset=charset[:40],
        used=frozenset(id(w.part) for w in found),
        findings=tuple(findings),
    )


def rendered(page: str) -> tuple[str, str]:
    """(sanitised HTML, its text) of a page."""
    safe = clean(safe_html(page)).strip()
    return safe, clean(text_of(safe)).strip()


def _texts(walk: Walk) -> Iterator[_Words]:
    count = pages = 0
    for part in walk.leaves:
        if part.kind not in ("text/plain", "text/html", "text/enriched", "text/richtext") or _is_file(part):
            continue
        data = part.decoded()[:READ_MAX]
        if (not part.containers and not part.body.strip()) or _is_binary(data[:HEAD]):
            continue
        count += 1
        pages += part.kind == "text/html"
        if count > TEXTS_MAX or pages > PAGES_MAX:
            return
        yield _words(part, data)


def _words(part: Part, data: bytes) -> _Words:
    charset = part.content_type.text("charset")[:40]
    raw, is_guessed = decode(data, charset)
    if part.kind == "text/plain" and raw.isascii() and (inside := _undeclared_base64(part, charset)):
        raw, is_guessed = inside, True
    if part.kind == "text/plain" and not _is_html_in_disguise(raw):
        text = clean(_unflowed(raw, part)).strip("\n").rstrip()
        return _Words(part=part, text=text, page="", safe="", is_guessed=is_guessed)
    safe, text = rendered(raw)
    return _Words(part=part, text=text, page=raw, safe=safe or " ", is_guessed=is_guessed)


def _chosen(found: list[_Words]) -> list[_Words]:
    """Of each multipart/alternative one form; everything outside of one as it comes."""
    chosen: list[_Words] = []
    done: set[int] = set()
    for words in found:
        group = _alternative(words.part)
        if group is None:
            chosen.append(words)
        elif group not in done:
            done.add(group)
            chosen += _one_form([w for w in found if _alternative(w.part) == group])
    return [w for w in chosen if w.text]


def _one_form(forms: list[_Words]) -> list[_Words]:
    plain = [w for w in forms if not w.safe and w.text.strip()]
    pages = [w for w in forms if w.safe and w.text.strip()]
    said = sum(len(w.text) for w in plain)
    is_stub = said < _STUB_MAX and any(_STUB.search(w.text) for w in plain)
    if pages and (not plain or (is_stub and sum(len(w.text) for w in pages) > 2 * said)):
        return pages
    return plain


def _alternative(part: Part) -> int | None:
    """The serial number of the outermost multipart/alternative around a part."""
    return next((serial for subtype, serial in part.containers if subtype == "alternative"), None)


def _is_file(part: Part) -> bool:
    """Whether a text part was meant as a file: sent as one, or named and not the words of the mail."""
    if part.disposition.value == "attachment":
        return bool(part.containers) or "filename" in part.disposition.by_name
    is_named = "filename" in part.disposition.by_name or "name" in part.content_type.by_name
    return is_named and bool(part.containers) and _alternative(part) is None


def _is_binary(head: bytes) -> bool:
    """Whether a "text" holds a picture, a document or noise: then it is a file."""
    if not (controls := len(_CONTROLS.findall(head))):
        return False
    if sniff(head) in (UNKNOWN, "text/plain", "text/html", "message/rfc822"):
        return controls > max(CONTROLS_FEW, CONTROLS_SHARE * len(head))
    return True


def _undeclared_base64(part: Part, charset: str) -> str:
    """The Chinese in a body that a gateway encoded without saying so; '' for everything else."""
    if first(part.fields, "content-transfer-encoding").strip().lower() not in (
        b"",
        b"7bit",
        b"8bit",
        b"binary",
    ):
        return ""
    inside, _ = decode(bare_base64(part.body[:READ_MAX]), charset)
    wide = [letter for letter in inside if letter > "\x7f"]
    known = len("".join(wide).encode("gb2312", "ignore")) // 2
    return inside if len(wide) >= 4 and known >= 0.9 * len(wide) and 3 * len(wide) > len(inside) else ""


def _is_html_in_disguise(text: str) -> bool:
    begin = _PAGE.match(text[:200])
    return begin is not None and (begin[1] is None or f"</{begin[1].lower()}>" in text[-READ_MAX:].lower())


def _unflowed(text: str, part: Part) -> str:
    """RFC 3676 §4.2: lines that end in a blank go on in the next; quoted ones and signatures stay."""
    if part.content_type.text("format").lower() != "flowed":
        return text
    is_delsp = part.content_type.text("delsp").lower() == "yes"
    out: list[str] = []
    goes_on = False
    for stuffed in text.splitlines():
        line = stuffed.removeprefix(" ")
        quoted = line.startswith(">")
        if goes_on and not quoted and line != "-- ":
            out[-1] += line
        else:
            out.append(line)
        goes_on = line.endswith(" ") and line != "-- " and not quoted
        if goes_on and is_delsp:
            out[-1] = out[-1][:-1]
    return "\n".join(out)
