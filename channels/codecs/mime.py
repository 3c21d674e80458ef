"""The parts of a MIME mail: one pass over the bytes, bounded in depth, number and time."""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from channels.codecs.cms import signed_content
from channels.codecs.mail_headers import FIELD, NOTHING, Fields, Parameters, base64_bytes, parameters
from channels.codecs.old_codings import uu_blocks, uu_decoded

HEADER_MAX = 32 << 10  # bytes of a header block, PROMISES finding 6 and H7
LONG_FIELD = 2_000  # bytes; RFC 5322 §2.1.1 allows lines of 998, twice that holds every folded honest field
DEPTH_MAX = 30  # PROMISES H6
PARTS_MAX = 500  # PROMISES H6
FIELDS_WITHIN = 256 << 10  # bytes of a header block that are looked at, however long it is
SIGNED_KINDS = ("application/pkcs7-mime", "application/x-pkcs7-mime")
GUESS_WITHIN = 64 << 10  # bytes in which an undeclared boundary is looked for
CANDIDATES_MAX = 100_000  # lines that look like a boundary and are none; more is an attack on our time

_TOKEN = re.compile(rb"[a-z0-9_-]+")
_BLANK = re.compile(rb"\r\n\r\n|\n\r?\n|\r\r(?!\n)")
_NEWLINE = re.compile(rb"\r\n|\n|\r")
_LONE_CR = re.compile(rb"\r(?!\n)")
_INK = re.compile(rb"[^ \t\r\n]")
_GUESSED_BOUNDARY = re.compile(rb"(?:^|[\r\n])--([^\r\n]{1,200}?)[ \t]*(?:\r\n|\n|\r)content-", re.IGNORECASE)
_ENDS = (b"", b"\r", b"\n")  # nothing: the body begins with a delimiter
_TAIL = re.compile(rb"[ \t]{0,1000}(?:\r\n|\n|\r|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A leaf: its fields as they stood, its body still encoded, and the containers around it."""

    fields: Fields
    body: bytes
    kind: str  # type/subtype in lower case
    content_type: Parameters = NOTHING
    disposition: Parameters = NOTHING
    containers: tuple[tuple[str, int], ...] = ()  # (multipart subtype, serial number), outermost first

    def decoded(self) -> bytes:
        """The body without its Content-Transfer-Encoding; broken encodings give what could be read."""
        return transfer_decoded(self.body, first(self.fields, "content-transfer-encoding"))


@dataclass(slots=True, kw_only=True)
class Walk:
    """What the splitter found on its way; mutable, one for each mail."""

    leaves: list[Part] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)  # of the containers: multipart/signed, multipart/report ...
    candidates: int = CANDIDATES_MAX
    serial: int = 0

    def note(self, finding: str) -> None:
        """Remember a finding once."""
        if finding not in self.findings:
            self.findings.append(finding)


def split(raw: bytes, walk: Walk | None = None, *, depth: int = 0) -> tuple[Fields, Walk]:
    """The fields of a mail and, in `Walk`, its leaves in order. Never raises."""
    walk = walk or Walk()
    fields, body, size = header_block(raw, is_top=True)
    fields = signed_first(fields)
    if size > HEADER_MAX:
        walk.note("header_too_large")
    _split_part(fields, body, walk, depth, ())
    return fields, walk


def first(fields: Fields, name: str) -> bytes:
    """The first field of that lower-case name, or b''."""
    return next((value for key, value in fields if key == name), b"")


def signed_first(fields: Fields) -> Fields:
    """Of a signed mail the fields from the bottom up: of a repeated one the lowest is signed (RFC 6376 §5.4.2).

    Whoever sends a signed mail on can put a second Subject on top of it, and the signature still holds.
    """
    return fields[::-1] if any(name == "dkim-signature" for name, _ in fields) else fields


