"""multipart/form-data as a department sends it: a closed list of fields and at most five files."""

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from domain.errors import BadInput, Flaw
from web.strict_json import name as shown

FILES = 5  # PROMISES 5: photos of one event; more come with a follow-up
FIELD_BYTES = 64 * 1024
PARTS = 40
_BOUNDARY = re.compile(r"[A-Za-z0-9'()+_,./:=? -]{0,69}[A-Za-z0-9'()+_,./:=?-]")  # RFC 2046 §5.1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What the form says. `fingerprint` covers names, values and files, not the boundary of this try."""

    fields: dict[str, str]
    file_sizes: tuple[int, ...]
    fingerprint: str
    media_type: str  # with the boundary, as the original is kept with it
    files: tuple[bytes, ...] = ()  # as they came, for a room that reads one at once


@dataclass(slots=True)
class Part:
    """One part as it stood: a field, or a file when it has a file name."""

    header: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    disposition: bytes = b""
    name: str = ""
    filename: str | None = None
    data: bytearray = field(default_factory=bytearray)

    @property
    def is_file(self) -> bool:
        """Whether it is a file that somebody chose: a browser sends the file field that nobody filled, too."""
        return self.filename is not None and bool(self.data or self.filename)


def parse(raw: bytes, content_type: str, *, names: Collection[str], file_field: str = "files") -> Form:
    """Read a whole body. Raises BadInput(bad_form) for any doubt, naming fields that are unknown or repeated.

    The files are only cut out and hashed here; what is in them is read in the sandbox, after the commit.
    """
    parts, media_type = split(raw, content_type)
    fields: dict[str, str] = {}
    files: list[bytes] = []
    flaws: list[Flaw] = []
    for part in parts:
        if part.filename is not None and part.name == file_field:
            if part.is_file:
                files.append(bytes(part.data))
        elif part.name not in names or part.filename is not None:
            flaws.append(Flaw(f"/{shown(part.name)}", "unknown field"))
        elif part.name in fields:
            flaws.append(Flaw(f"/{shown(part.name)}", "comes twice"))
        else:
            fields[part.name] = _text(part, flaws)
    if len(files) > FILES:
        flaws.append(Flaw(f"/{file_field}", f"at most {FILES} files"))
    if flaws:
        raise BadInput("the form does not fit", code="bad_fields", flaws=flaws)
    return Form(
        fields=fields,
        file_sizes=tuple(map(len, files)),
        fingerprint=fingerprint(parts),
        media_type=media_type,
        files=tuple(files),
    )


def split(raw: bytes, content_type: str, *, may_be_cut: bool = False) -> tuple[list[Part], str]:
    """The parts of a body, and its media type with the boundary. Raises BadInput(bad_form).

    `may_be_cut`: the body ends somewhere; the parts up to there are wanted, the last perhaps in part.
    """
    boundary = _boundary(content_type)
    reader = _read(raw, boundary, may_be_cut=may_be_cut)
    if not (reader.has_ended or may_be_cut):
        raise _bad("the form is cut off")
    parts = [p for p in reader.parts if p.name] if may_be_cut else reader.parts
    return parts, f'multipart/form-data; boundary="{boundary}"'


def fingerprint(parts: Iterable[Part]) -> str:
    """SHA-256 over names, file names and contents: the same for the same form sent again."""
    told = [f"{p.name}\0{p.filename or ''}\0{hashlib.sha256(p.data).hexdigest()}" for p in parts]
    return hashlib.sha256("\n".join(sorted(told)).encode()).hexdigest()


def _boundary(content_type: str) -> str:
    _, options = parse_options_header(content_type.encode("latin-1", "replace"))
    boundary = options.get(b"boundary", b"").decode("latin-1")
    if not _BOUNDARY.fullmatch(boundary):
        raise _bad("no usable boundary")
    return boundary


class _Reader:
    """The callbacks of the parser, and the parts they have put together."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.has_ended = False

    def on_part_begin(self) -> None:
        if len(self.parts) == PARTS:
            raise _bad(f"at most {PARTS} parts")
        self.parts.append(Part())

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].value += data[start:end]

    def on_header_end(self) -> None:
        part = self.parts[-1]
        name, value = bytes(part.header).lower(), bytes(part.value)
        if name == b"content-disposition":
            part.disposition = value
        if name == b"content-transfer-encoding" and value.lower() not in (b"binary", b"8bit"):
            raise _bad("parts are not encoded (RFC 7578 §4.7)")
        part.header.clear()
        part.value.clear()

    def on_headers_finished(self) -> None:
        _name(self.parts[-1])

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].data += data[start:end]

    def on_end(self) -> None:
        self.has_ended = True


def _read(raw: bytes, boundary: str, *, may_be_cut: bool) -> _Reader:
    reader = _Reader()
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": reader.on_part_begin,
            "on_header_field": reader.on_header_field,
            "on_header_value": reader.on_header_value,
            "on_header_end": reader.on_header_end,
            "on_headers_finished": reader.on_headers_finished,
            "on_part_data": reader.on_part_data,
            "on_end": reader.on_end,
        },
    )
    try:
        parser.write(raw)
        parser.finalize()
    except FormParserError:
        if not may_be_cut:
            raise _bad("no multipart form") from None
    return reader


def _name(part: Part) -> None:
    kind, options = parse_options_header(part.disposition)
    if kind != b"form-data" or b"name" not in options:
        raise _bad("a part without a name")
    try:
        part.name = options[b"name"].decode()
        part.filename = options[b"filename"].decode("utf-8", "replace") if b"filename" in options else None
    except UnicodeDecodeError:
        raise _bad("a name that is not UTF-8") from None


def _text(part: Part, flaws: list[Flaw]) -> str:
    pointer = f"/{part.name}"
    if len(part.data) > FIELD_BYTES:
        flaws.append(Flaw(pointer, f"at most {FIELD_BYTES} bytes"))
        return ""
    try:
        text = part.data.decode()
    except UnicodeDecodeError:
        flaws.append(Flaw(pointer, "is not UTF-8"))
        return ""
    if "\0" in text:
        flaws.append(Flaw(pointer, "holds a NUL"))
    return text


def _bad(detail: str) -> BadInput:
    return BadInput(detail, code="bad_form", flaws=[Flaw("", detail)])
