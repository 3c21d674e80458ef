"""The identity of a mail: the key that makes fifty deliveries of it one report."""

import hashlib
import re

_NAME = re.compile(rb"^message-id[ \t]*:", re.IGNORECASE | re.MULTILINE)
_GAP = re.compile(rb"\A(?:\r\n|\r|\n)|(?:\r\n|\r(?!\n)|\n){2}")  # behind the headers, whatever ends a line
_PIECE = 1 << 20
_END = re.compile(rb"\n(?![ \t])")  # of a header field: a line end without folding (RFC 5322 §2.2.3)


def external_id(raw: bytes) -> str:
    """64 hex digits that stay the same however often, and by whatever path, one mail is delivered.

    SHA-256 of the Message-ID followed by the SHA-256 of the body with CRLF line ends; SHA-256 of `raw` where
    there is no Message-ID. The body is part of it because Message-IDs are reused with other content
    (RFC 5322 §3.6.4 only asks senders for uniqueness). The headers are left out: each relay adds its own.

    Linear in the length of `raw` and free of any mail parser: it runs in the door, on strangers' bytes.
    """
    # A mail that begins with an empty line has no headers at all.
    gap = _GAP.search(raw)
    head = _unix(raw[: gap.start()] if gap else raw)
    name = _NAME.search(head)
    end = _END.search(head, name.end()) if name else None
    message_id = b"".join(head[name.end() : end.start() if end else None].split()) if name else b""
    if not message_id:
        return hashlib.sha256(raw).hexdigest()
    of_body = _hash_of_lines(raw, gap.end() if gap else len(raw))
    return hashlib.sha256(message_id + of_body).hexdigest()


def _unix(lines: bytes) -> bytes:
    return lines.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _hash_of_lines(raw: bytes, start: int) -> bytes:
    """SHA-256 of what begins at `start`, with CRLF line ends; piece by piece, since a copy of 25 MB is too many."""
    found = hashlib.sha256()
    while start < len(raw):
        end = start + _PIECE
        if raw[end - 1 : end + 1] == b"\r\n":
            end += 1
        found.update(_unix(raw[start:end]).replace(b"\n", b"\r\n"))
        start = end
    return found.digest()
