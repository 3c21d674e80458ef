"""Signatures that hubs of our own kind put beside their bulletins: Ed25519 over the exact bytes.

What is signed begins with its purpose and its audience, so that one signature never serves another use or another
hub (PROMISES 7.7, H57). In a header or a file beside the bulletin it is one line:
``v1 key=<fingerprint> audience=<sender id of the hub it is for, or *> value=<base64>``.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from channels.codecs.cap_seal import Looked, Seal

PURPOSE = b"tocsin/bulletin/v1"
EVERYBODY = "*"
LINE_MAX = 600  # characters; an audience has at most 200
_LINE = re.compile(
    r"v1 key=([0-9a-f]{16}) audience=([\x21-\x7e]{1,200}) value=([A-Za-z0-9+/]{86}==)[ \t\r\n]*", re.ASCII
)


def sign(data: bytes, key: Ed25519PrivateKey, *, audience: str = EVERYBODY) -> str:
    """The line for `data`."""
    value = base64.b64encode(key.sign(_told(data, audience))).decode()
    return f"v1 key={fingerprint(public_text(key))} audience={audience} value={value}"


def look(data: bytes, line: str, pinned: Mapping[str, str], *, ourselves: str) -> Looked:
    """What `line` proves of `data`. `pinned`: id -> public key in base64; `ourselves`: our sender id."""
    found = _LINE.fullmatch(line) if len(line) <= LINE_MAX else None
    if found is None:
        return Looked(seal=Seal.UNSUPPORTED, reason="no_signature_line")
    name, audience, value = found.groups()
    known = {fingerprint(text): (key_id, text) for key_id, text in pinned.items()}
    if name not in known:
        return Looked(seal=Seal.UNKNOWN_KEY, key=name)
    key_id, text = known[name]
    try:
        public(text).verify(base64.b64decode(value), _told(data, audience))
    except (InvalidSignature, ValueError, binascii.Error):
        return Looked(seal=Seal.BROKEN, key=key_id, reason="signature")
    if audience not in (EVERYBODY, ourselves):
        return Looked(seal=Seal.BROKEN, key=key_id, reason="audience")
    return Looked(seal=Seal.VERIFIED, key=key_id)


def public_text(key: Ed25519PrivateKey) -> str:
    """The public half, as peers pin it: base64 of its 32 bytes."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def public(text: str) -> Ed25519PublicKey:
    """The key of such a text. Raises ValueError."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.strip(), validate=True))
    except binascii.Error as error:
        raise ValueError("no key") from error


def fingerprint(text: str) -> str:
    """16 hex digits that name a public key to people and in signatures."""
    return hashlib.sha256(base64.b64decode(text.strip())).hexdigest()[:16]


def _told(data: bytes, audience: str) -> bytes:
    return b"\0".join((PURPOSE, audience.encode(), data))
