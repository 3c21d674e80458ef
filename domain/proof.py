"""The mark of a synthetic report: it proves that a channel is alive, and that nobody but this hub has sent it."""

import hashlib
import hmac
import re
from dataclasses import dataclass

_BEGIN = "tocsin-proof-"
_MARK = re.compile(_BEGIN.encode() + rb"([a-z]{2,8})-(prf_[0-9A-HJKMNP-TV-Z]{26})-([0-9a-f]{24})(?![0-9a-f])")
LOOKED_AT = 64 << 10  # bytes: ours are under 4 KB


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A mark of ours."""

    channel: str
    proof: str
    text: str  # the whole mark; the report says this and nothing else


def mark(key: bytes, channel: str, proof: str) -> str:
    """What the report of proof `proof` says; letters, digits, hyphens and one underscore, so that no door changes it."""
    return f"{_BEGIN}{channel}-{proof}-{_mac(key, channel, proof)}"


def found(key: bytes, channel: str, raw: bytes) -> Mark | None:
    """The mark that a message of `channel` holds; None for none, and for one that another has made or moved here."""
    for match in _MARK.finditer(raw[:LOOKED_AT]):
        named, proof = match[1].decode(), match[2].decode()
        if named == channel and hmac.compare_digest(match[3].decode(), _mac(key, channel, proof)):
            return Mark(channel=channel, proof=proof, text=match[0].decode())
    return None


def page(text: str) -> bytes:
    """A fax of one empty page that holds the mark `text`, byte for byte the same each time."""
    return (
        b"%PDF-1.4\n%" + text.encode() + b"\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\n"
        b"trailer<</Root 1 0 R/Size 4>>\n%%EOF\n"
    )


def bulletin(text: str) -> bytes:
    """A bulletin that is talk between systems and holds the mark `text`, byte for byte the same each time."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">'
        f"<identifier>{text}</identifier><sender>proof@tocsin.invalid</sender><sent>2000-01-01T00:00:00+00:00</sent>"
        "<status>System</status><msgType>Ack</msgType><scope>Private</scope><addresses>tocsin</addresses></alert>\n"
    ).encode()


def looks_like_one(raw: bytes) -> bool:
    """Whether the bytes hold the shape of a mark, whoever made it."""
    return _BEGIN.encode() in raw[:LOOKED_AT]


def _mac(key: bytes, channel: str, proof: str) -> str:
    said = f"tocsin proof 1\0{channel}\0{proof}".encode()
    return hmac.new(key, said, hashlib.sha256).hexdigest()[:24]