def header_block(raw: bytes, *, is_top: bool = False) -> tuple[Fields, bytes, int]:
    """(fields, body, size of the block). Of a block over 32 KB only the fields under 2,000 bytes are kept."""
    begin = _after_blank_lines(raw) if is_top else 0
    if not is_top and raw[:1] in (b"\r", b"\n"):  # a part without fields
        newline = _NEWLINE.match(raw)
        return (), raw[newline.end() if newline else 0 :], 0
    blank = _BLANK.search(raw, begin)
    end, rest = (blank.start(), blank.end()) if blank else (len(raw), len(raw))
    block = raw[begin:end]
    looked_at = block[:FIELDS_WITHIN]
    fields, used = _fields(looked_at, is_top=is_top)
    if used < len(looked_at):  # a line that is no field: the body began without a blank line
        rest = begin + used
    size = used if used < len(looked_at) else len(block)
    if size > HEADER_MAX:
        fields = tuple((name, value) for name, value in fields if len(value) <= LONG_FIELD)[:PARTS_MAX]
    return fields, raw[rest:], size


def _after_blank_lines(raw: bytes) -> int:
    ink = _INK.search(raw)
    return max(raw.rfind(b"\n", 0, ink.start()), raw.rfind(b"\r", 0, ink.start())) + 1 if ink else 0


def _fields(block: bytes, *, is_top: bool) -> tuple[Fields, int]:
    """Fields unfolded by RFC 5322 §2.2.3, and how many bytes of the block they took."""
    found: list[tuple[str, list[bytes]]] = []
    position = 0
    for line, end in _lines(block):
        if line[:1] in (b" ", b"\t") and found:
            found[-1][1].append(line)
        elif match := FIELD.match(line):
            found.append((match[1].decode("latin-1").lower(), [match[2]]))
        elif not (is_top and _is_skippable(line, block[end : end + 200], is_first=not found)):
            return _joined(found), position
        position = end
    return _joined(found), len(block)


def _lines(block: bytes) -> Iterator[tuple[bytes, int]]:
    """Each line without its end, and where the next begins."""
    position = 0
    while position < len(block):
        newline = _NEWLINE.search(block, position)
        stop, after = (newline.start(), newline.end()) if newline else (len(block), len(block))
        yield block[position:stop], after
        position = after


def _is_skippable(line: bytes, following: bytes, *, is_first: bool) -> bool:
    """An mbox "From " line, or damage between fields: the next line is a field again."""
    if line.startswith((b"From ", b">From ")):
        return True
    return not is_first and bool(re.match(rb"[A-Za-z][A-Za-z0-9-]{1,60}:[ \t]", following))


def _joined(found: list[tuple[str, list[bytes]]]) -> Fields:
    return tuple((name, b"".join(pieces).strip()) for name, pieces in found)


def _split_part(
    fields: Fields, body: bytes, walk: Walk, depth: int, containers: tuple[tuple[str, int], ...]
) -> None:
    content_type = parameters(first(fields, "content-type")[:LONG_FIELD])
    disposition = parameters(first(fields, "content-disposition")[: 5 * LONG_FIELD])
    kind = content_type.value
    if kind.count("/") != 1 or " " in kind:
        kind = "message/rfc822" if containers and containers[-1][0] == "digest" else "text/plain"
    if kind.startswith("multipart/"):
        if depth >= DEPTH_MAX:
            walk.note("too_deep")
            kind = "application/octet-stream"
        elif pieces := _pieces(body, content_type.by_name.get("boundary", b""), walk):
            walk.kinds.add(kind)
            walk.serial += 1
            inside = (*containers, (kind.removeprefix("multipart/"), walk.serial))
            for start, end in pieces:
                if len(walk.leaves) >= PARTS_MAX - 1:
                    walk.note("too_many_parts")
                    walk.leaves.append(Part(fields=(), body=body[start:], kind="application/octet-stream"))
                    return
                part_fields, part_body, _ = header_block(body[start:end])
                _split_part(part_fields, part_body, walk, depth + 1, inside)
            return
        else:
            kind = "text/plain"
    part = Part(fields=fields, body=body, kind=kind, content_type=content_type, disposition=disposition,
                containers=containers)  # fmt: skip
    walk.leaves += _with_inline_files(part)
    if kind in SIGNED_KINDS and depth < DEPTH_MAX and (content := signed_content(part.decoded())):
        walk.note("signed")  # the words and files of an opaque signature, beside the file that proves them
        inner_fields, inner_body, _ = header_block(content, is_top=True)
        _split_part(inner_fields, inner_body, walk, depth + 1, containers)


