"""Slips: the fields that a department, a phone operator or a citizen's form sends."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from channels.codecs import mime
from channels.codecs.charsets import decode
from channels.codecs.files import inspect
from channels.codecs.mail_files import display_name
from domain.errors import BadInput

URLENCODED = "application/x-www-form-urlencoded"
FIELD_MAX = 200_000  # characters of one field that a report shows; the rest stays in the original
PAIRS_MAX = 200  # fields of an urlencoded form; ours has 8
_CHARSET = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)


def read(raw: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """For the sandbox: ``{"fields": {name: value}, "files": [...]}`` and the bytes of the files.

    `options["media_type"]` is the Content-Type of the request, with its boundary. Raises BadInput.
    """
    media_type = str(options.get("media_type", "application/json"))
    kind = media_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _multipart(raw, media_type)
    if kind == URLENCODED:
        fields: dict[str, Any] = {}
        for name, value in pairs(raw):
            put(fields, words(name), words(value, media_type))
        return {"fields": fields, "files": []}, []
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadInput("the slip is no JSON object", code="bad_slip") from None
    if not isinstance(fields, dict):
        raise BadInput("the slip is no JSON object", code="bad_slip")
    return {"fields": fields, "files": []}, []


def pairs(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of an urlencoded form, in order. Raises BadInput(bad_slip) when there are too many."""
    text = raw.decode("latin-1")  # letters as bytes, both ways: which character set it is shows later
    try:
        found = parse_qsl(text, keep_blank_values=True, encoding="latin-1", max_num_fields=PAIRS_MAX)
    except ValueError:
        raise BadInput(f"at most {PAIRS_MAX} fields", code="bad_slip") from None
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in found]


def words(value: bytes, media_type: str = "") -> str:
    """A field as text: in the character set that the form declares, else by what its bytes are."""
    declared = _CHARSET.search(media_type)
    # one letter takes at most 4 bytes; what is beyond FIELD_MAX letters need not be decoded
    text, _ = decode(value[: 4 * FIELD_MAX], declared[1] if declared else "")
    return text[:FIELD_MAX]


def put(fields: dict[str, Any], name: str, value: str) -> None:
    """Add a field; one that comes again is a further line of it, so nothing that was written is lost."""
    before = fields.get(name, "")
    fields[name] = f"{before}\n{value}"[:FIELD_MAX] if before.strip() and value.strip() else before or value


def _multipart(raw: bytes, media_type: str) -> tuple[dict[str, Any], list[bytes]]:
    one_line = re.sub(r"[\r\n]", " ", media_type)
    _, walk = mime.split(f"Content-Type: {one_line}\r\n\r\n".encode("utf-8", "replace") + raw)
    named = [part for part in walk.leaves if "name" in part.disposition.by_name]
    if not named:
        raise BadInput("the slip is no multipart form", code="bad_slip")
    fields: dict[str, Any] = {}
    files: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for part in named:
        data = part.decoded()
        if "filename" not in part.disposition.by_name:
            put(fields, part.disposition.text("name"), words(data))
        elif (
            data or part.disposition.by_name["filename"]
        ):  # a browser also sends the file field nobody filled
            files.append(_file(part, data, len(blobs)))
            blobs.append(data)
    return {"fields": fields, "files": files}, blobs


def _file(part: mime.Part, data: bytes, blob: int) -> dict[str, Any]:
    about, _ = inspect(data, {})
    name = part.disposition.text("filename", "utf-8")
    return {
        "blob": blob,
        "name": display_name(name, about["media_type"], blob + 1),
        "declared_type": part.content_type.value,
        "media_type": about["media_type"],
        "size": len(data),
        "is_inline": False,
        "exif": about["exif"],
    }
