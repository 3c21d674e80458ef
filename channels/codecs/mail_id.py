"""The identity of a mail: the key that makes fifty deliveries of it one report."""

import hashlib
import re

_NAME = re.compile(rb"^message-id[ \t]*:", re.IGNORECASE | re.MULTILINE)
_END = re.compile(rb"\n(?![ \t])")  # of a header field: a line end without folding (RFC 5322 §2.2.3)


def external_id(raw: bytes) -> str:
    """64 hex digits that stay the same however often, and by whatever path, one mail is delivered.

    SHA-256 of the Message-ID followed by the SHA-256 of the body with CRLF line ends; SHA-256 of `raw` where
    there is no Message-ID. The body is part of it because Message-IDs are reused with other content
    (RFC 5322 §3.6.4 only asks senders for uniqueness). The headers are left out: each relay adds its own.

    Linear in the length of `raw` and free of any mail parser: it runs in the door, on strangers' bytes.
    """
    lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    # A mail that begins with an empty line has no headers at all.
    head, _, body = (b"", b"\n", lines[1:]) if lines.startswith(b"\n") else lines.partition(b"\n\n")
    name = _NAME.search(head)
    end = _END.search(head, name.end()) if name else None
    message_id = b"".join(head[name.end() : end.start() if end else None].split()) if name else b""
    if not message_id:
        return hashlib.sha256(raw).hexdigest()
    of_body = hashlib.sha256(body.replace(b"\n", b"\r\n")).digest()
    return hashlib.sha256(message_id + of_body).hexdigest()