def _with_inline_files(part: Part) -> list[Part]:
    """The part; where it holds files in uuencode that no field declares: its words, then each file."""
    encoding = first(part.fields, "content-transfer-encoding").strip().lower()
    is_plain = encoding in (b"", b"7bit", b"8bit", b"binary")
    blocks = uu_blocks(part.body) if is_plain and b"begin " in part.body else []
    if not blocks:
        return [part]
    starts = [0, *(block.end for block in blocks)]
    stops = [*(block.start for block in blocks), len(part.body)]
    words = b"".join(part.body[a:b] for a, b in zip(starts, stops, strict=True))
    files = [
        Part(
            fields=(),
            body=block.content,
            kind="application/octet-stream",
            content_type=Parameters(value="", by_name={"name": block.name}),
            containers=part.containers,
        )
        for block in blocks
    ]
    if part.kind != "text/plain" and not words.strip():  # the file is the part: its type and name stand above
        return [replace(part, body=blocks[0].content), *files[1:]]
    return [replace(part, body=words), *files] if part.kind == "text/plain" else [part]


def _pieces(body: bytes, boundary: bytes, walk: Walk) -> list[tuple[int, int]]:
    """(start, end) of what lies between the delimiter lines; the last of too many reaches to the end."""
    boundary = boundary.rstrip()[:1000]
    most = PARTS_MAX + 1
    starts = list(islice(_delimiters(body, boundary, walk), most)) if boundary else []
    if not starts and (guessed := _GUESSED_BOUNDARY.search(body[:GUESS_WITHIN])):
        starts = list(islice(_delimiters(body, guessed[1], walk), most))
    ends = [start for start, _, _ in starts[1:]] + [len(body)] * bool(starts)
    return [(after, end) for (_, after, is_last), end in zip(starts, ends, strict=True) if not is_last]


def _delimiters(body: bytes, boundary: bytes, walk: Walk) -> Iterator[tuple[int, int, bool]]:
    """(start of the line end before it, start of what follows, is the closing one) of each delimiter line."""
    line = b"--" + boundary
    position = body.find(line)
    while position >= 0 and walk.candidates > 0:
        walk.candidates -= 1
        after = position + len(line)
        is_last = body.startswith(b"--", after)
        # Any line end will do: a relay adds CRLF to a mail whose own lines end in CR alone.
        tail = _TAIL.match(body, after + 2 * is_last) if body[position - 1 : position] in _ENDS else None
        if tail:
            yield position - _line_end_before(body, position), tail.end(), is_last
        position = body.find(line, after)


def _line_end_before(body: bytes, position: int) -> int:
    """How many bytes the line end before `position` has."""
    return 2 if body[max(0, position - 2) : position] == b"\r\n" else min(position, 1)


def transfer_decoded(body: bytes, encoding: bytes) -> bytes:
    """RFC 2045 §6, and uuencode as older programs sent it. Never raises."""
    found = _TOKEN.match(
        encoding.strip(b" \t\"'").lower()
    )  # comments and commas behind it are no part of the name
    name = found[0] if found else b""
    if name in (b"base64", b"base-64"):
        return base64_bytes(body)
    if name == b"quoted-printable":
        # Of a soft break "=\r" the library throws away everything up to the next "\n", here the whole rest.
        return binascii.a2b_qp(_LONE_CR.sub(b"\n", body))
    if name in (b"x-uuencode", b"uuencode", b"x-uue", b"uue"):
        return uu_decoded(body)
    return body
