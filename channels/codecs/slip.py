"""Slips: the fields that a department, a phone operator or a form sends, as JSON or multipart."""

import json
import re
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import compat32
from typing import Any

from channels.codecs.files import inspect
from channels.codecs.mail_files import display_name
from domain.errors import BadInput

FIELDS = 60  # parts of a multipart body; a slip has about 20 fields and 5 files


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
    head = f"MIME-Version: 1.0\r\nContent-Type: {one_line}\r\n\r\n".encode()
    message = BytesParser(policy=compat32).parsebytes(head + raw)
    parts = message.get_payload()
    if not message.is_multipart() or not isinstance(parts, list) or len(parts) > FIELDS:
        raise BadInput("the slip is no multipart form", code="bad_slip")
    fields: dict[str, Any] = {}
    files: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for part in parts:
        name = part.get_param("name", header="content-disposition")
        filename = part.get_param("filename", header="content-disposition")
        payload = part.get_payload(decode=True)
        data = payload if isinstance(payload, bytes) else b""
        if filename is None:
            fields[str(name)] = data.decode("utf-8", "replace")
            continue
        if not data and not filename:
            continue  # a browser sends an empty file field that nobody filled
        about, _ = inspect(data, {})
        files.append(
            {
                "blob": len(blobs),
                "name": display_name(_name(filename), about["media_type"], len(blobs) + 1),
                "declared_type": part.get_content_type(),
                "media_type": about["media_type"],
                "size": len(data),
                "is_inline": False,
                "exif": about["exif"],
            }
        )
        blobs.append(data)
    return {"fields": fields, "files": files}, blobs


def _name(filename: Any) -> str:
    """Browsers send raw UTF-8, which the parser keeps as surrogates; RFC 2231 gives a triple."""
    if isinstance(filename, tuple):
        charset, _, value = filename
        return str(value).encode("latin-1", "replace").decode(charset or "utf-8", "replace")
    return str(filename).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
