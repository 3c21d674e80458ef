"""Slips: the fields that a department, a phone operator or a form sends, as JSON or multipart."""

import json
import re
from collections.abc import Mapping
from typing import Any

from channels.codecs import mime
from channels.codecs.files import inspect
from channels.codecs.mail_files import display_name
from domain.errors import BadInput


def read(raw: bytes, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """For the sandbox: ``{"fields": {name: value}, "files": [...]}`` and the bytes of the files.

    `options["media_type"]` is the Content-Type of the request, with its boundary. Raises BadInput.
    """
    media_type = str(options.get("media_type", "application/json"))
    if media_type.partition(";")[0].strip().lower() == "multipart/form-data":
        return _multipart(raw, media_type)
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadInput("the slip is no JSON object", code="bad_slip") from None
    if not isinstance(fields, dict):
        raise BadInput("the slip is no JSON object", code="bad_slip")
    return {"fields": fields, "files": []}, []


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
            fields[part.disposition.text("name")] = data.decode("utf-8", "replace")
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
